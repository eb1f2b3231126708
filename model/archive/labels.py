"""What a piece is called to the model, whose work it is, what may be done with it: tables by collection."""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from model.archive.piece import Notes, Provenance, Rejected
from model.archive.sources import MUSIC21_LICENCE, Item
from model.archive.voices import KEYS, SINGING, STRINGS

# Conditioning sources: kinds of music that a listener can tell apart.
SOURCES = {
    "early": "masses, motets and keyboard pieces of the 16th and 17th centuries",
    "sacred": "masses, vespers and hymns with organ or orchestra, 18th and 19th centuries",
    "chorale": "Bach's four-part chorales",
    "fiddle": "jigs, reels and airs for one instrument",
    "classical": "partitas, symphonies and keyboard pieces of the 18th century",
    "quartet": "string quartets, Haydn to Bartók",
    "song": "songs and scenes with piano, 19th century",
    "romantic": "piano and organ music, 19th century",
    "ensemble": "chamber music and orchestra, with voices or without, 19th century",
    "performed": "piano as it was played: free time, every touch its own",
}


@dataclass(frozen=True)
class Collection:
    """What is known of a collection as a whole. `must_say`: what its records have to match."""

    licence: str = ""
    source: str = ""
    must_say: str = ""
    url: str = ""


_MUSIC21_URL = "https://github.com/cuthbertLab/music21"
COLLECTIONS = {
    "polish-scores": Collection(
        "CC BY 4.0", must_say=r"CC[- ]BY[- ]4\.0", url="https://github.com/pl-wnifc/humdrum-polish-scores"
    ),
    "openscore-lieder": Collection("CC0", "song", url="https://github.com/OpenScore/Lieder"),
    "openscore-string-quartets": Collection(
        "CC0", "quartet", url="https://github.com/OpenScore/StringQuartets"
    ),
    "giantmidi-piano": Collection(
        "CC BY 4.0", "performed", url="https://github.com/bytedance/GiantMIDI-Piano"
    ),
    "music21:bach": Collection(MUSIC21_LICENCE, "chorale", url=_MUSIC21_URL),
    "music21:beethoven": Collection(MUSIC21_LICENCE, "quartet", url=_MUSIC21_URL),
    "music21:haydn": Collection(MUSIC21_LICENCE, "quartet", url=_MUSIC21_URL),
    "music21:mozart": Collection(MUSIC21_LICENCE, "quartet", url=_MUSIC21_URL),
    "music21:schumann_robert": Collection(MUSIC21_LICENCE, "song", url=_MUSIC21_URL),
    "music21:schumann_clara": Collection(MUSIC21_LICENCE, "romantic", url=_MUSIC21_URL),
    "music21:oneills1850": Collection(MUSIC21_LICENCE, "fiddle", url=_MUSIC21_URL),
    "music21:ryansMammoth": Collection(MUSIC21_LICENCE, "fiddle", url=_MUSIC21_URL),
    "music21:airdsAirs": Collection(MUSIC21_LICENCE, "fiddle", url=_MUSIC21_URL),
}
# What parts without an instrument are played on.
DEFAULT_VOICES = {"chorale": SINGING, "fiddle": STRINGS, "quartet": STRINGS}
ANONYMOUS = ("", "anonim", "anonymous", "anonymus", "anon", "traditional", "trad", "composer", "unknown")


def check_licence(collection: str, records: dict[str, str]) -> None:
    """Raises Rejected when the collection asks for a licence in each file's records and this one lacks it."""
    known = COLLECTIONS.get(collection)
    if known and known.must_say and not re.search(known.must_say, records.get("YEM", "")):
        said = records.get("YEM", "")
        raise Rejected(
            f"its record does not say {known.licence}"
            + (f" but {said[:60]!r}" if said else " (it has no licence record)")
        )


def provenance(item: Item, records: dict[str, str], content_hash: str) -> Provenance:
    """Title, composer, work and the rest from the records of a file, its path helping out."""
    known = COLLECTIONS.get(item.collection, Collection())
    composer, title, work = _from_path(item)
    composer = records.get("COM", "") or composer
    own_title = records.get("OTL", "") or title
    parent = records.get("OPR", "") or records.get("GTL", "") or work
    licence = known.licence or records.get("YEM", "")
    return Provenance(
        collection=item.collection,
        path=item.path,
        title=": ".join(dict.fromkeys(filter(None, [parent, own_title]))),
        composer=composer,
        work=_work_key(item, records, composer, parent, own_title),
        date=records.get("PDT", "") or records.get("CDT", "") or records.get("cenid", "").split(":")[0],
        genre=records.get("AGN", ""),
        instruments=records.get("AIN", "") or records.get("instruments", ""),
        licence=licence,
        content_hash=content_hash,
    )


