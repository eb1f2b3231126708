"""Written dynamics (p, f, sfz, hairpins) as velocities, the same for every score format."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mark = tuple[int, str]  # when, in any unit, and a token such as `mf`, `<` or `>` (begin) and `[` or `]` (end)

LEVELS = {
    "pppp": 20, "ppp": 20, "pp": 36, "p": 50, "mp": 62, "mf": 74, "f": 86, "ff": 100, "fff": 116, "ffff": 116,
    "sf": 100, "sfz": 100, "sff": 116, "sffz": 116, "fz": 100, "rf": 86, "rfz": 86, "sfp": 100, "fp": 86,
    "sfpp": 100,
}  # fmt: skip
_BEFORE_ANY = LEVELS["mf"]
# An accent lasts half a beat, then this level holds; empty: the one before it.
_AFTER = {
    "sf": "",
    "sfz": "",
    "sff": "",
    "sffz": "",
    "fz": "",
    "rf": "",
    "rfz": "",
    "sfp": "p",
    "fp": "p",
    "sfpp": "pp",
}
_HAIRPIN_STEP = 14  # to the next level, where a hairpin leads to no dynamic of its own


def says_something(marks: Sequence[Mark]) -> bool:
    """Whether a level is among the marks; hairpins alone do not say from where."""
    return any(_level(token) for _, token in marks)


def velocities(marks: Sequence[Mark], times: NDArray[Any], quarter: int) -> NDArray[np.uint8]:
    """The velocity at each of `times`, under marks in order of time; a beat has `quarter` units of both."""
    points: list[Mark | tuple[int, int]] = [(-(1 << 62), _BEFORE_ANY)]
    ramps: list[tuple[int, int, int, int]] = []  # start, stop, level at start, level at stop
    begun: tuple[int, int] | None = None
    dynamics = [(time, LEVELS[word]) for time, token in marks if (word := _level(token))]
    level = _BEFORE_ANY
    for time, token in marks:
        for sign in re.findall(r"[<>\[\]]", token):
            if sign in "<>":
                begun = (time, 1 if sign == "<" else -1)
            elif begun is not None and time > begun[0]:
                start, direction = begun
                goal = next((v for t, v in dynamics if time <= t <= time + 2 * quarter), level)
                if (goal - level) * direction <= 0:
                    goal = min(116, max(20, level + direction * _HAIRPIN_STEP))
                ramps.append((start, time, level, goal))
                points.append((time, goal))
                level, begun = goal, None
        if word := _level(token):
            points.append((time, LEVELS[word]))
            if word in _AFTER:
                level = LEVELS[_AFTER[word]] if _AFTER[word] else level
                points.append((time + quarter // 2, level))
            else:
                level = LEVELS[word]
    points.sort(key=lambda point: point[0])
    starts = np.array([time for time, _ in points])
    values = np.array([value for _, value in points], dtype=np.int64)
    result = values[np.searchsorted(starts, times, side="right") - 1]
    for start, stop, low, high in ramps:
        inside = (times >= start) & (times < stop)
        result[inside] = low + (high - low) * (times[inside] - start) // (stop - start)
    return result.astype(np.uint8)


def _level(token: str) -> str:
    """The dynamic in a token such as `] p` or `pyy`, or empty."""
    words = re.sub(r"[<>\[\]()]", " ", token).split()
    return next((word for word in (w.rstrip("y") for w in words) if word in LEVELS), "")
