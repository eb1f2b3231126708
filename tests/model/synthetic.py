"""Small pieces of music made by rule, and splits on disk made of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.dataset import Split, read_split, write_split
from model.dynamics import NOTE_DTYPE, Bars


@dataclass(frozen=True)
class SyntheticPiece:
    notes: NDArray[np.void]
    bars: Bars
    has_dynamics: bool = False


def random_piece(seed: int, notes: int = 200, has_dynamics: bool = True) -> SyntheticPiece:
    """Anything goes: every voice, pitch, velocity and duration, chords, long silences, changing metre."""
    random = np.random.default_rng(seed)
    made = np.zeros(notes, NOTE_DTYPE)
    steps = random.choice([0, 0, 0, 1, 3, 6, 12, 24, 31, 95, 200, 383, 500], notes)
    made["tick"] = np.cumsum(steps)
    made["voice"] = random.integers(0, 7, notes)
    made["pitch"] = random.integers(0, 128, notes)
    made["velocity"] = random.integers(1, 128, notes)
    made["duration"] = random.integers(1, 600, notes)
    end = int(made["tick"][-1])
    return SyntheticPiece(made, [(0, 30), (30, 96), (end // 2, 72)], has_dynamics)


def scale_piece(root: int, beats: int = 64, thick: bool = False) -> SyntheticPiece:
    """An even scale in quarter notes, with a bass on each bar: easy to learn, to the last note."""
    rows = []
    for beat in range(beats):
        rows.append((24 * beat, 24, root + (0, 2, 4, 5, 7, 9, 11, 12)[beat % 8], 80, 2))
        if beat % 4 == 0:
            rows.append((24 * beat, 96, root - 12, 60, 2))
            if thick:
                rows.append((24 * beat, 96, root - 5, 60, 2))
    return SyntheticPiece(np.array(rows, NOTE_DTYPE), [(0, 96)], True)


def scale_splits(folder: Path, pieces: int = 12) -> tuple[Split, Split]:
    """(train, valid) of scales from two sources, written to a folder."""
    for split, roots in (("train", range(54, 54 + pieces)), ("valid", (60, 61))):
        rows = [
            (i, source, 0, scale_piece(root, thick=bool(source)))
            for source in (0, 1)
            for i, root in enumerate(roots)
        ]
        write_split(folder, split, rows, ("thin", "thick"), ("made",))
    return read_split(folder, "train"), read_split(folder, "valid")
