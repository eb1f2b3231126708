"""The past, played once more through the box's own outputs.

What sounds then is not the piece: journal, playhead and player know nothing of it, so the piece goes on where it
was. Notes are handed to the scheduler a little ahead of their time; its rules end every one of them.
"""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from host.events import NoteOn
from host.instrument import Instrument
from host.panel.requests import Excerpt
from host.scheduler import TimedNote
from model.tokens import VOICES

AHEAD_S = 0.5
LOOK_S = 0.1
FIRST_S = 0.3  # from the wish to the first note, more than what is final: the piece has fallen silent by then
LAST_S = 0.5  # after the last note has ended


class Sounded(NamedTuple):
    """A note of the past, in seconds from its excerpt's beginning."""

    at_s: float
    length_s: float
    voice: int
    pitch: int
    velocity: int


class Replay:
    """At most one excerpt at a time. For any thread; `look` is called by its own."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._lock = threading.RLock()
        self._excerpt: Excerpt | None = None
        self._begun_s = 0.0  # when second 0 of the excerpt was, or would have been
        self._rows: list[Sounded] = []
        self._next = 0
        self._panics = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, excerpt: Excerpt) -> None:
        """Play it, in place of what is played of the past now; its notes are then told by `add`."""
        with self._lock:
            self._silence()
            self._excerpt, self._rows, self._next = excerpt, [], 0
            self._begun_s = self._now_s() + self._instrument.performance.commit_s + FIRST_S - excerpt.from_s
            self._panics = self._instrument.panics
            self._instrument.wait_for_past(not excerpt.beside)
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="past", daemon=True)
            self._thread.start()

    def add(self, number: int, rows: Sequence[Sounded]) -> None:
        """Further notes of an excerpt, in the order of their times; those of one that has ended are left."""
        with self._lock:
            excerpt = self._excerpt
            if excerpt is not None and excerpt.number == number:
                self._rows += [
                    row
                    for row in rows
                    if row.at_s >= excerpt.from_s and 0 <= row.voice < len(VOICES)
                    and 0 <= row.pitch <= 127 and 1 <= row.velocity <= 127
                ]  # fmt: skip

    def end(self) -> None:
        """Silence it at once, and let the piece go on."""
        with self._lock:
            self._silence()
            self._instrument.wait_for_past(False)

    def state(self) -> dict[str, Any] | None:
        """For those who look on: what is played, and the time at which its second 0 was."""
        with self._lock:
            if self._excerpt is None:
                return None
            return {**msgspec.structs.asdict(self._excerpt), "begun_s": round(self._begun_s, 3)}

    def look(self, now_s: float) -> None:
        """Hand on what comes next; at its end, end."""
        with self._lock:
            excerpt = self._excerpt
            if excerpt is None:
                return
            until_s = now_s + AHEAD_S - self._begun_s
            due = []
            while self._next < len(self._rows) and self._rows[self._next].at_s < until_s:
                due.append(self._rows[self._next])
                self._next += 1
            self._instrument.scheduler.add(
                TimedNote(
                    None,
                    self._begun_s + row.at_s,
                    self._begun_s + row.at_s + row.length_s,
                    NoteOn(row.voice, row.pitch, row.velocity),
                )
                for row in due
            )
            over = now_s > self._begun_s + excerpt.length_s + LAST_S
            if over or self._instrument.panics != self._panics:
                self.end()

    def _silence(self) -> None:
        if self._excerpt is not None:
            self._excerpt = None
            self._stop.set()
            self._instrument.scheduler.withdraw(self._now_s())

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_S):
            self.look(self._now_s())

    def _now_s(self) -> float:
        return self._instrument.now_s()
