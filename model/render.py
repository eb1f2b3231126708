"""`python -m model.render`: the network played as an instrument, and what it does with its knobs.

Density asked against density heard, entropy by temperature, and dead ends: the longest silence and the
longest run of bars that is repeated note for note.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from model import tokens
from model.conditioning import density_pairs, meter_pair, phase_pair, source_pairs
from model.tokens import END, PPQN, Note
from quantize.engine import Engine

DENSITIES = (0.5, 1.0, 2.0, 4.0, 8.0)
TEMPERATURES = (0.7, 1.0, 1.3)
BAR = 4 * PPQN
WARM_UP_BEATS = 16  # heard by nobody: the knob was turned before
TOP_P = 0.98


@dataclass(frozen=True)
class Asked:
    """Knobs that stay where they are; None leaves a side input out."""

    density: float | None = None
    temperature: float = 1.0
    source: int | None = None
    bar_ticks: int = BAR
    seed: int = 1


def render(engine: Engine, asked: Asked, beats: int) -> tuple[list[Note], float]:
    """Notes of so many beats, and the mean entropy in bits of the choices among notes."""
    engine.reset()
    state, token = tokens.START, END
    fixed = meter_pair(asked.bar_ticks)
    if asked.density is not None:
        fixed = fixed + density_pairs(asked.density)
    if asked.source is not None:
        fixed = fixed + source_pairs({asked.source: 1.0})
    heat = (asked.temperature,) * 3
    notes: list[Note] = []
    surprise: list[float] = []
    while state.tick < beats * PPQN:
        engine.step(token, phase_pair(state.tick % asked.bar_ticks) + fixed)
        allowed = tokens.allowed(state)
        token = engine.sample(allowed, heat, TOP_P, asked.seed)
        if tokens.is_note(token):
            scaled = engine.logits(((tokens.FIRST_NOTE, tokens.FIRST_TOUCH),)).astype(np.float64)
            chance = np.exp((scaled - scaled.max()) / asked.temperature)
            chance /= chance.sum()
            surprise.append(float(-(chance * np.log2(chance + 1e-30)).sum()))
        state, note = tokens.advance(state, token)
        if note is not None:
            notes.append(note)
    return notes, float(np.mean(surprise)) if surprise else 0.0


def onsets_per_beat(notes: Sequence[Note], beats: int) -> list[float]:
    """Distinct onsets a beat in each stretch of four beats after the warm-up."""
    onsets = np.unique([note.tick for note in notes])
    edges = np.arange(WARM_UP_BEATS * PPQN, beats * PPQN + 1, 4 * PPQN)
    return [float(n) / 4 for n in np.histogram(onsets, edges)[0]]


def longest_silence_beats(notes: Sequence[Note]) -> float:
    """The longest time in which nothing sounds, in beats."""
    until, longest = 0, 0
    for note in notes:
        longest = max(longest, note.tick - until)
        until = max(until, note.tick + note.duration)
    return longest / PPQN


def most_repeats(notes: Sequence[Note], bars: int = 2, bar_ticks: int = BAR) -> int:
    """How often a passage of so many bars is heard in a row at the most, note for note (1: never again)."""
    span = bars * bar_ticks
    most = 1
    for offset in range(0, span, bar_ticks):
        cells: dict[int, list[tuple[int, int, int]]] = {}
        for note in notes:
            if note.tick >= offset:
                cells.setdefault((note.tick - offset) // span, []).append(
                    ((note.tick - offset) % span, note.voice, note.pitch)
                )
        if not cells:
            return most
        bodies = [sorted(cells.get(k, [])) for k in range(max(cells) + 1)]
        run = 1
        for before, after in pairwise(bodies):
            run = run + 1 if after and before == after else 1
            most = max(most, run)
    return most


def measure_knobs(engine: Engine, beats: int) -> list[dict[str, Any]]:
    """One row a setting of density and temperature."""
    rows = []
    for temperature in TEMPERATURES:
        for density in (None, *DENSITIES):
            notes, entropy = render(engine, Asked(density, temperature), beats)
            heard = onsets_per_beat(notes, beats)
            rows.append(
                {
                    "temperature": temperature, "density_asked": density,
                    "density_heard_median": float(np.median(heard)), "density_heard_mean": float(np.mean(heard)),
                    "notes": len(notes), "pitch_entropy_bits": entropy,
                    "longest_silence_beats": longest_silence_beats(notes), "most_repeats": most_repeats(notes),
                    "velocities": len({note.velocity for note in notes}),
                }
            )  # fmt: skip
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m model.render`."""
    parser.add_argument("--weights", type=Path, required=True, help="weights file")
    parser.add_argument("--beats", type=int, default=512, help="length of each render")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    rows = measure_knobs(Engine.load(args.weights), args.beats)
    if args.json:
        print(json.dumps(rows))
        return 0
    print("temperature  asked  heard (mean)  notes  entropy  silence  repeats  velocities")
    for row in rows:
        asked = "none" if row["density_asked"] is None else f"{row['density_asked']:.2f}"
        print(
            f"{row['temperature']:11.1f} {asked:>6} {row['density_heard_median']:6.2f} "
            f"({row['density_heard_mean']:5.2f}) {row['notes']:6} {row['pitch_entropy_bits']:8.2f} "
            f"{row['longest_silence_beats']:8.1f} {row['most_repeats']:8} {row['velocities']:11}"
        )
    return 0


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description="measure how the network obeys its knobs")
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
