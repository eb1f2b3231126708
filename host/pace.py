"""Keeps what is heard near the density asked for: bounds on when the next onset may come.

The model is told the density and mostly keeps to it, but its own past speaks louder: slow music stays slow.
So the last onsets are counted. As long as they came about as often as asked, the model is free; when they
fall behind, the next may come no later than one onset's share of time after the last, and when they run
ahead, no sooner. Music lies on a grid, so that share is rounded to a halving or a doubling of the beat.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from model.tokens import PPQN

SPAN_BEATS = 4.0  # this much music, or two onsets if they take longer, is what counts
FREE = 0.12  # so much slower or faster than asked, over the span, nobody interferes
ONSETS_KEPT = 32  # enough for the highest density
LONGEST_SILENCE_TICKS = 4 * PPQN
# What a bound is rounded to, away from what was asked: a density of 3.3 must not put notes beside the beat.
GRID = (1, 2, 3, 6, 12, 24, 48, 96)


def onsets_counted(density: float) -> int:
    """How many gaps between onsets are looked at."""
    return min(max(2, round(SPAN_BEATS * density)), ONSETS_KEPT)


def with_onset(onset_ticks: tuple[int, ...], tick: int) -> tuple[int, ...]:
    """The last onsets after one more note at `tick`."""
    if onset_ticks and onset_ticks[-1] == tick:
        return onset_ticks
    return (*onset_ticks[1 - ONSETS_KEPT :], tick)


def next_onset(onset_ticks: Sequence[int], density: float | None) -> tuple[int, int]:
    """(earliest, latest) tick of the next onset, for the last onsets (ascending, at least one)."""
    last = onset_ticks[-1]
    if density is None:
        return last + 1, last + LONGEST_SILENCE_TICKS
    gap = PPQN / density
    count = min(onsets_counted(density), len(onset_ticks))
    begin = onset_ticks[-count]  # the oldest of the gaps, of which the next onset ends the youngest
    shorter = GRID[bisect_right(GRID, gap) - 1]
    longer = GRID[bisect_left(GRID, gap)]
    latest = max(last + longer, math.floor(begin + count * gap * (1 + FREE)))
    earliest = min(last + shorter, math.ceil(begin + count * gap * (1 - FREE)))
    return max(earliest, last + 1), min(latest, last + LONGEST_SILENCE_TICKS)
