"""Which instrument family a part belongs to: from General MIDI programs, Humdrum codes or written names."""

import re
import unicodedata
from collections.abc import Sequence

from model.tokens import DRUMS, VOICE_NAMES, VOICES

BASS, KEYS, PLUCKED, STRINGS, WINDS, SINGING = (
    VOICE_NAMES.index(name) for name in ("bass", "keys", "plucked", "strings", "winds", "voice")
)

_BY_PROGRAM: tuple[int | None, ...] = tuple(
    next((v for v, voice in enumerate(VOICES) if any(program in r for r in voice.programs)), None)
    for program in range(128)
)

# Humdrum instrument codes (https://www.humdrum.org/guide/ch04/). None: unpitched, or noise as pitch.
_CODES: dict[int | None, str] = {
    SINGING: "bass tenor alto soprn vox canto calto mezzo barit male feme coro quinto cantus ccanto",
    KEYS: "piano forte organ clavi cemba cembal harpsi klavi clavc celes glock vibra xylo",
    STRINGS: "violn viola cello cbass viole violb violt viold gamba violp vilda colne strgs fiddle",
    WINDS: "flt picco oboe clars clarb clara clarp fagot cangl cor corno tromp tromt tromb troma clrno tuba"
    " cornt serp ophic physh fagotc recor sax",
    PLUCKED: "arpa liuto guitr lute mando theor cetra chitr",
    None: "timpa trngl piatt drump bdrum drum tambn gong sdrum cymba castn",
}
_BY_CODE = {code: voice for voice, codes in _CODES.items() for code in codes.split()}
# https://www.w3.org/2021/06/musicxml40/listings/sounds.xml
_BY_SOUND: dict[str, int | None] = {
    "voice": SINGING, "keyboard": KEYS, "strings": STRINGS, "wind": WINDS, "brass": WINDS, "pluck": PLUCKED,
    "pitched-percussion": KEYS, "drum": None, "metal": None, "wood": None, "rattle": None, "effect": None,
}  # fmt: skip
_BY_CLASS = {
    "Cvox": SINGING, "Cklav": KEYS, "Cstr": STRINGS, "Cww": WINDS, "Cbras": WINDS, "Cbrass": WINDS,
    "Cidio": None, "Cperc": None,
}  # fmt: skip

# Words in names of parts, longest first wins by order: Latin, Italian, French, German, Polish, English.
# Beginnings of words in names of parts: Latin, Italian, French, German, Polish, English. The first line that
# has one decides, so a bass trombone is a wind and a violone a string.
_WORDS: tuple[tuple[int | None, str], ...] = (
    (None, "timpan tympan kotły drum cymbal triang piatt tambur grancassa percuss becken pauke"),
    (
        PLUCKED,
        "guitar chitarr gitar (?<!f)lute liuto laute theorb tiorb harp(?!s) harfe arpa mandol banjo ukulele",
    ),
    (
        KEYS,
        "piano forte klav clav organ orgue orgel fundament cembal harpsich keyboard celest klawi continuo",
    ),
    (
        STRINGS,
        "violin viola viole violon cello vcl contrab kontrab doublebass geig bratsch string altówk skrzyp",
    ),
    (STRINGS, r"fiddle ^vla ^vln ^vl ^vc ^v\.?[12i] gamba streich"),
    (
        WINDS,
        "flut flaut flöt flet picc obo hautb clarin klarin fagot bassoon basson horn corn trom trump tub[ae]",
    ),
    (WINDS, "sax recorder wind whistle posaun ophi serpent waldh"),
    (
        SINGING,
        "sopran alt tenor bas canto cantus discant voice voix voce vox chor coro chœur głos śpiew glos",
    ),
    (SINGING, "spiew singst gesang vagans quint sext sept superius mezzo bariton solo chant vocal stimme"),
)
_BY_WORD = tuple((voice, re.compile("|".join(words.split()))) for voice, words in _WORDS)


def voice_of_program(program: int, is_drum: bool = False) -> int | None:
    """Index into VOICES of a General MIDI program (0-127); None for timpani and sound effects."""
    if is_drum:
        return DRUMS
    return _BY_PROGRAM[program] if 0 <= program < 128 else None


def voice_of_sound(sound: str) -> int | str | None:
    """Index into VOICES of a standard MusicXML sound such as `strings.violin`, "" for any other."""
    if sound.startswith("pluck.bass"):
        return BASS
    return _BY_SOUND.get(sound.partition(".")[0], "")


def voice_of_name(name: str) -> int | str | None:
    """Index into VOICES of a written part name, None for percussion, "" when the name says nothing."""
    name = unicodedata.normalize("NFC", name).lower().replace("ſ", "s").strip(' ".[]')
    if re.search(r"bass guitar|electric bass|fretless|slap bass|synth bass", name):
        return BASS
    name = name.replace(" ", "")
    for voice, pattern in _BY_WORD:
        if pattern.search(name):
            return voice
    return ""


def voices_of_staves(
    staves: Sequence[tuple[Sequence[str], str, bool]], ensemble: str = ""
) -> list[int | None]:
    """Voices of the staves of a Humdrum score, each given as (codes, name, has_lyrics); None: leave it out.

    A staff that says nothing takes after its neighbours: a keyboard part when the score has a keyboard or no
    more than two staves, a voice when it has words or stands among singers. `ensemble`: the AIN record.
    """
    found = [_voice_of_staff(codes, name) for codes, name, _ in staves]
    known = [v for v in found if isinstance(v, int)]
    result: list[int | None] = []
    for (_, _, has_lyrics), voice in zip(staves, found, strict=True):
        if voice != "":
            result.append(voice if not isinstance(voice, str) else None)
        elif has_lyrics:
            result.append(SINGING)
        elif len(staves) <= 2 or KEYS in known or re.search("piano|forte|organ|clav", ensemble):
            result.append(KEYS)
        elif known:
            result.append(max(set(known), key=known.count))
        else:
            result.append(SINGING if len(staves) <= 8 else KEYS)
    return result


def _voice_of_staff(codes: Sequence[str], name: str) -> int | str | None:
    by_class: int | str | None = ""
    for code in codes:
        first = re.split(r"[&|]", code.strip())[0]
        if first in _BY_CLASS:
            by_class = _BY_CLASS[first]
        elif first.lower() in _BY_CODE:
            # "bass" is a singer among singers, and a string or keyboard bass under another class.
            voice = _BY_CODE[first.lower()]
            if voice == SINGING and by_class not in ("", SINGING):
                return by_class
            return voice
    if by_class != "":
        return by_class
    return voice_of_name(name) if name else ""
