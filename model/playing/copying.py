"""How much of what is played stands in the archive that was learnt from, against how much human music shares.

A passage of n notes is the intervals between them (in the order of time and pitch), whatever their rhythm;
of the top line, intervals and times between onsets. The share is of all passages of a piece; the human
measure is held-out pieces against the same archive. Passages are compared by a 64-bit polynomial hash.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.playing.sequences import Ints

LENGTHS = (16, 24)
LONGEST = 256
_RANDOM = np.random.default_rng(11).integers(1, 2**63, 1 << 16, np.uint64)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


class Line:
    """Symbols in a row, of one piece after the other; passages are hashed in constant time a note."""

    def __init__(self, piece: Ints, symbol: Ints) -> None:
        """`symbol[i]` leads from note i to note i + 1 of the same piece (the last of a piece: anything)."""
        self.piece = piece
        with np.errstate(over="ignore"):
            power = np.cumprod(np.r_[np.uint64(1), np.full(len(piece), _BASE)])
            self._down = np.cumprod(np.r_[np.uint64(1), np.full(len(piece), _INVERSE)])
            self._sums = np.r_[np.uint64(0), np.cumsum(_RANDOM[symbol % len(_RANDOM)] * power[:-1])]

    def passages(self, notes: int) -> tuple[Ints, NDArray[np.uint64]]:
        """(piece, hash) of every passage of so many notes."""
        last = len(self.piece) - notes + 1
        if last <= 0:
            return self.piece[:0], np.zeros(0, np.uint64)
        whole = np.flatnonzero(self.piece[:last] == self.piece[notes - 1 :])
        with np.errstate(over="ignore"):
            hashes = (self._sums[whole + notes - 1] - self._sums[whole]) * self._down[whole]
        return self.piece[whole], hashes


def lines(piece: Ints, tick: Ints, pitch: Ints) -> dict[str, Line]:
    """All notes by their intervals, and the top line with its rhythm."""
    intervals = np.diff(pitch, append=0) + 128
    top = np.ones(len(pitch), bool)  # the last, and so the highest, of its onset
    top[:-1] = (tick[1:] != tick[:-1]) | (piece[1:] != piece[:-1])
    high, when = pitch[top], tick[top]
    steps = np.diff(high, append=0) + 128 + 256 * np.clip(np.diff(when, append=0), 0, 250)
    return {"all notes": Line(piece, intervals), "top line with rhythm": Line(piece[top], steps)}


def shares(music: Line, learnt: Line, notes: int) -> NDArray[np.float64]:
    """For each piece that is long enough: the share of its passages that stand in what was learnt."""
    piece, hashes = music.passages(notes)
    if len(piece) == 0:
        return np.zeros(0)
    found = np.isin(hashes, _common(hashes, learnt.passages(notes)[1]))
    total = np.bincount(piece)
    return np.asarray(np.bincount(piece, found, minlength=len(total))[total > 0] / total[total > 0])


def longest_match(music: Line, learnt: Line) -> int:
    """Notes of the longest passage that stands in what was learnt (at most LONGEST)."""
    low, high = 1, LONGEST
    while low < high:
        middle = (low + high + 1) // 2
        if len(_common(music.passages(middle)[1], learnt.passages(middle)[1])):
            low = middle
        else:
            high = middle - 1
    return low


def _common(few: NDArray[np.uint64], many: NDArray[np.uint64]) -> NDArray[np.uint64]:
    few = np.unique(few)
    if len(few) == 0:
        return few
    at = np.minimum(np.searchsorted(few, many), len(few) - 1)
    hit = np.zeros(len(few), bool)
    hit[at[few[at] == many]] = True
    return few[hit]


def measure_copying(
    played: Sequence[Ints], held_out: Sequence[Ints], learnt: Sequence[Ints]
) -> dict[str, dict[str, Any]]:
    """By line and length: mean and 95th percentile of the shares of both sides, and the longest match.

    Each side is the columns (piece, tick, pitch) of its notes.
    """
    archive, music, human = (lines(*side) for side in (learnt, played, held_out))
    result: dict[str, dict[str, Any]] = {}
    for name in archive:
        for notes in LENGTHS:
            row: dict[str, Any] = {}
            for who, side in (("played", music), ("human", human)):
                found = shares(side[name], archive[name], notes)
                row |= {f"{who}_mean": float(found.mean()), f"{who}_95": float(np.percentile(found, 95))}
            result[f"{name}, {notes} notes"] = row
        result[f"{name}, longest"] = {
            "played": longest_match(music[name], archive[name]),
            "human": longest_match(human[name], archive[name]),
        }
    return result
