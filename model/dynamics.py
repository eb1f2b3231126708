"""Velocities by rule, for scores that carry none: deterministic, and never constant.

Most encoded scores have one flat velocity throughout. A model that learnt from them would play so.
These rules give each note what a player would roughly do, after the KTH performance rules
(Friberg, Bresin & Sundberg 2006, "Overview of the KTH rule system for musical performance",
Advances in Cognitive Psychology 2(2-3)): phrase arch, high-loud, metrical accent, duration contrast,
the melody over its accompaniment, and a slow contour that follows how busy the music is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.tokens import PPQN

NOTE_DTYPE = np.dtype(
    [("tick", "<i4"), ("duration", "<i4"), ("pitch", "u1"), ("velocity", "u1"), ("voice", "u1")]
)
MIDDLE, QUIETEST, LOUDEST = 68, 22, 118
PHRASE_BARS = 4  # the commonest length of a phrase; the arch rises to its middle and falls to its end
ARCH, MELODY, BASS, INNER = 9.0, 8.0, 0.0, -7.0
DOWNBEAT, BEAT, OFFBEAT = 5.0, 0.0, -4.0
LOUDER_PER_SEMITONE = 0.5
BUSY = 9.0
LONG_NOTE = 3.0  # a doubling of the length
SLOW_TICKS = 16 * PPQN

Bars = Sequence[tuple[int, int]]  # (tick of a bar line, ticks a bar from there on), ascending


def bar_position(ticks: NDArray[np.int64], bars: Bars) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(tick in bar, bar length) at each tick; all -1 when there are no bars.

    Before the first bar line (a pick-up) the same metre is counted backwards.
    """
    if not bars:
        none = np.full(ticks.shape, -1, np.int64)
        return none, none
    lines = np.array([tick for tick, _ in bars], np.int64)
    lengths = np.array([length for _, length in bars], np.int64)
    at = np.maximum(np.searchsorted(lines, ticks, side="right") - 1, 0)
    return (ticks - lines[at]) % lengths[at], lengths[at]


def rendered_velocities(notes: NDArray[np.void], bars: Bars) -> NDArray[np.uint8]:
    """A velocity (22 to 118) for each of the sorted notes [n] of NOTE_DTYPE, from the notes alone."""
    if len(notes) == 0:
        return np.zeros(0, np.uint8)
    tick, pitch = notes["tick"].astype(np.int64), notes["pitch"].astype(np.float64)
    in_bar, bar_ticks = bar_position(tick, bars or [(0, 4 * PPQN)])
    onset = np.unique(tick, return_inverse=True)[1]
    top, bottom = np.full(onset[-1] + 1, -np.inf), np.full(onset[-1] + 1, np.inf)
    np.maximum.at(top, onset, pitch)
    np.minimum.at(bottom, onset, pitch)
    is_top, is_bottom = pitch == top[onset], pitch == bottom[onset]
    chord = top[onset] > bottom[onset]

    loud = np.full(len(notes), float(MIDDLE))
    phrase = (tick % (PHRASE_BARS * bar_ticks)) / (PHRASE_BARS * bar_ticks)
    loud += ARCH * (4 * phrase * (1 - phrase) - 0.5)
    loud += np.where(in_bar == 0, DOWNBEAT, np.where(in_bar % PPQN == 0, BEAT, OFFBEAT))
    loud += np.where(chord, np.where(is_top, MELODY, np.where(is_bottom, BASS, INNER)), MELODY / 2)
    loud += LOUDER_PER_SEMITONE * np.clip(pitch - _slow_mean(tick, pitch), -14, 14)
    loud += LONG_NOTE * np.clip(np.log2(np.maximum(notes["duration"], 1) / PPQN), -2, 2)
    crowd = _busyness(tick)
    loud += BUSY * np.clip(np.log2(crowd / np.median(crowd)), -1.5, 1.5)
    return np.clip(np.rint(loud), QUIETEST, LOUDEST).astype(np.uint8)


def _busyness(tick: NDArray[np.int64]) -> NDArray[np.float64]:
    """Notes within SLOW_TICKS to either side of each note [n]; half as far at both ends counts double."""
    first, last = int(tick[0]), int(tick[-1])
    begin, end = tick - SLOW_TICKS, tick + SLOW_TICKS
    count = np.searchsorted(tick, end, side="right") - np.searchsorted(tick, begin, side="left")
    heard = np.minimum(end, last) - np.maximum(begin, first) + 1
    return np.maximum(count, 1) / heard


def _slow_mean(tick: NDArray[np.int64], pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean pitch within SLOW_TICKS to either side of each note."""
    total = np.concatenate([[0.0], np.cumsum(pitch)])
    begin = np.searchsorted(tick, tick - SLOW_TICKS, side="left")
    end = np.searchsorted(tick, tick + SLOW_TICKS, side="right")
    return np.asarray((total[end] - total[begin]) / (end - begin), np.float64)
