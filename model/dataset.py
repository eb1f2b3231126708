"""Pieces -> memory-mapped arrays of tokens with their side inputs, one file a split.

A piece is written as END and then its tokens, so a stream of pieces is a stream of music in which END
means "begin". Each token carries what was true after it: where in the bar, how dense and how thick
the music of the coming beats is. Pieces of one source lie together, in a shuffled order.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model import tokens
from model.conditioning import (
    BAR_LENGTHS,
    DENSITIES,
    DENSITY_ROW,
    HORIZON_TICKS,
    MAX_SOURCES,
    METER_ROW,
    PHASE_ROW,
    PHASES,
    SOURCE_ROW,
    THICKNESS_ROW,
    THICKNESSES,
)
from model.dynamics import Bars, bar_position, rendered_velocities
from model.errors import NoonsongError
from model.tokens import DURATIONS, END, FIRST_SHIFT, FIRST_TOUCH, LONGEST_SHIFT, PPQN, SHIFTS, VOICES

FORMAT = 1
SPLITS = ("train", "valid", "test")
NONE = 255  # a phase or meter that is not known
TRANSPOSITIONS = range(-5, 7)
STEP = np.dtype(
    [("token", "<u2"), ("phase", "u1"), ("meter", "u1"), ("density", "<f2"), ("thickness", "<f2")]
)
PIECE = np.dtype(
    [
        ("start", "<i8"), ("length", "<i4"), ("notes", "<i4"), ("source", "u1"), ("collection", "u1"),
        ("down", "i1"), ("up", "i1"), ("id", "<i8"),
    ]
)  # fmt: skip
PAIRS = 7  # phase, meter, density below and above, thickness below and above, source


class Piece(Protocol):
    """What the archive gives: notes sorted by tick (fields tick, duration, pitch, velocity, voice)."""

    @property
    def notes(self) -> NDArray[np.void]: ...  # noqa: D102
    @property
    def bars(self) -> Bars: ...  # noqa: D102
    @property
    def has_dynamics(self) -> bool: ...  # noqa: D102


def _note_table() -> NDArray[np.int64]:
    return np.array([[tokens.note_token(v, p) for p in range(128)] for v in range(len(VOICES))])


def _touch_tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    velocity = [(tokens.touch_token(v, 1) - FIRST_TOUCH) // len(DURATIONS) for v in range(128)]
    duration = [tokens.touch_token(1, d) - FIRST_TOUCH for d in range(LONGEST_SHIFT + 1)]
    return np.array(velocity), np.array(duration)


def _shift_tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Chains [ticks, 3] (0 where shorter) and the ticks that remain after each of its tokens."""
    chains = np.zeros((LONGEST_SHIFT + 1, tokens.MAX_CHAINED_SHIFTS), np.int64)
    remaining = np.zeros_like(chains)
    for ticks in range(LONGEST_SHIFT + 1):
        left = ticks
        for i, token in enumerate(tokens.shift_tokens(ticks)):
            left -= SHIFTS[token - FIRST_SHIFT]
            chains[ticks, i], remaining[ticks, i] = token, left
    return chains, remaining


NOTE_TABLE = _note_table()
VELOCITY_TABLE, DURATION_TABLE = _touch_tables()
CHAINS, REMAINING = _shift_tables()
METER_TABLE = np.full(max(BAR_LENGTHS) + 1, NONE, np.uint8)
METER_TABLE[list(BAR_LENGTHS)] = range(len(BAR_LENGTHS))


