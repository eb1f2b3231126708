"""The clock as others hear it: a pulse for every tick, and where time starts, goes on and stops. Pure.

Followers count pulses from where they were told to begin, so time goes on for them on a sixteenth of the bar
(the grid of MIDI's song position), told a little before its pulse.
"""

import math
from collections.abc import Callable

from host.clock import Clock
from host.events import Notice, Pulse, Transport
from host.settings import Meter
from model.tokens import PPQN

SIXTEENTH = PPQN // 4
TOLD_BEFORE_S = 0.002  # MIDI asks for a millisecond between Start and the first pulse
AHEAD_TICKS = 2.0  # more than this ahead of where we should be is another place
# Less than this behind is waited for: who holds the clock may hold it a pulse long.
BEHIND_TICKS = SIXTEENTH + 2.0


class PulsesOut:
    """Posts pulses ahead of their time. Without followers it costs nothing: it is not made then."""

    def __init__(self, clock: Clock, post: Callable[[Notice, float], None]) -> None:
        """`post` takes an event and the time it is due."""
        self._clock = clock
        self._post = post
        self._next: int | None = None  # the next tick to be posted; None: not going
        self._last_s = -math.inf  # when the newest pulse is due
        self._bar: Meter | None = None

    def step(self, now_s: float, until_s: float, meter: Meter) -> None:
        """Post what is due up to `until_s`. Call more often than that is away."""
        clock = self._clock
        if self._next is not None and (not clock.running or self._elsewhere(now_s, meter)):
            self._post(Transport("stop", 0), now_s)
            self._next = None
        if not clock.running:
            self._idle(until_s)
            return
        if self._next is None and not self._begin(now_s, until_s, meter):
            return
        assert self._next is not None
        while (due_s := clock.time_of_straight(self._next)) <= until_s:
            self._pulse(meter.tick_in_bar(self._next), max(due_s, now_s))
            self._next += 1

    def _begin(self, now_s: float, until_s: float, meter: Meter) -> bool:
        """Tell where time goes on, when that is near enough; returns whether it is."""
        at = self._clock.straight_at(now_s + TOLD_BEFORE_S)
        first = meter.tick + SIXTEENTH * math.ceil((at - meter.tick) / SIXTEENTH)
        first_s = self._clock.time_of_straight(first)
        if first_s > until_s:
            self._idle(min(until_s, first_s - 0.5 / self._clock.ticks_per_s))
            return False
        in_bar = meter.tick_in_bar(first)
        self._post(Transport("continue" if in_bar else "start", in_bar // SIXTEENTH), first_s - TOLD_BEFORE_S)
        self._next, self._bar = first, meter
        return True

    def _elsewhere(self, now_s: float, meter: Meter) -> bool:
        assert self._next is not None and self._bar is not None
        moved = self._bar.bar_ticks == meter.bar_ticks and self._bar.tick_in_bar(meter.tick) != 0
        self._bar = meter
        ahead_s = self._last_s - now_s
        expected = self._next - 1 - ahead_s * self._clock.ticks_per_s
        return moved or not -BEHIND_TICKS < self._clock.straight_at(now_s) - expected < AHEAD_TICKS

    def _idle(self, until_s: float) -> None:
        """Time stands, the tempo goes on."""
        period_s = 1.0 / self._clock.ticks_per_s
        if self._last_s < until_s - 1.0:
            self._last_s = until_s - period_s
        while self._last_s + period_s <= until_s:
            self._pulse(None, self._last_s + period_s)

    def _pulse(self, tick_in_bar: int | None, due_s: float) -> None:
        self._last_s = due_s
        self._post(Pulse(tick_in_bar), due_s)
