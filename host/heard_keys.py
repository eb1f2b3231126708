"""Keys that somebody else presses, gathered into chords; no more than two hands can play. Pure."""

import math
from collections import deque
from collections.abc import Iterator

from host.events import Heard

GATHER_S = 0.012  # keys pressed so near to each other are one chord
# No two hands play more; a file that is poured into the keyboard's port would take the time for our own notes.
MOST_PER_S = 60
MAX_WAITING = 64
STILL_PLAYED_S = 0.5


class HeardKeys:
    """Any thread adds, one takes."""

    def __init__(self) -> None:
        self.refused = 0
        self._waiting: deque[Heard] = deque()
        self._allowed = float(MOST_PER_S)
        self._last_s = -math.inf

    def add(self, heard: Heard) -> None:
        """A key was pressed just now. Too many are refused, and counted."""
        if len(self._waiting) >= MAX_WAITING:
            self.refused += 1
        else:
            self._waiting.append(heard)

    def chords(self, now_s: float) -> Iterator[list[Heard]]:
        """Those that are complete."""
        while self._waiting and now_s - self._waiting[0].t_s >= GATHER_S:
            first = self._waiting.popleft()
            chord = [first]
            while self._waiting and self._waiting[0].t_s - first.t_s < GATHER_S:
                chord.append(self._waiting.popleft())
            admitted = chord[: self._allow(now_s)]
            self._allowed -= len(admitted)
            self.refused += len(chord) - len(admitted)
            if admitted:
                yield admitted

    def next_s(self) -> float | None:
        """When the next chord will be complete."""
        return self._waiting[0].t_s + GATHER_S if self._waiting else None

    def still_played(self, now_s: float) -> bool:
        """Whether there was a key a moment ago, so that another is likely."""
        return now_s - self._last_s < STILL_PLAYED_S

    def _allow(self, now_s: float) -> int:
        passed_s = min(now_s - self._last_s, 1.0)
        self._last_s = now_s
        self._allowed = min(self._allowed + passed_s * MOST_PER_S, float(MOST_PER_S))
        return int(self._allowed)