def encode_steps(piece: Piece) -> NDArray[np.void]:
    """A piece as END and its tokens, each with its side inputs: [time] of STEP.

    The tokens equal END followed by `tokens.encode(..., end=False)`. NaN stands for a density or
    thickness that the music does not show (its last beat).
    """
    notes = piece.notes
    velocity = notes["velocity"] if piece.has_dynamics else rendered_velocities(notes, piece.bars)
    tick = notes["tick"].astype(np.int64)
    cell = NOTE_TABLE[notes["voice"], notes["pitch"]]
    duration = notes["duration"].astype(np.int64)
    order = np.lexsort((-duration, cell, tick))
    tick, cell, duration, velocity = tick[order], cell[order], duration[order], velocity[order]
    first = np.ones(len(tick), bool)
    first[1:] = (tick[1:] != tick[:-1]) | (cell[1:] != cell[:-1])
    tick, cell, duration, velocity = tick[first], cell[first], duration[first], velocity[first]
    touch = FIRST_TOUCH + VELOCITY_TABLE[velocity] * len(DURATIONS)
    touch = touch + DURATION_TABLE[np.clip(duration, 0, LONGEST_SHIFT)]

    # Five columns a note: up to three shifts, the note, its touch; what is 0 falls out.
    shift = np.diff(tick, prepend=0)
    grid = np.zeros((len(tick), 5), np.int64)
    at = np.repeat(tick[:, None], 5, axis=1)
    grid[:, :3] = CHAINS[np.minimum(shift, LONGEST_SHIFT)]
    at[:, :3] -= REMAINING[np.minimum(shift, LONGEST_SHIFT)]
    grid[:, 3], grid[:, 4] = cell, touch
    used = grid != 0
    token = np.concatenate([[END], grid[used]])
    # END speaks of all that begins, its own tick included.
    when = np.concatenate([[-1], at[used]])

    steps = np.zeros(len(token), STEP)
    steps["token"] = token
    in_bar, bar_ticks = bar_position(np.maximum(when, 0), piece.bars)
    steps["phase"] = np.where(in_bar < 0, NONE, in_bar % PHASES)
    steps["meter"] = METER_TABLE[np.where((bar_ticks < 0) | (bar_ticks >= len(METER_TABLE)), 0, bar_ticks)]
    steps["density"], steps["thickness"] = _ahead(when, tick, int((tick + duration).max(initial=0)))
    return steps


