"""Reads Humdrum **kern scores: notes with ties, tuplets and grace notes, written dynamics, repeats, metre.

Written for this archive because it is some thirty times quicker than engraving the score first, and because
bar lines, written dynamics (**dynam) and reference records are all at hand. The format is described at
https://www.humdrum.org/rep/kern/ and https://www.humdrum.org/rep/dynam/.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from model.archive.bars import Measure, bar_segments, usual_length
from model.archive.dynamics import Mark, says_something, velocities
from model.archive.kern import QUARTER, parse_token, units_of
from model.archive.piece import DEFAULT_TEMPO_BPM, FLAT_VELOCITY, Bars, Reading, Rejected, note_array
from model.archive.voices import voices_of_staves
from model.tokens import PPQN

LONGEST_SECTION_LIST = 400
MOST_MISPLACED = 0.1  # share of lines whose staves disagree about the time

_TOLERANCE = QUARTER // 64


@dataclass
class _Column:
    kind: str
    track: int  # index of the spine it was split from
    time: int = 0  # when the note last read in it ends
    resting: bool = True  # that was a rest: those are often written too long or too short, notes are not


@dataclass
class _Staff:
    """A **kern spine and what is said about it."""

    codes: list[str] = field(default_factory=list)
    name: str = ""
    has_lyrics: bool = False
    dynamics: int = -1  # track of the **dynam spine that speaks for it


@dataclass
class _Note:
    start: int
    end: int
    pitch: int
    track: int
    grace: int = 0  # how many places before its main note, 0 for a main note


def read_humdrum(text: str) -> Reading:
    """The notes of a **kern score with its repeats played out.

    Raises Rejected when the text is not Humdrum, has no **kern part or contradicts itself about time.
    """
    return _Reader().read(text)


def reference_records(text: str) -> dict[str, str]:
    """The `!!!key: value` records of a Humdrum file, the first of each key."""
    records: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("!!!") and not line.startswith("!!!!"):
            key, colon, value = line[3:].partition(":")
            if colon:
                records.setdefault(key.strip(), value.strip())
    return records


class _Reader:
    def __init__(self) -> None:
        self.columns: list[_Column] = []
        self.staves: dict[int, _Staff] = {}
        self.notes: list[_Note] = []
        self.tied: dict[tuple[int, int], _Note] = {}
        self.graces: dict[int, list[_Note]] = {}
        self.marks: dict[int, list[Mark]] = {}  # dynamics by track: (time, token)
        self.barlines: list[tuple[int, str]] = []
        self.metres: list[tuple[int, int]] = []  # (time, bar length in units)
        self.labels: list[tuple[int, str]] = []
        self.order: list[str] = []
        self.tempo_bpm = 0.0
        self.time = 0  # of the last line of notes, or the bar line after it
        self.after_bar = True
        self.lines = self.misplaced = 0

    def read(self, text: str) -> Reading:
        for line in text.splitlines():
            if not line or line[0] == "!":
                continue
            fields = line.split("\t")
            if line.startswith("**"):
                self._open(fields)
            elif not self.columns:
                raise Rejected("it is not Humdrum: music comes before the line of ** spines")
            elif len(fields) != len(self.columns):
                if line[0] == "*" and fields == ["*"]:
                    continue
                raise Rejected(f"a line has {len(fields)} fields where {len(self.columns)} spines are open")
            elif line[0] == "*":
                self._interpret(fields)
                if not self.columns:
                    break
            elif line[0] == "=":
                self._barline(fields)
            else:
                self._data(fields)
        if not self.staves:
            raise Rejected("it has no **kern part")
        if self.misplaced > MOST_MISPLACED * max(self.lines, 1):
            raise Rejected(f"its parts disagree about time in {self.misplaced} of {self.lines} lines")
        return self._finish(text)

    def _open(self, fields: list[str]) -> None:
        self.columns = [_Column(name, track) for track, name in enumerate(fields)]
        staves: list[int] = []  # since the last **dynam
        for track, name in enumerate(fields):
            if name == "**kern":
                self.staves[track] = _Staff()
                staves.append(track)
            elif name == "**dynam" and staves:
                for staff in staves[-2:]:
                    self.staves[staff].dynamics = track
                staves = []
            elif name.startswith(("**text", "**silbe")) and staves:
                self.staves[staves[-1]].has_lyrics = True

    def _interpret(self, fields: list[str]) -> None:
        for column, token in zip(self.columns, fields, strict=True):
            if column.track in self.staves and column.kind == "**kern":
                self._interpret_staff(self.staves[column.track], token)
        if any(token in ("*^", "*v", "*-", "*+", "*x") for token in fields):
            self._rearrange(fields)

    def _interpret_staff(self, staff: _Staff, token: str) -> None:
        if token.startswith('*I"'):
            staff.name = staff.name or token[3:].lstrip('"')
        elif token.startswith("*I"):
            staff.codes.append(token[2:])
        elif metre := re.fullmatch(r"\*M(\d+)/(\d+)(?:%(\d+))?", token):
            over, under = int(metre[1]), metre[2]
            bar = over * units_of(under, metre[3], "") if over else 0
            now = self._now()
            if bar and (not self.metres or self.metres[-1] != (now, bar)):
                self.metres.append((now, bar))
        elif tempo := re.fullmatch(r"\*MM(\d+(?:\.\d+)?)", token):
            self.tempo_bpm = self.tempo_bpm or float(tempo[1])
        elif section := re.fullmatch(r"\*>\[(.*)\]", token):
            self.order = self.order or [label.strip() for label in section[1].split(",")]
        elif (label := re.fullmatch(r"\*>([^\[\]]+)", token)) and (
            not self.labels or self.labels[-1][1] != label[1]
        ):
            self.labels.append((self._now(), label[1]))

    def _rearrange(self, fields: list[str]) -> None:
        columns: list[_Column] = []
        joining = False
        swap = -1
        for column, token in zip(self.columns, fields, strict=True):
            if token == "*v" and joining and columns and columns[-1].track == column.track:
                columns[-1].time = max(columns[-1].time, column.time)
                continue
            joining = token == "*v"
            if token == "*-":
                continue
            columns.append(column)
            if token == "*^":
                columns.append(_Column(column.kind, column.track, column.time, column.resting))
            elif token == "*+":
                columns.append(_Column("", -1))
            elif token == "*x":
                if swap < 0:
                    swap = len(columns) - 1
                else:
                    columns[swap], columns[-1] = columns[-1], columns[swap]
                    swap = -1
        self.columns = columns

    def _now(self) -> int:
        if self.after_bar:
            return self.time
        later = (c.time for c in self.columns if c.kind == "**kern" and c.time > self.time)
        return min(later, default=self.time)

    def _barline(self, fields: list[str]) -> None:
        staves = [column for column in self.columns if column.kind == "**kern"]
        begin = self.barlines[-1][0] if self.barlines else 0
        ends = {c.time for c in staves if c.time > begin and not c.resting}
        ends = ends or {c.time for c in staves if c.time > begin} or {begin}
        # A rest may reach over bar lines, so the longest staff does not tell where this one is.
        expected = begin + (self.metres[-1][1] if self.metres else 0)
        now = min(ends, key=lambda end: (abs(end - expected) > _TOLERANCE, end))
        for column in staves:
            column.time = max(column.time, now)
        self.time, self.after_bar = now, True
        if not self.barlines or self.barlines[-1][0] != now:
            self.barlines.append((now, fields[0]))
        else:
            self.barlines[-1] = (now, self.barlines[-1][1] + fields[0])

    def _data(self, fields: list[str]) -> None:
        now = self._line_time(fields)
        self.lines += 1
        in_place = True
        for column, token in zip(self.columns, fields, strict=True):
            if token == ".":
                continue
            if column.kind == "**dynam":
                self.marks.setdefault(column.track, []).append((now, token))
            elif column.kind == "**kern":
                duration, pitches, grace = parse_token(token)
                if grace:
                    self._grace(column, pitches, now)
                    continue
                if duration < 0:
                    in_place &= not pitches
                    continue
                if column.resting:
                    column.time = now
                in_place &= abs(column.time - now) <= _TOLERANCE
                column.time = max(column.time, now)
                column.resting = not pitches
                self._sound(column, pitches, duration)
                self.time, self.after_bar = now, False
        self.misplaced += not in_place

    def _line_time(self, fields: list[str]) -> int:
        """When a line of tokens sounds: where notes end that go on here; rests only where there are none."""
        ends: dict[bool, list[int]] = {True: [], False: []}
        for column, token in zip(self.columns, fields, strict=True):
            if column.kind == "**kern" and token != "." and column.time >= self.time:
                duration, _, grace = parse_token(token)
                if duration >= 0 and not grace:
                    ends[column.resting].append(column.time)
        return min(ends[False] or ends[True] or [self._now()])

    def _grace(self, column: _Column, pitches: tuple[tuple[int, str], ...], now: int) -> None:
        waiting = self.graces.setdefault(column.track, [])
        for earlier in waiting:
            earlier.grace += 1
        waiting.extend(_Note(now, now, pitch, column.track, 1) for pitch, _ in pitches)

    def _sound(self, column: _Column, pitches: tuple[tuple[int, str], ...], duration: int) -> None:
        start, end = column.time, column.time + duration
        column.time = end
        if waiting := self.graces.pop(column.track, None):
            for note in waiting:
                note.start = note.end = start
            self.notes.extend(waiting)
        for pitch, tie in pitches:
            key = (column.track, pitch)
            held = self.tied.get(key)
            if tie in ("_", "]") and held is not None and held.end >= start - QUARTER // 8:
                held.end = end
                if tie == "]":
                    del self.tied[key]
                continue
            note = _Note(start, end, pitch, column.track)
            self.notes.append(note)
            if tie in ("[", "_"):
                self.tied[key] = note

    def _finish(self, text: str) -> Reading:
        end = max((note.end for note in self.notes), default=0)
        staves = list(self.staves)
        records = reference_records(text)
        records["instruments"] = " ".join(
            code for s in self.staves.values() for code in s.codes[:1] or [s.name or "?"]
        )
        voices = dict(
            zip(
                staves,
                voices_of_staves(
                    [(s.codes, s.name, s.has_lyrics) for s in self.staves.values()], records.get("AIN", "")
                ),
                strict=True,
            )
        )
        heard = self._velocities()
        rows = []
        for start, stop, shift in self._sections(end):
            for note, velocity in zip(self.notes, heard, strict=True):
                voice = voices[note.track]
                if voice is None or not start <= note.start < stop or not 0 <= note.pitch < 128:
                    continue
                onset = _tick(note.start + shift)
                length = max(1, _tick(note.end + shift) - onset)
                if note.grace:
                    # A grace note steals a 32nd from what comes before; long groups are played closer.
                    length = 3
                    onset -= length * min(note.grace, 6)
                    if onset < 0:
                        continue
                rows.append((onset, length, note.pitch, velocity, voice))
        return Reading(
            notes=note_array(rows),
            bars=self._bars(end),
            tempo_bpm=self.tempo_bpm or DEFAULT_TEMPO_BPM,
            has_dynamics=any(says_something(marks) for marks in self.marks.values()),
            records=records,
        )

    def _velocities(self) -> list[int]:
        """One for each note; a staff without dynamics goes with those that are written first."""
        written = {track: marks for track, marks in self.marks.items() if says_something(marks)}
        heard = np.full(len(self.notes), FLAT_VELOCITY, dtype=np.int64)
        if not written:
            return [int(velocity) for velocity in heard]
        first = next(iter(written.values()))
        tracks = np.array([note.track for note in self.notes])
        times = np.array([note.start for note in self.notes])
        for track, staff in self.staves.items():
            mine = tracks == track
            heard[mine] = velocities(written.get(staff.dynamics, first), times[mine], QUARTER)
        return [int(velocity) for velocity in heard]

    def _sections(self, end: int) -> list[tuple[int, int, int]]:
        """(start, stop, shift) in units of each stretch in playing order."""
        played = self._labelled(end) or self._repeated(end)
        result = []
        at = 0
        for start, stop in played:
            result.append((start, stop, at - start))
            at += stop - start
        return result

    def _labelled(self, end: int) -> list[tuple[int, int]]:
        """Stretches by the list of section labels; empty when there is none or it names what is not there."""
        if not self.labels:
            return []
        spans: dict[str, tuple[int, int]] = {}
        stops = [*(time for time, _ in self.labels[1:]), end]
        for (start, label), stop in zip(self.labels, stops, strict=True):
            spans.setdefault(label, (start, stop))
        order = [label for label in self.order if label] or _order_of_endings(list(spans))
        if not order or len(order) > LONGEST_SECTION_LIST or not set(order) <= set(spans):
            return []
        lead = [(0, self.labels[0][0])] if self.labels[0][0] > 0 else []
        return lead + [spans[label] for label in order]

    def _repeated(self, end: int) -> list[tuple[int, int]]:
        """Stretches by repeat signs, each repeated once."""
        played = []
        begin = 0
        for time, sign in [*self.barlines, (end, "")]:
            if sign and ":" not in sign:
                continue
            ends_repeat = re.search(r":[|!]", sign) is not None
            if ends_repeat or re.search(r"[|!]:", sign) or not sign:
                if time > begin:
                    played.extend([(begin, time)] * (2 if ends_repeat else 1))
                begin = time
        return played

    def _bars(self, end: int) -> Bars:
        times = sorted({0, end, *(time for time, _ in self.barlines)})
        written = [(_tick(a), _tick(b)) for a, b in pairwise(times) if b <= end]
        usual = usual_length(written) if not self.metres else 0
        measures: list[Measure] = []
        for start, stop, shift in self._sections(end):
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


def _order_of_endings(labels: list[str]) -> list[str]:
    """Playing order of sections A, A1, A2, B without a list: A comes again before its later endings."""
    order: list[str] = []
    for label in labels:
        stem, number = label[:-1], label[-1:]
        if number.isdigit() and number != "1" and stem in labels:
            order.append(stem)
        order.append(label)
    return order if len(order) > len(labels) else []


def _tick(units: int) -> int:
    return (2 * units * PPQN + QUARTER) // (2 * QUARTER)
