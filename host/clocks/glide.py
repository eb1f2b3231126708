"""From one clock's line to another's without a jump of tempo or place: speeds are blended over a few beats."""

import math
from typing import NamedTuple

from model.tokens import PPQN

SHORTEST_TICKS = PPQN
TICKS_PER_TICK_OFF = (
    8.0  # a tick to be caught up is spread over so many: at most 19 % faster or slower for it
)


class Glide(NamedTuple):
    """What is added to the new line's position for a while: it begins as the old line less the new one, with
    their difference of speed, and ends as nothing, with no difference.
    """

    start_s: float
    length_s: float
    apart_ticks: float  # old place less new
    apart_ticks_per_s: float  # old speed less new
    caught_ticks: float  # what is caught up (negative: held back) beyond blending the speeds

    def offset_ticks(self, now_s: float) -> float:
        """To be added to the new line's position."""
        x = self._part(now_s)
        spared_s = self.length_s * (x - (x**3 - x**4 / 2))
        return self.apart_ticks + self.apart_ticks_per_s * spared_s + self.caught_ticks * (3 - 2 * x) * x * x

    def offset_ticks_per_s(self, now_s: float) -> float:
        """To be added to the new line's speed."""
        x = self._part(now_s)
        caught = self.caught_ticks * 6 * x * (1 - x) / self.length_s
        return self.apart_ticks_per_s * (1 - (3 - 2 * x) * x * x) + caught

    def over(self, now_s: float) -> bool:
        """Whether the new line is reached."""
        return now_s >= self.start_s + self.length_s

    def _part(self, now_s: float) -> float:
        return min(max((now_s - self.start_s) / self.length_s, 0.0), 1.0)


class Line(NamedTuple):
    """A place and a speed at one moment."""

    tick: float
    ticks_per_s: float


def glide(
    old: Line, new: Line, now_s: float, unit_ticks: float, phase_ticks: float = 0.0
) -> tuple[Glide, float]:
    """A glide from `old` to `new` + anchor, and that anchor: of all that are `phase_ticks` more than a multiple
    of `unit_ticks`, the one with least to catch up.
    """
    mean = (old.ticks_per_s + new.ticks_per_s) / 2
    ticks = float(SHORTEST_TICKS)
    for _ in range(2):
        length_s = ticks / mean
        wanted = old.tick - new.tick + (old.ticks_per_s - new.ticks_per_s) * length_s / 2
        anchor = phase_ticks + unit_ticks * math.floor((wanted - phase_ticks) / unit_ticks + 0.5)
        ticks = max(SHORTEST_TICKS, TICKS_PER_TICK_OFF * abs(anchor - wanted))
    length_s = ticks / mean
    apart = old.tick - new.tick - anchor
    apart_speed = old.ticks_per_s - new.ticks_per_s
    return Glide(now_s, length_s, apart, apart_speed, -apart - apart_speed * length_s / 2), anchor