def _ahead(
    when: NDArray[np.int64], tick: NDArray[np.int64], end: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Onsets a beat and notes an onset over the horizon strictly after each time, NaN where not shown.

    Where the piece ends sooner, over what is left of it: an ending is not the same as thin music.
    """
    onsets = np.unique(tick)
    until = when + HORIZON_TICKS
    onset_count = np.searchsorted(onsets, until, "right") - np.searchsorted(onsets, when, "right")
    note_count = np.searchsorted(tick, until, "right") - np.searchsorted(tick, when, "right")
    beats = np.minimum(until, end) - when
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(beats >= PPQN, onset_count * PPQN / beats, np.nan)
        thickness = np.where(onset_count > 0, note_count / onset_count, np.nan)
    return density, thickness


def headroom(token: NDArray[np.uint16]) -> tuple[int, int]:
    """How far a piece may be transposed (at most 0, at least 0) without a pitch leaving its voice's range.

    Within that every onset keeps its ascending order.
    """
    seen = np.unique(token)
    down, up = TRANSPOSITIONS[0], TRANSPOSITIONS[-1]
    for cell in seen[(seen >= tokens.FIRST_NOTE) & (seen < FIRST_TOUCH)]:
        voice, pitch = tokens.note_of(int(cell))
        if voice != tokens.DRUMS:
            down = max(down, VOICES[voice].low - pitch)
            up = min(up, VOICES[voice].high - pitch)
    return min(down, 0), max(up, 0)


def transposition_table() -> NDArray[np.uint16]:
    """[12, vocabulary]: each token transposed by each of TRANSPOSITIONS; drums, shifts and touches stay."""
    table = np.tile(np.arange(tokens.VOCABULARY_SIZE, dtype=np.uint16), (len(TRANSPOSITIONS), 1))
    for token in range(tokens.FIRST_NOTE, FIRST_TOUCH):
        voice, pitch = tokens.note_of(token)
        if voice != tokens.DRUMS:
            table[:, token] = [tokens.note_token(voice, pitch + t) for t in TRANSPOSITIONS]
    return table


def side_pairs(
    steps: NDArray[np.void], source: NDArray[np.int64], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Rows and weights of the side inputs, both [..., PAIRS], as model.conditioning gives one by one.

    steps [...] of STEP; source [...] (-1: none); keep [..., 5]: phase, meter, density, thickness, source.
    """
    rows = np.zeros((*steps.shape, PAIRS), np.int32)
    weights = np.zeros((*steps.shape, PAIRS), np.float32)
    phase, meter = steps["phase"].astype(np.int32), steps["meter"].astype(np.int32)
    for column, field, first_row, known in (
        (0, phase, PHASE_ROW, keep[..., 0] & (phase != NONE)),
        (1, meter, METER_ROW, keep[..., 1] & (meter != NONE)),
        (6, source, SOURCE_ROW, keep[..., 4] & (source >= 0)),
    ):
        rows[..., column] = np.where(known, field + first_row, 0)
        weights[..., column] = known
    for column, name, levels, first_row, kept in (
        (2, "density", DENSITIES, DENSITY_ROW, keep[..., 2]),
        (4, "thickness", THICKNESSES, THICKNESS_ROW, keep[..., 3]),
    ):
        value = steps[name].astype(np.float32)
        known = kept & np.isfinite(value)
        value = np.clip(np.where(known, value, levels[0]), levels[0], levels[-1])
        below = np.clip(np.searchsorted(levels, value, side="right") - 1, 0, len(levels) - 2)
        low, high = np.array(levels)[below], np.array(levels)[below + 1]
        share = np.log(value / low) / np.log(high / low)
        rows[..., column] = np.where(known, first_row + below, 0)
        rows[..., column + 1] = np.where(known, first_row + below + 1, 0)
        weights[..., column] = np.where(known, 1 - share, 0)
        weights[..., column + 1] = np.where(known, share, 0)
    return rows, weights


@dataclass(frozen=True)
class Split:
    """One split on disk: steps [time] of STEP (memory-mapped) and pieces [n] of PIECE, by source."""

    steps: NDArray[np.void]
    pieces: NDArray[np.void]
    sources: tuple[str, ...]
    collections: tuple[str, ...]

    def piece_steps(self, index: int) -> NDArray[np.void]:
        """The steps of one piece, END first."""
        row = self.pieces[index]
        return self.steps[int(row["start"]) : int(row["start"]) + int(row["length"])]

    def spans(self) -> list[tuple[int, int]]:
        """(begin, end) of each source's steps; an empty span where a source has no piece here."""
        spans = []
        for source in range(len(self.sources)):
            mine = self.pieces[self.pieces["source"] == source]
            ends = mine["start"] + mine["length"]
            spans.append((int(mine["start"][0]), int(ends[-1])) if len(mine) else (0, 0))
        return spans


def write_split(
    folder: Path,
    split: str,
    pieces: Iterable[tuple[int, int, int, Piece]],
    sources: Sequence[str],
    collections: Sequence[str],
) -> int:
    """Write one split from (id, source index, collection index, piece); returns its number of notes.

    On disk the pieces lie by source, within a source in a shuffled order that their ids decide. Memory does
    not grow with the split.
    Raises NoonsongError when there are more sources than the network has rows for.
    """
    if len(sources) > MAX_SOURCES:
        raise NoonsongError(f"{len(sources)} sources, but at most {MAX_SOURCES}: give some the same label")
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[int, ...]] = []
    written = 0
    spool = folder / f"{split}.spool"
    with spool.open("wb") as file:
        for identity, source, collection, piece in pieces:
            steps = encode_steps(piece)
            notes = int((steps["token"] >= FIRST_TOUCH).sum())
            rows.append((written, len(steps), notes, source, collection, *headroom(steps["token"]), identity))
            file.write(steps.tobytes())
            written += len(steps)
    table = np.array(rows, PIECE)
    scattered = table["id"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # wraps: a fixed shuffle
    table = table[np.lexsort((scattered, table["source"]))]
    spooled = np.memmap(spool, STEP, "r") if written else np.zeros(0, STEP)
    with (folder / f"{split}.steps").open("wb") as file:
        for row in table:
            start, length = int(row["start"]), int(row["length"])
            row["start"] = file.tell() // STEP.itemsize
            file.write(spooled[start : start + length].tobytes())
    del spooled
    spool.unlink()
    np.save(folder / f"{split}.pieces.npy", table)
    header = {
        "format": FORMAT, "vocabulary_hash": tokens.vocabulary_hash(),
        "sources": list(sources), "collections": list(collections),
    }  # fmt: skip
    (folder / "header.json").write_text(json.dumps(header))
    return int(table["notes"].sum())


def read_split(folder: Path, split: str) -> Split:
    """Open one split, memory-mapped. Raises NoonsongError when it is missing or of another vocabulary."""
    try:
        header: dict[str, Any] = json.loads((folder / "header.json").read_text())
        table = np.load(folder / f"{split}.pieces.npy")
    except (OSError, ValueError) as error:
        raise NoonsongError(f"{folder} holds no finished {split} arrays: {error}") from None
    if header.get("format") != FORMAT or header.get("vocabulary_hash") != tokens.vocabulary_hash():
        raise NoonsongError(f"{folder} was made with another vocabulary: delete it and it is made again")
    path = folder / f"{split}.steps"
    steps = np.memmap(path, STEP, "r") if path.stat().st_size else np.zeros(0, STEP)
    return Split(steps, table, tuple(header["sources"]), tuple(header["collections"]))


def pieces_of_split(split: Split) -> Iterator[tuple[np.void, NDArray[np.void]]]:
    """Each piece's row and its steps."""
    for index in range(len(split.pieces)):
        yield split.pieces[index], split.piece_steps(index)
