"""Side inputs: what every step is told beside its token, as weighted rows of one table.

The network adds `sum(weight * side_table[row])` to the token's embedding. Each field may be left out
(in training it is dropped at random), which means "as you like". Fields between two levels, and mixed
sources, are weighted sums of rows, so a knob moves smoothly.

    phase      ticks since the bar line, after the token       192 rows
    meter      the bar's length                                one row a length
    density    distinct onsets a beat over the coming 4 beats  half-octave levels, interpolated
    thickness  notes an onset over the coming 4 beats          levels, interpolated
    source     which music it should sound like                up to 16 rows, named in the weights file
"""

import math
from collections.abc import Mapping

from model.tokens import PPQN

SideInput = list[tuple[int, float]]  # (row, weight)

HORIZON_TICKS = 4 * PPQN  # density and thickness speak of this stretch after a token
PHASES = 8 * PPQN
BAR_LENGTHS = (24, 36, 48, 60, 72, 84, 96, 108, 120, 144, 168, 192)
DENSITIES = tuple(0.25 * 2 ** (i / 2) for i in range(13))  # 0.25 to 16 onsets a beat
THICKNESSES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
MAX_SOURCES = 16
MAX_MIXED_SOURCES = 4

PHASE_ROW = 0
METER_ROW = PHASE_ROW + PHASES
DENSITY_ROW = METER_ROW + len(BAR_LENGTHS)
THICKNESS_ROW = DENSITY_ROW + len(DENSITIES)
SOURCE_ROW = THICKNESS_ROW + len(THICKNESSES)
SIDE_ROWS = SOURCE_ROW + MAX_SOURCES
MAX_PAIRS = 1 + 1 + 2 + 2 + MAX_MIXED_SOURCES  # the most (row, weight) pairs that one step can have


def phase_pair(tick_in_bar: int) -> SideInput:
    """Where in the bar the stream stands; bars longer than PHASES ticks wrap."""
    return [(PHASE_ROW + tick_in_bar % PHASES, 1.0)]


def meter_pair(bar_ticks: int) -> SideInput:
    """The bar's length; nothing when it is not one of BAR_LENGTHS."""
    return [(METER_ROW + BAR_LENGTHS.index(bar_ticks), 1.0)] if bar_ticks in BAR_LENGTHS else []


def density_pairs(onsets_per_beat: float) -> SideInput:
    """The density asked for, in onsets a beat, between its two nearest levels on a logarithmic scale."""
    return _interpolate(DENSITY_ROW, DENSITIES, onsets_per_beat)


def thickness_pairs(notes_per_onset: float) -> SideInput:
    """The thickness asked for, in notes an onset, between its two nearest levels on a logarithmic scale."""
    return _interpolate(THICKNESS_ROW, THICKNESSES, notes_per_onset)


def source_pairs(mix: Mapping[int, float]) -> SideInput:
    """A mix of sources {index: weight}; weights are divided by their sum. Empty or all zero: no source.

    Only the MAX_MIXED_SOURCES heaviest count.
    """
    heaviest = sorted(((w, i) for i, w in mix.items() if w > 0), reverse=True)[:MAX_MIXED_SOURCES]
    total = sum(w for w, _ in heaviest)
    return [(SOURCE_ROW + i, w / total) for w, i in heaviest]


def _interpolate(first_row: int, levels: tuple[float, ...], value: float) -> SideInput:
    value = min(max(value, levels[0]), levels[-1])
    above = next(i for i, level in enumerate(levels) if level >= value)
    if levels[above] == value:
        return [(first_row + above, 1.0)]
    low, high = levels[above - 1], levels[above]
    share = math.log(value / low) / math.log(high / low)
    return [(first_row + above - 1, 1.0 - share), (first_row + above, share)]
