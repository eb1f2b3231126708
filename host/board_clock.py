"""The board's microseconds against our seconds, from timestamped pings. Pure.

An Arduino's resonator may be off by half a percent, so offset and drift are fitted together: a straight line
through the pings of the last ten seconds that were not held up on their way.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW_S = 10.0
MAX_POINTS = 160
WRAP_US = 1 << 32
# Ceramic resonators are within 0.5 %; beyond twice that a fit of few points is nonsense.
MAX_DRIFT = 0.01
FIT_AFTER_S = 0.15
STEP_S = 0.002


class _Point(NamedTuple):
    host_s: float
    board_us: float
    round_trip_s: float


class BoardClock:
    """Feed pongs, convert times. Before the first pong `known` is False and conversion means nothing."""

    def __init__(self) -> None:
        self._points: deque[_Point] = deque(maxlen=MAX_POINTS)
        self._host0 = 0.0
        self._board0 = 0.0
        self._us_per_s = 1e6
        self.round_trip_s = 0.0
        self._last_us = 0

    @property
    def known(self) -> bool:
        """Whether a pong has been seen."""
        return bool(self._points)

    @property
    def drift_ppm(self) -> float:
        """How much faster the board's clock runs than ours, in parts per million."""
        return self._us_per_s - 1e6

    @property
    def offset_s(self) -> float:
        """The board's clock less ours at the newest ping."""
        return self._board0 / 1e6 - self._host0

    def unwrap(self, board_us: int) -> int:
        """A 32-bit time of the board as one that never wraps, near the newest known one."""
        return self._last_us + ((board_us - self._last_us + WRAP_US // 2) % WRAP_US - WRAP_US // 2)

    def add(self, sent_s: float, received_us: int, answered_us: int, arrived_s: float) -> None:
        """One ping: when it left and its answer came (our seconds), was read and answered (board's us)."""
        received = self.unwrap(received_us)
        answered = received + ((answered_us - received_us) % WRAP_US)
        self._last_us = answered
        self.round_trip_s = max(0.0, arrived_s - sent_s - (answered - received) / 1e6)
        middle_s, middle_us = (sent_s + arrived_s) / 2, (received + answered) / 2
        # No ping is off by more than half of its round trip: if this one is, a clock has stepped (one of the two
        # machines stood still), and what was known is no longer true.
        off_s = abs(middle_us - self._board0 - (middle_s - self._host0) * self._us_per_s) / 1e6
        if off_s > self.round_trip_s / 2 + STEP_S + MAX_DRIFT * (middle_s - self._host0):
            self._points.clear()
        self._points.append(_Point(middle_s, middle_us, self.round_trip_s))
        while self._points[0].host_s < middle_s - WINDOW_S:
            self._points.popleft()
        self._fit(middle_s)

    def _fit(self, now_s: float) -> None:
        # A ping held up one way looks shifted by half of what it was held up: only quick ones tell.
        limit = sorted(p.round_trip_s for p in self._points)[len(self._points) // 4] * 1.2 + 20e-6
        good = [p for p in self._points if p.round_trip_s <= limit]
        mean_s = sum(p.host_s for p in good) / len(good)
        mean_us = sum(p.board_us for p in good) / len(good)
        spread = sum((p.host_s - mean_s) ** 2 for p in good)
        if good[-1].host_s - good[0].host_s >= FIT_AFTER_S and len(good) >= 4:
            slope = sum((p.host_s - mean_s) * (p.board_us - mean_us) for p in good) / spread
            self._us_per_s = min(max(slope, 1e6 * (1 - MAX_DRIFT)), 1e6 * (1 + MAX_DRIFT))
        self._host0 = now_s
        self._board0 = mean_us + (now_s - mean_s) * self._us_per_s

    def board_us(self, host_s: float) -> int:
        """The board's (wrapped) microseconds at a time of ours."""
        return round(self._board0 + (host_s - self._host0) * self._us_per_s) % WRAP_US

    def host_s(self, board_us: int) -> float:
        """Our time at a (wrapped) time of the board."""
        return self._host0 + (self.unwrap(board_us) - self._board0) / self._us_per_s
