"""What the archive hands on: a piece as an array of notes with its metre, tempo and provenance."""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.tokens import PPQN

NOTE_DTYPE = np.dtype(
    [("tick", "<i4"), ("duration", "<i4"), ("pitch", "u1"), ("velocity", "u1"), ("voice", "u1")]
)
Notes: TypeAlias = NDArray[np.void]  # shape (notes,), of NOTE_DTYPE, sorted by (tick, voice, pitch)
Bars: TypeAlias = tuple[tuple[int, int], ...]

LONGEST_NOTE = 8 * PPQN
FLAT_VELOCITY = 90  # what a score without dynamics is given
DEFAULT_TEMPO_BPM = 100.0


@dataclass(frozen=True)
class Provenance:
    """Where a piece comes from and what may be done with it; empty strings for what is not known."""

    collection: str
    path: str
    title: str = ""
    composer: str = ""
    work: str = ""  # pieces with the same key are parts or prints of one work, and share a split
    date: str = ""  # as the file has it: of the composer's life or of the print
    genre: str = ""
    instruments: str = ""
    licence: str = ""
    content_hash: str = ""


@dataclass(frozen=True)
class Piece:
    """One piece, 24 ticks to the beat.

    `notes`: array of NOTE_DTYPE, sorted by (tick, voice, pitch). `bars`: (tick, bar_ticks) segments: a bar
    line is at `tick` and then every bar_ticks until the next segment; the first tick is 0 or negative (a
    pick-up), so bar position is (t - tick) % bar_ticks; empty when the metre is not known. `source` is
    one of model.archive.labels.SOURCES. `has_dynamics` is False where the velocity is a flat stand-in.
    """

    notes: Notes
    bars: Bars
    tempo_bpm: float
    source: str
    provenance: Provenance
    has_dynamics: bool
    performed: bool
    split: str = ""


@dataclass
class Reading:
    """What a reader makes of one file before it is tidied: notes in ticks, in any order."""

    notes: Notes
    bars: Bars = ()
    tempo_bpm: float = DEFAULT_TEMPO_BPM
    has_dynamics: bool = False
    performed: bool = False
    records: dict[str, str] = field(default_factory=dict)  # metadata as the file has it


class Rejected(Exception):  # noqa: N818 - a verdict on a file, not a fault of the program
    """A file that gives no piece; the message is a sentence for the person who gave it."""


def note_array(rows: list[tuple[int, int, int, int, int]]) -> Notes:
    """Rows of (tick, duration, pitch, velocity, voice) as notes."""
    return np.array(rows, dtype=NOTE_DTYPE)
