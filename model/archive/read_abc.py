"""Reads tunes in ABC notation: notes, chords, tuplets, broken rhythm, ties, repeats with endings, metre.

Own code because verovio crashes on a fifth of the tunes in music21's corpus and music21 needs half a second
for each. The notation: https://abcnotation.com/wiki/abc:standard:v2.1
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from model.archive.bars import Measure, bar_segments, usual_length
from model.archive.piece import DEFAULT_TEMPO_BPM, FLAT_VELOCITY, Bars, Reading, Rejected, note_array
from model.archive.voices import KEYS, voice_of_name, voice_of_program
from model.tokens import PPQN

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHARPS, _FLATS = "FCGDAEB", "BEADGCF"
_FIFTHS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "F": -1}
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "mix": -1,
    "dor": -2,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "phr": -4,
    "loc": -5,
    "lyd": 1,
}
_ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_TUPLET_TIME = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
_MOST_REPEATS = 8

_TOKEN = re.compile(
    r"""
    (?P<quoted>"[^"]*")
    | (?P<decoration>![^!|\s]*!|\+[^+|\s]+\+)
    | (?P<inline>\[[A-Za-z]:[^\]]*\])
    | (?P<ending>(?:\[|(?<=\|)|(?<=[:|]\s))\s*\d[\d,.-]*)
    | (?P<bar>:*\[\|[|:]*|:*\|[|\]:]*|::+)
    | (?P<tuplet>\(\d(?::\d*(?::\d*)?)?)
    | (?P<grace>\{/?[^}]*\})
    | (?P<chord>\[(?:[^\]"]|"[^"]*")*\](?P<chordlength>\d*/*\d*)(?P<chordtie>-?))
    | (?P<note>(?P<accidental>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>\d*/*\d*)
        \s?(?P<tie>-?))
    | (?P<rest>[zxy](?P<restlength>\d*/*\d*))
    | (?P<barrest>[ZX](?P<barcount>\d*))
    | (?P<broken><+|>+)
    """,
    re.VERBOSE,
)
_NOTE = re.compile(r"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)(\d*/*\d*)(-?)")

Event = tuple[Fraction, Fraction, int, bool]  # onset and length in beats, pitch, is a grace note


@dataclass
class _Voice:
    """What is open in one voice of a tune while it is read."""

    name: str = ""
    program: int = -1
    time: Fraction = Fraction(0)
    events: list[Event] = field(default_factory=list)
    tied: dict[int, int] = field(default_factory=dict)  # pitch -> index of the event that goes on
    accidentals: dict[str, int] = field(default_factory=dict)  # of this bar, by letter and octave
    tuplet: tuple[int, Fraction] = (0, Fraction(1))  # notes left, factor
    pending: Fraction = Fraction(1)  # what a broken rhythm does to the next note
    last: tuple[int, Fraction] = (0, Fraction(0))  # events of the last note or chord, its length
    graces: list[int] = field(default_factory=list)
    marks: list[tuple[Fraction, str]] = field(default_factory=list)  # bar lines and endings


def read_abc(text: str) -> Reading:
    """The notes of one tune with its repeats played out. Raises Rejected when it holds no notes."""
    return _Reader().read(text)


class _Reader:
    def __init__(self) -> None:
        self.unit = Fraction(0)
        self.metre = Fraction(4)
        self.metres: list[tuple[Fraction, Fraction]] = []
        self.key: dict[str, int] = {}
        self.tempo_bpm = 0.0
        self.program = -1
        self.voices: dict[str, _Voice] = {"": _Voice()}
        self.voice = self.voices[""]
        self.in_body = False
        self.free_metre = False

    def read(self, text: str) -> Reading:
        for written in text.splitlines():
            if program := re.match(r"%%MIDI\s+program\s+(?:\d+\s+)?(\d+)\s*$", written):
                self.program = int(program[1])
                self.voice.program = self.program
            line = re.sub(r"(?<!\\)%.*", "", written).strip()
            if found := re.match(r"([A-Za-z+]):\s*(.*)", line):
                self._field(found[1], found[2])
            elif line and self.in_body:
                self._music(line)
        voices = [voice for voice in self.voices.values() if voice.events]
        if not voices:
            raise Rejected("it has no notes")
        rows: list[tuple[int, int, int, int, int]] = []
        for voice in voices:
            rows.extend(self._rows(voice))
        lead = max(voices, key=lambda voice: len(voice.marks))
        return Reading(
            note_array(rows), self._bars(lead), self.tempo_bpm or DEFAULT_TEMPO_BPM, records=abc_records(text)
        )

    def _field(self, name: str, value: str) -> None:
        if name == "L" and (found := re.match(r"(\d+)/(\d+)", value)) and int(found[2]):
            self.unit = Fraction(4 * int(found[1]), int(found[2]))
        elif name == "M":
            self._set_metre(value)
        elif name == "Q":
            self._set_tempo(value)
        elif name == "K":
            self.key = key_signature(value) if value[:4].lower() != "clef" else self.key
            if not self.in_body and not self.unit:
                self.unit = Fraction(1, 2) if self.metre >= 3 else Fraction(1, 4)
            self.in_body = True
        elif name == "V":
            self._set_voice(value)

    def _set_metre(self, value: str) -> None:
        value = value.strip()
        named = {"C": Fraction(4), "C|": Fraction(4)}
        found = re.match(r"\(?([\d+ ]+)\)?/(\d+)", value)
        if found and int(found[2]):
            over = sum(int(part) for part in re.findall(r"\d+", found[1]))
            self.metre = Fraction(4 * over, int(found[2]))
        elif value in named:
            self.metre = named[value]
        else:
            self.free_metre = True
            return
        if self.metre > 0:
            self.metres.append((self.voice.time, self.metre))

    def _set_tempo(self, value: str) -> None:
        beat = re.search(r"(\d+)/(\d+)\s*=\s*(\d+)", value)
        plain = re.fullmatch(r"\s*(\d+)\s*", value)
        if beat and int(beat[2]) and not self.tempo_bpm:
            self.tempo_bpm = float(Fraction(4 * int(beat[1]), int(beat[2])) * int(beat[3]))
        elif plain and not self.tempo_bpm:
            self.tempo_bpm = float(plain[1])
        if not 10 <= self.tempo_bpm <= 500:
            self.tempo_bpm = 0.0

    def _set_voice(self, value: str) -> None:
        number = value.split(maxsplit=1)[0] if value.strip() else ""
        if not self.in_body and number not in self.voices and not self.voices[""].events:
            self.voices.setdefault(number, _Voice())
        self.voice = self.voices.setdefault(number, _Voice())
        if found := re.search(r'(?:name|nm|n)="?([^"]+)', value):
            self.voice.name = found[1]

    def _music(self, line: str) -> None:
        voice = self.voice
        for token in _TOKEN.finditer(line):
            voice = self.voice
            if token["inline"]:
                self._field(token["inline"][1], token["inline"][3:-1].strip())
            elif token["bar"]:
                voice.marks.append((voice.time, token["bar"]))
                voice.accidentals.clear()
            elif token["ending"]:
                voice.marks.append((voice.time, re.sub(r"[^\d,-]", "", token["ending"])))
            elif token["tuplet"]:
                voice.tuplet = _tuplet(token["tuplet"], self.metre)
            elif token["grace"]:
                voice.graces = [
                    self._pitch(*found.group(1, 2, 3)) for found in _NOTE.finditer(token["grace"])
                ]
            elif token["chord"]:
                inside = list(_NOTE.finditer(token["chord"]))
                if inside:
                    length = _length(token["chordlength"]) * _length(inside[0][4])
                    pitches = [
                        (self._pitch(*n.group(1, 2, 3)), bool(n[5] or token["chordtie"])) for n in inside
                    ]
                    self._sound(pitches, length)
            elif token["note"]:
                pitch = self._pitch(token["accidental"], token["letter"], token["octave"])
                self._sound([(pitch, bool(token["tie"]))], _length(token["length"]))
            elif token["rest"] and token["rest"][0] != "y":
                self._sound([], _length(token["restlength"]))
            elif token["barrest"]:
                voice.time += self.metre * int(token["barcount"] or 1)
            elif token["broken"]:
                self._broken(token["broken"])

    def _pitch(self, accidental: str | None, letter: str, octave: str) -> int:
        up = octave.count("'") - octave.count(",") + letter.islower()
        spelled = f"{letter.upper()}{up}"
        if accidental:
            self.voice.accidentals[spelled] = _ACCIDENTALS[accidental]
        alter = self.voice.accidentals.get(spelled, self.key.get(letter.upper(), 0))
        return 60 + 12 * up + _STEPS[letter.upper()] + alter

    def _sound(self, pitches: list[tuple[int, bool]], length: Fraction) -> None:
        voice = self.voice
        length *= (self.unit or Fraction(1, 2)) * voice.pending
        voice.pending = Fraction(1)
        left, factor = voice.tuplet
        if left:
            length *= factor
            voice.tuplet = (left - 1, factor)
        for back, pitch in enumerate(reversed(voice.graces), 1):
            voice.events.append((voice.time - Fraction(back, 8), Fraction(1, 8), pitch, True))
        voice.graces = []
        held, voice.tied = voice.tied, {}
        first = len(voice.events)
        for pitch, tie in pitches:
            if pitch in held:
                index = held[pitch]
                onset, before, _, _ = voice.events[index]
                voice.events[index] = (onset, before + length, pitch, False)
            else:
                index = len(voice.events)
                voice.events.append((voice.time, length, pitch, False))
            if tie:
                voice.tied[pitch] = index
        voice.time += length
        voice.last = (len(voice.events) - first, length)

    def _broken(self, signs: str) -> None:
        """`a>b` lengthens the first by half of the second, `>>` by three quarters, and so on."""
        voice = self.voice
        count, length = voice.last
        short = Fraction(1, 2 ** len(signs))
        mine, following = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        change = length * (mine - 1)
        for index in range(len(voice.events) - count, len(voice.events)):
            onset, before, pitch, grace = voice.events[index]
            voice.events[index] = (onset, before + change, pitch, grace)
        voice.time += change
        voice.pending = following

    def _rows(self, voice: _Voice) -> list[tuple[int, int, int, int, int]]:
        family = voice_of_name(voice.name) if voice.name else ""
        if isinstance(family, str):
            program = voice.program if voice.program >= 0 else self.program
            family = voice_of_program(program) if program >= 0 else KEYS
        rows = []
        if family is None:
            return []
        for start, stop, shift in _played(voice):
            for onset, length, pitch, grace in voice.events:
                sounding = onset + (Fraction(1) if grace else 0)
                if start <= onset < stop or (grace and onset < start <= sounding < stop):
                    tick = _tick(onset + shift)
                    duration = max(1, _tick(onset + shift + length) - tick)
                    if tick >= 0 and 0 <= pitch < 128:
                        rows.append((tick, duration, pitch, FLAT_VELOCITY, family))
        return rows

    def _bars(self, voice: _Voice) -> Bars:
        lines = [time for time, sign in voice.marks if not sign[0].isdigit()]
        times = sorted({Fraction(0), voice.time, *lines})
        written = [(_tick(a), _tick(b)) for a, b in pairwise(times)]
        usual = usual_length(written) if self.free_metre or not self.metres else 0
        measures: list[Measure] = []
        for start, stop, shift in _played(voice):
            for a, b in pairwise(times):
                low, high = max(a, start), min(b, stop)
                if high <= low:
                    continue
                nominal = usual
                for time, bar in self.metres:
                    if time <= a:
                        nominal = _tick(bar)
                measures.append((_tick(low + shift), _tick(high + shift), nominal))
        return bar_segments(measures)


def key_signature(text: str) -> dict[str, int]:
    """The altered letters of an ABC key such as `Am`, `D mix`, `HP` or `none`, with added accidentals."""
    found = re.match(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)", text)
    key: dict[str, int] = {}
    if text.strip()[:2] in ("HP", "Hp"):
        return {"F": 1, "C": 1} if text.strip()[:2] == "Hp" else {}
    if found and not text.lower().startswith("none"):
        mode = found[3].lower()
        mode = mode if mode in ("m", "") else mode[:3]
        fifths = _FIFTHS[found[1]] + {"#": 7, "b": -7, "": 0}[found[2]] + _MODES.get(mode, 0)
        key = (
            dict.fromkeys(_SHARPS[:fifths], 1)
            if fifths > 0
            else dict.fromkeys(_FLATS[:-fifths], -1)
            if fifths
            else {}
        )
    for accidental, letter in re.findall(r"(\^\^|\^|__|_|=)([A-Ga-g])", text):
        key[letter.upper()] = _ACCIDENTALS[accidental]
    return key


def abc_records(text: str) -> dict[str, str]:
    """Title, composer, rhythm and transcriber of a tune, under Humdrum's record names."""
    names = {"T": "OTL", "C": "COM", "R": "AGN", "Z": "ENC"}
    records: dict[str, str] = {}
    for line in text.splitlines():
        if (field := re.match(r"([TCRZ]):\s*(\S.*)", line)) and names[field[1]] not in records:
            records[names[field[1]]] = field[2].strip()
    return records


def _length(text: str) -> Fraction:
    """`3/2`, `/`, `//`, `/4`, `2` or nothing as a factor."""
    found = re.fullmatch(r"(\d*)(/*)(\d*)", text)
    over = int(found[1]) if found and found[1] else 1
    slashes = len(found[2]) if found else 0
    under = int(found[3]) if found and found[3] and slashes else 2**slashes
    return Fraction(over, max(under, 1))


def _tuplet(text: str, metre: Fraction) -> tuple[int, Fraction]:
    """(notes, factor) of `(p:q:r`: p notes in the time of q, for the next r."""
    parts = [int(part) if part else 0 for part in text[1:].split(":")] + [0, 0]
    p, q, r = parts[:3]
    compound = metre.numerator % 3 == 0 and metre.denominator != 1
    q = q or _TUPLET_TIME.get(p, 3 if compound else 2)
    return r or p, Fraction(q, p) if p else Fraction(1)


def _played(voice: _Voice) -> list[tuple[Fraction, Fraction, Fraction]]:
    """(start, stop, shift) of each stretch in playing order: repeats once, endings in their turn."""
    stretches: list[tuple[Fraction, Fraction]] = []
    begin = Fraction(0)  # of the part that a repeat sign goes back to
    done = Fraction(0)  # up to here everything is in stretches
    ending: Fraction | None = None  # where the first ending begins
    in_later_ending = False
    for time, sign in [*voice.marks, (voice.time, "|]")]:
        if sign[0].isdigit():
            if re.search(r"\b1", sign):
                ending = time
                in_later_ending = False
            else:
                in_later_ending = True
            continue
        goes_back = sign.startswith(":")
        starts = sign.endswith(":")
        if goes_back and time > begin:
            if time > done:
                stretches.append((max(done, begin), time))
            if ending is not None and begin < ending <= time and not in_later_ending:
                stretches.append((begin, ending))
            elif not in_later_ending:
                stretches.append((begin, time))
            done = time
            # After a first ending the second follows; a further repeat sign starts from what comes after.
            begin = time
            ending = None
        elif time > done and (starts or "||" in sign or "]" in sign or time == voice.time):
            stretches.append((done, time))
            done = time
        if starts or "||" in sign:
            begin = time
            in_later_ending = False
            ending = None
    result = []
    at = Fraction(0)
    for start, stop in stretches:
        if stop > start:
            result.append((start, stop, at - start))
            at += stop - start
    return result


def _tick(beats: Fraction) -> int:
    return int(beats * PPQN + Fraction(1, 2)) if beats >= 0 else -int(-beats * PPQN + Fraction(1, 2))