def _from_path(item: Item) -> tuple[str, str, str]:
    """(composer, title, work) as the paths of the collections have them."""
    parts = item.member.split("/")
    if item.collection.startswith("openscore-") and len(parts) > 3:
        composer = parts[1].replace(",_", ", ").replace("_", " ")
        work = parts[2].replace("_", " ").strip()
        return composer, parts[3].replace("_", " ") if len(parts) > 4 else "", work
    stem = re.sub(r"\.\w+$", "", parts[-1])
    if item.collection == "giantmidi-piano":
        words = stem.replace("_", " ").split(", ", 2)
        return (
            (", ".join(words[:2]), words[2], "")
            if len(words) == 3
            else (stem.split("_")[0], stem.replace("_", " "), "")
        )
    if item.collection.startswith("music21:"):
        composer = {
            "bach": "Bach, Johann Sebastian", "beethoven": "Beethoven, Ludwig van", "haydn": "Haydn, Joseph",
            "mozart": "Mozart, Wolfgang Amadeus", "schumann_robert": "Schumann, Robert",
            "schumann_clara": "Schumann, Clara",
        }.get(item.collection.partition(":")[2], "")  # fmt: skip
        if item.tune or not composer:
            return composer, stem, ""
        return composer, stem, parts[-2] if len(parts) > 1 else re.split(r"[._]", stem)[0]
    return "", stem, ""


def _work_key(item: Item, records: dict[str, str], composer: str, parent: str, title: str) -> str:
    """What all movements, variants and prints of one work share.

    An anonymous "Missa" is another one in every manuscript, so the shelf mark tells those apart. Empty when
    nothing is known; then only likeness (duplicates.py) binds pieces.
    """
    who = plain(composer)
    opus = (
        _opus(parent) or _opus(title) or _opus(item.member if item.collection.startswith("openscore") else "")
    )
    if who in ANONYMOUS:
        where = records.get("SMS-shelfmark", "")
        return f"{plain(where)}|{plain(parent)}" if where and parent else ""
    surname = re.split(r"[ ,]", composer.strip())[0] if "," in composer else composer.strip().split(" ")[-1]
    if opus:
        return f"{plain(surname)}|{opus}"
    return f"{plain(surname)}|{plain(parent or title)}"


def _opus(text: str) -> str:
    """Opus or catalogue number, with the number in the opus, or empty."""
    text = text.replace("_", " ")
    if found := re.search(r"\b(?:op(?:us)?|oeuv(?:re)?)\.? ?(\d+)", text, re.I):
        number = re.search(r"\b(?:no|nr|n)\.? ?(\d+)", text[found.end() :], re.I)
        return f"op{int(found[1])}" + (f"no{int(number[1])}" if number else "")
    if found := re.search(r"\b(bwv|kv?|d|hob|woo|deutsch|rv|hwv)[\. ]*(\d+)", text, re.I):
        return f"{found[1].lower()}{int(found[2])}"
    return ""


def plain(text: str) -> str:
    """Letters and digits of a text in lower case, accents dropped, so that spellings compare."""
    text = text.lower().replace("ł", "l").replace("ß", "ss")
    text = unicodedata.normalize("NFKD", text)
    return " ".join(re.findall(r"[^\W_]+", "".join(c for c in text if not unicodedata.combining(c))))


def source_of(item: Item, records: dict[str, str], notes: Notes, performed: bool) -> str:
    """One of SOURCES, or empty for a collection that is not in the tables."""
    known = COLLECTIONS.get(item.collection)
    if known is None:
        return "performed" if performed else ""
    heard = {voice: float((notes["voice"] == voice).mean()) for voice in (SINGING, KEYS, STRINGS)}
    if item.collection in ("music21:schumann_robert", "music21:schumann_clara"):
        return "quartet" if heard[STRINGS] > 0.9 else "song" if heard[SINGING] else "romantic"
    if item.collection == "music21:mozart":
        return "quartet" if heard[STRINGS] > 0.9 else "classical"
    return known.source or _source_by_century(records, heard)


def _source_by_century(records: dict[str, str], heard: dict[int, float]) -> str:
    """The Polish set: by the century in its catalogue number, its genre and what it is played on."""
    written = records.get("cenid", "")[:2]
    century = int(written) if written.isdigit() else 18
    sacred = "sacred" in records.get("AGN", "").lower()
    sung = heard[SINGING] > 0.02
    if century <= 16:
        return "early"
    if sacred or (sung and century == 17):
        return "sacred"
    if heard[STRINGS] > 0.9 and "viola" in records.get("AIN", ""):
        return "quartet"
    if century == 17:
        return "classical"
    if heard[KEYS] > 0.9 and not sung:
        return "romantic"
    return "song" if sung and heard[SINGING] + heard[KEYS] > 0.9 else "ensemble"


def default_voice(collection: str) -> int | None:
    """The voice of parts that name no instrument in this collection, None when it says nothing."""
    known = COLLECTIONS.get(collection)
    return DEFAULT_VOICES.get(known.source) if known else None


def fill_voices(notes: Notes, voice: int) -> Notes:
    """The same notes, all in one voice."""
    notes = notes.copy()
    notes["voice"] = np.uint8(voice)
    return notes
