"""Held-out and learnt music as columns of numbers, straight from the arrays of an archive."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model import tokens
from model.conditioning import BAR_LENGTHS, DENSITIES
from model.dataset import NONE, Split
from model.tokens import FIRST_NOTE, FIRST_SHIFT, FIRST_TOUCH, PPQN, SHIFTS, Note

Ints = NDArray[np.int64]
_PITCH = np.array([tokens.note_of(t)[1] for t in range(FIRST_NOTE, FIRST_TOUCH)])


class Excerpt(NamedTuple):
    """Some beats of music that begin with a bar line, and what they were: the controls that would ask for it."""

    notes: list[Note]
    beats: int
    bar_ticks: int
    density: float  # onsets a beat
    source: str


def columns(split: Split) -> tuple[Ints, Ints, Ints]:
    """(piece, tick, pitch) of all notes of a split, in the order of piece, tick and pitch."""
    order = np.argsort(split.pieces["start"])
    lengths = split.pieces["length"][order]
    token = np.asarray(split.steps["token"])
    piece = np.repeat(np.arange(len(order)), lengths)
    shift = np.zeros(len(token), np.int64)
    shifting = (token >= FIRST_SHIFT) & (token < FIRST_NOTE)
    shift[shifting] = np.array(SHIFTS)[token[shifting] - FIRST_SHIFT]
    sounding = np.flatnonzero((token >= FIRST_NOTE) & (token < FIRST_TOUCH))
    tick = np.cumsum(shift)[sounding]
    pitch, piece = _PITCH[token[sounding] - FIRST_NOTE], piece[sounding]
    ranked = np.lexsort((pitch, tick, piece))
    return piece[ranked], tick[ranked], pitch[ranked]


def note_columns(pieces: Sequence[Sequence[Note]]) -> tuple[Ints, Ints, Ints]:
    """The same of lists of notes."""
    rows = [(i, n.tick, n.pitch) for i, piece in enumerate(pieces) for n in piece]
    table = np.array(sorted(rows), np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def excerpts(split: Split, count: int, beats: int, seed: int = 0) -> list[Excerpt]:
    """At most `count` excerpts, one a piece, out of pieces drawn evenly whose bars all have one length."""
    random = np.random.default_rng(seed)
    found: list[Excerpt] = []
    for index in random.permutation(len(split.pieces)):
        excerpt = next(_of_piece(split, int(index), beats, random), None)
        if excerpt is not None:
            found.append(excerpt)
        if len(found) == count:
            break
    return found


def _of_piece(split: Split, index: int, beats: int, random: np.random.Generator) -> Iterator[Excerpt]:
    steps = split.piece_steps(index)
    meters = np.unique(steps["meter"])
    if len(meters) != 1 or meters[0] == NONE or BAR_LENGTHS[meters[0]] not in (48, 72, 96):
        return
    bar = BAR_LENGTHS[meters[0]]
    notes = list(tokens.decode(steps["token"].tolist()))
    pick_up = -int(steps["phase"][0]) % bar
    spare = max(n.tick + n.duration for n in notes) - pick_up - beats * PPQN
    if spare < 0:
        return
    begin = pick_up + bar * int(random.integers(spare // bar + 1))
    end = begin + beats * PPQN
    here = [n._replace(tick=n.tick - begin) for n in notes if begin <= n.tick < end]
    density = len({n.tick for n in here}) / beats
    if DENSITIES[0] <= density <= 8:
        yield Excerpt(here, beats, bar, density, split.sources[int(split.pieces[index]["source"])])
