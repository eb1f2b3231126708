"""Reads back what a journal keeps, without disturbing whoever is playing it."""

import bisect
import datetime
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from host.journal import read_spelled
from host.midi_file import Marker, MeterChange, TempoChange
from model.tokens import PPQN, Note

UNTOLD_BPM = 96.0  # before any tempo was told, as never happens


class Hour(NamedTuple):
    """An hour with music: its name in local time (2026-11-21T14), how many notes and marks."""

    name: str
    notes: int
    loved: int
    disliked: int


class Excerpt(NamedTuple):
    """Part of the piece; ticks count from the bar line before its first note."""

    notes: list[Note]
    tempos: list[TempoChange]
    meters: list[MeterChange]
    marks: list[Marker]

    @property
    def beats(self) -> float:
        """Its length."""
        return max((n.tick + n.duration for n in self.notes), default=0) / PPQN

    def seconds(self) -> Callable[[int], float]:
        """What turns its ticks into seconds, through every change of tempo."""
        ticks, times_s, tick_s = [0], [0.0], [60 / (UNTOLD_BPM * PPQN)]
        for change in self.tempos:
            times_s.append(times_s[-1] + (change.tick - ticks[-1]) * tick_s[-1])
            ticks.append(change.tick)
            tick_s.append(60 / (change.tempo_bpm * PPQN))

        def seconds(tick: int) -> float:
            at = bisect.bisect_right(ticks, tick) - 1
            return times_s[at] + (tick - ticks[at]) * tick_s[at]

        return seconds


class Mark(NamedTuple):
    """Somebody's judgement ("loved" or "disliked") of the moment at a tick, made at a time since 1970."""

    wall_s: float
    tick: int
    kind: str
    who: str


class History:
    """A journal, opened for reading; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.DatabaseError when it is no journal."""
        uri = f"{path.resolve().as_uri()}?mode=ro"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._hours: dict[str, int] = {}
        self._counted = 0  # the position up to which they were

    def excerpt(self, from_s: float, until_s: float) -> Excerpt:
        """What was due between two times (seconds since 1970)."""
        rows = self._db.execute(
            "SELECT position, tick, settings, tokens FROM spelled WHERE wall_s >= ? AND wall_s < ?"
            " ORDER BY position",
            (from_s, until_s),
        )
        spelled = [read_spelled(*row) for row in rows]
        notes = [s.note for s in spelled if s.note is not None]
        if not notes:
            return Excerpt([], [], [], [])
        first, last = notes[0].tick, notes[-1].tick
        meters = self._meters(spelled[0].settings, last)
        origin = first - (first - meters[0].tick) % meters[0].bar_ticks
        return Excerpt(
            [note._replace(tick=note.tick - origin) for note in notes],
            [TempoChange(max(t.tick - origin, 0), t.tempo_bpm) for t in self._tempos(first, last)],
            [MeterChange(max(m.tick - origin, 0), m.bar_ticks) for m in meters],
            [Marker(m.tick - origin, m.kind) for m in self.marks() if first <= m.tick <= last],
        )

    def marks(self) -> list["Mark"]:
        """Every mark, oldest first; none in a piece of a noonsong that kept none."""
        if not self._has_marks():
            return []
        rows = self._db.execute("SELECT wall_s, tick, kind, who FROM marks ORDER BY rowid")
        return [Mark(*row) for row in rows]

    def hours(self) -> list[Hour]:
        """Every hour with music, oldest first. What was counted once is remembered."""
        hour = "strftime('%Y-%m-%dT%H', wall_s, 'unixepoch', 'localtime')"
        query = f"SELECT {hour}, count(*), max(position) FROM spelled WHERE position > ? GROUP BY 1"
        for name, notes, position in self._db.execute(query, (self._counted,)).fetchall():
            self._hours[name] = self._hours.get(name, 0) + notes
            self._counted = max(self._counted, position)
        kinds: dict[tuple[str, str], int] = {}
        if self._has_marks():
            marks = f"SELECT {hour}, kind, count(*) FROM marks GROUP BY 1, 2"
            kinds = {(name, kind): count for name, kind, count in self._db.execute(marks)}
        return [
            Hour(name, notes, kinds.get((name, "loved"), 0), kinds.get((name, "disliked"), 0))
            for name, notes in sorted(self._hours.items())
        ]

    def span_text(self) -> str:
        """From when to when something was played, for people."""
        first, last = self._db.execute("SELECT min(wall_s), max(wall_s) FROM spelled").fetchone()
        if first is None:
            return "nowhere yet"
        times = (datetime.datetime.fromtimestamp(s).strftime("%Y-%m-%d %H:%M") for s in (first, last))
        return " to ".join(times)

    def _has_marks(self) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'marks'"
        return self._db.execute(query).fetchone() is not None

    def _tempos(self, first: int, last: int) -> list[TempoChange]:
        """The tempo at `first` and every change up to `last`."""
        query = "SELECT tick, value FROM moves WHERE control = 'tempo' AND tick <= ? ORDER BY rowid"
        changes = [TempoChange(tick, value) for tick, value in self._db.execute(query, (last,))]
        before = [change for change in changes if change.tick <= first][-1:]
        return before + [change for change in changes if change.tick > first]

    def _meters(self, settings: int, last: int) -> list[MeterChange]:
        """The metre under some settings and every change up to `last`."""
        query = (
            "SELECT meter_tick, bar_ticks FROM settings WHERE number >= ? AND meter_tick <= ? ORDER BY number"
        )
        changes = [MeterChange(*row) for row in self._db.execute(query, (settings, last))]
        return [c for i, c in enumerate(changes) if i == 0 or c != changes[i - 1]]
