"""python -m bench.schemes --archive ARCHIVE --out FOLDER: what the spelling of notes and the side inputs are worth.

The same network reads the same music for the same number of tokens (so: about the same work), spelt in each
way; each run goes to its end, the fall of the learning rate included. Losses a token of different spellings
cannot be compared, bits a note on the same held-out notes can, so those are given.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from model.arrays import arrays_of_archive
from model.dataset import Split, side_pairs
from model.run_config import read_config
from model.tokens import DRUMS, DURATIONS, FIRST_NOTE, FIRST_TOUCH, VOICE_NAMES, VOICES, note_of, note_token
from model.train import Run

HELD_OUT_PIECES, HELD_OUT_TOKENS = 64, 512
FIRST_VELOCITY = FIRST_TOUCH + len(DURATIONS)
# Rows of the highest voice's notes, which are free once pitches go by the keys' names.
FIRST_VOICE = FIRST_TOUCH - len(VOICES)
KEYS = VOICE_NAMES.index("keys")  # has every pitch that any voice has
KEYS_ROW = note_token(KEYS, VOICES[KEYS].low) - VOICES[KEYS].low
CELLS = np.array([note_of(token) for token in range(FIRST_NOTE, FIRST_TOUCH)])  # voice, pitch
Steps = NDArray[np.void]


def as_it_is(steps: Steps) -> Steps:
    """Shifts, voice with pitch, velocity with duration."""
    return steps


def touch_apart(steps: Steps) -> Steps:
    """Velocity and duration as two tokens: a smaller vocabulary, longer streams."""
    touch = steps["token"] >= FIRST_TOUCH
    longer = np.repeat(steps, 1 + touch)
    second = np.cumsum(1 + touch)[touch] - 1
    level, length = np.divmod(steps["token"][touch] - FIRST_TOUCH, len(DURATIONS))
    longer["token"][second - 1] = FIRST_TOUCH + length
    longer["token"][second] = FIRST_VELOCITY + level
    return longer


def voice_apart(steps: Steps) -> Steps:
    """The voice as a token of its own, only where it changes; then the pitch, by the same name in all voices
    but the drums.
    """
    note = (steps["token"] >= FIRST_NOTE) & (steps["token"] < FIRST_TOUCH)
    voice, pitch = CELLS[steps["token"][note] - FIRST_NOTE].T
    changed = np.zeros(len(steps), bool)
    changed[note] = np.diff(voice, prepend=-1) != 0
    longer = np.repeat(steps, 1 + changed)
    at = np.cumsum(1 + changed) - 1
    longer["token"][at[note]] = np.where(voice == DRUMS, steps["token"][note], KEYS_ROW + pitch)
    longer["token"][at[changed] - 1] = FIRST_VOICE + voice[changed[note]]
    return longer


SCHEMES: dict[str, tuple[Callable[[Steps], Steps], bool]] = {
    "as it is": (as_it_is, True),
    "no side inputs": (as_it_is, False),
    "touch apart": (touch_apart, True),
    "voice apart": (voice_apart, True),
}


def spelt(split: Split, spell: Callable[[Steps], Steps], most: int | None = None) -> Split:
    """A split in another spelling; of each piece at most so many tokens as it is spelt now."""
    pieces = split.pieces.copy()
    parts, start = [], 0
    for index in range(len(pieces)):
        part = spell(split.piece_steps(index)[:most])
        pieces[index]["start"], pieces[index]["length"] = start, len(part)
        parts.append(part)
        start += len(part)
    return dataclasses.replace(split, steps=np.concatenate(parts), pieces=pieces)


def bits_a_note(run: Run, held_out: Split, told: bool) -> float:
    """Over pieces, each from its start."""
    bits, notes = 0.0, 0
    run.network.eval()
    with torch.inference_mode():
        for index in range(len(held_out.pieces)):
            steps, row = held_out.piece_steps(index), held_out.pieces[index]
            sides = side_pairs(
                steps[:-1], np.full(len(steps) - 1, int(row["source"])), np.full((len(steps) - 1, 5), told)
            )
            inputs = (torch.from_numpy(x)[None] for x in (steps["token"][:-1].astype(np.int64), *sides))
            target = torch.from_numpy(steps["token"][1:].astype(np.int64))
            loss = functional.cross_entropy(run.network(*inputs)[0], target, reduction="sum")
            bits += float(loss) / math.log(2)
            notes += int(row["notes"])
    run.network.train()
    return bits / notes


def measure(archive: Path, out: Path, name: str, tokens: int) -> dict[str, Any]:
    """Train with one spelling, or go on with it, and measure."""
    spell, told = SCHEMES[name]
    train, valid = (arrays_of_archive(archive, split) for split in ("train", "valid"))
    chosen = np.unique(np.linspace(0, len(valid.pieces) - 1, HELD_OUT_PIECES).astype(int))
    cut = dataclasses.replace(valid, pieces=valid.pieces[chosen].copy())
    for row in cut.pieces:
        steps = valid.steps[int(row["start"]) : int(row["start"]) + min(int(row["length"]), HELD_OUT_TOKENS)]
        row["notes"] = (steps["token"] >= FIRST_TOUCH).sum()
    held_out = spelt(cut, spell, HELD_OUT_TOKENS)
    train = train if spell is as_it_is else spelt(train, spell)
    run = Run(read_config(None, {"tokens": tokens, "precision": "bfloat16"}), train, cut, out / name)
    run.load()
    if not told:  # side inputs that say nothing, for ever
        for table in (run.network.side_own, run.network.side_beat):
            table.requires_grad_(False).zero_()
    if spell is voice_apart:
        for _, batches in run.stages:
            batches.transposed[:, FIRST_VOICE:FIRST_TOUCH] = range(FIRST_VOICE, FIRST_TOUCH)
    while run.step < run.config.steps:
        run.update()
        if run.step % 200 == 0 or run.step == run.config.steps:
            run.save(out / name / "resume.pt", resumable=True)
            print(f"{name}: step {run.step} of {run.config.steps}", file=sys.stderr, flush=True)
    notes, length = int(held_out.pieces["notes"].sum()), int(held_out.pieces["length"].sum())
    return {
        "scheme": name, "tokens": tokens, "tokens_a_note": length / notes, "notes": notes,
        "told": bits_a_note(run, held_out, True) if told else None,
        "untold": bits_a_note(run, held_out, False),
    }  # fmt: skip


def main() -> int:
    """Each in turn, a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the runs; started again, it goes on"
    )
    parser.add_argument("--tokens", type=int, default=4_000_000)
    parser.add_argument("--scheme", action="append", choices=tuple(SCHEMES), help="default: all")
    args = parser.parse_args()
    for name in args.scheme or SCHEMES:
        print(json.dumps(measure(args.archive, args.out, name, args.tokens)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
