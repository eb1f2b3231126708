"""Swing: of each pair of sixteenths the first is longer. A mapping of ticks to where they sound."""

import math

from model.tokens import PPQN

PAIR_TICKS = PPQN // 2
STRAIGHT = 0.5


class Swing:
    """`share` of a pair belongs to its first half: 0.5 is straight, 2/3 a triplet's feel.

    A new share waits for the pair that has begun to end, where every share agrees: nothing jumps.
    """

    def __init__(self) -> None:
        self._share = STRAIGHT
        self._coming = STRAIGHT
        self._coming_from = -math.inf

    @property
    def share(self) -> float:
        """The newest share."""
        return self._coming

    def set(self, share: float, straight: float) -> None:
        """Another share, from the first pair on that begins at or after a position."""
        self._share = self._share_at(straight)
        self._coming = share
        self._coming_from = math.ceil(straight / PAIR_TICKS) * PAIR_TICKS

    def sounding(self, tick: float) -> float:
        """Where a written tick lies on the straight line."""
        share = self._share_at(tick)
        if share == STRAIGHT:
            return tick
        begin, within = self._pair(tick)
        if within < 0.5:
            return begin + PAIR_TICKS * within * 2 * share
        return begin + PAIR_TICKS * (share + (within - 0.5) * 2 * (1 - share))

    def written(self, straight: float) -> float:
        """The tick that sounds at a position of the straight line."""
        share = self._share_at(straight)
        if share == STRAIGHT:
            return straight
        begin, within = self._pair(straight)
        if within < share:
            return begin + PAIR_TICKS * within / (2 * share)
        return begin + PAIR_TICKS * (0.5 + (within - share) / (2 * (1 - share)))

    def _share_at(self, tick: float) -> float:
        return self._coming if tick >= self._coming_from else self._share

    @staticmethod
    def _pair(tick: float) -> tuple[float, float]:
        """Where the pair begins, and how far into it (0 to 1) the tick lies."""
        begin = math.floor(tick / PAIR_TICKS) * PAIR_TICKS
        return float(begin), (tick - begin) / PAIR_TICKS
