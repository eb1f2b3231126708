"""One item to one piece: picks the reader, tidies, labels. Runs in the worker processes."""

import hashlib

from model.archive import labels
from model.archive.duplicates import signature
from model.archive.musicxml import decode_text, unpack_mxl
from model.archive.piece import Piece, Provenance, Reading, Rejected
from model.archive.sources import Item, abc_tunes, is_restricted, read_item
from model.archive.store import Parsed
from model.archive.tidy import MOST_BEATS, tidy
from model.tokens import PPQN

# Raise a number when its reader's results change: only files of that kind are then read again.
TIDY_VERSION = 2
READERS = {".mid": "midi 1", ".midi": "midi 1", ".krn": "humdrum 2", ".abc": "abc 3"}
SCORE_READER = "score 3"


def reader_of(item: Item) -> str:
    """Name and version of the reader that this item goes through."""
    suffix = "." + item.member.lower().rpartition(".")[2]
    return f"{READERS.get(suffix, SCORE_READER)}, tidy {TIDY_VERSION}"


def parse(item: Item) -> Parsed:
    """Read one item. Never raises for what is in the file: what cannot be read has its reason said."""
    content_hash = ""
    reader = reader_of(item)
    try:
        data = read_item(item)
        content_hash = hashlib.sha256(data + str(item.tune).encode()).hexdigest()
        if not data.strip():
            raise Rejected("it is empty")
        if is_restricted(item, data):
            raise Rejected("its encoding is restricted: rights to electronic formats are reserved")
        reading = _read(item, data)
        labels.check_licence(item.collection, reading.records)
        piece = _piece(item, reading, content_hash)
    except Rejected as error:
        return Parsed(item, reader, content_hash, reason=str(error))
    except RecursionError:
        return Parsed(item, reader, content_hash, reason="it is nested too deeply to be music")
    except Exception as error:  # one odd file must not end a build of millions
        return Parsed(
            item, reader, content_hash, reason=f"its reader failed on it ({type(error).__name__}: {error})"
        )
    return Parsed(item, reader, content_hash, "", piece, signature(piece.notes), reading.records)


def _piece(item: Item, reading: Reading, content_hash: str) -> Piece:
    voice = labels.default_voice(item.collection)
    if voice is not None and len(reading.notes):
        reading.notes = labels.fill_voices(reading.notes, voice)
    notes, bars = tidy(reading)
    provenance: Provenance = labels.provenance(item, reading.records, content_hash)
    source = labels.source_of(item, reading.records, notes, reading.performed)
    return Piece(notes, bars, reading.tempo_bpm, source, provenance, reading.has_dynamics, reading.performed)


def _read(item: Item, data: bytes) -> Reading:
    name = item.member.lower()
    if name.endswith((".mid", ".midi")):
        from model.archive.read_midi import read_midi

        return read_midi(data)
    if name.endswith(".zip"):
        raise Rejected("it is not a zip that can be read")
    text = unpack_mxl(data) if name.endswith(".mxl") else decode_text(data)
    if name.endswith(".krn"):
        from model.archive.read_humdrum import read_humdrum

        return read_humdrum(text)
    if name.endswith(".abc"):
        from model.archive.read_abc import read_abc

        tunes = abc_tunes(text)
        if not tunes:
            raise Rejected("it is not ABC: no tune begins with X:")
        return read_abc(tunes[item.tune - 1 if item.tune else 0])
    if not item.spare_reader:
        from model.archive.read_score import read_score

        reading = read_score(text)
        # A broken measure in verovio can put the rest of a piece hours away.
        if len(reading.notes) and int(reading.notes["tick"].max()) <= MOST_BEATS * PPQN:
            return reading
    from model.archive.read_music21 import read_with_music21

    return read_with_music21(text)


def has_spare_reader(item: Item) -> bool:
    """Whether a second reader can try what the first one crashed on."""
    return not item.spare_reader and item.member.lower().endswith((".mxl", ".xml", ".musicxml"))
