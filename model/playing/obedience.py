"""What the instrument does with its knobs: density asked against density heard, entropy by temperature."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from model.playing.dead_ends import longest_silence_beats, most_repeats
from model.playing.renders import Turn, play
from model.tokens import PPQN, Note
from quantize.engine import Engine

DENSITIES = (0.5, 1.0, 2.0, 4.0, 8.0)
TEMPERATURES = (0.7, 1.0, 1.3)
WARM_UP_BEATS = 16  # heard by nobody: the knob was turned before
STRETCH_BEATS = 4
TURN_BEATS = 2  # so long after it was turned, a knob has to be heard
TOLERANCE = 0.15


def onsets_per_beat(notes: Sequence[Note], begin_beat: float, end_beat: float) -> list[float]:
    """Distinct onsets a beat in each stretch of STRETCH_BEATS between two beats."""
    onsets = np.unique([note.tick for note in notes])
    edges = np.arange(begin_beat * PPQN, end_beat * PPQN + 1, STRETCH_BEATS * PPQN)
    return [float(n) / STRETCH_BEATS for n in np.histogram(onsets, edges)[0]]


def measure_setting(
    engine: Engine, density: float | None, temperature: float, seeds: range, beats: int
) -> dict[str, Any]:
    """One row: several pieces played with the two knobs where they are, and several in which the density is
    turned there from the far end of its range.
    """
    controls = {"density": density, "temperature": temperature}
    heard: list[float] = []
    surprises: list[float] = []
    notes_a_piece, silences, repeats, thickness = [], [], [], []
    velocities: set[int] = set()
    for seed in seeds:
        notes = play(engine, seed, beats, controls, surprises=surprises)
        heard += onsets_per_beat(notes, WARM_UP_BEATS, beats)
        notes_a_piece.append(len(notes))
        thickness.append(len(notes) / max(1, len({note.tick for note in notes})))
        silences.append(longest_silence_beats(notes))
        repeats.append(most_repeats(notes))
        velocities |= {note.velocity for note in notes}
    row: dict[str, Any] = {
        "temperature": temperature, "density_asked": density,
        "density_heard": float(np.median(heard)), "density_heard_mean": float(np.mean(heard)),
        "notes_an_onset": float(np.mean(thickness)), "pitch_entropy_bits": float(np.mean(surprises)),
        "longest_silence_beats": max(silences), "most_repeats": max(repeats), "velocities": len(velocities),
    }  # fmt: skip
    if density is not None:
        row["within"] = abs(row["density_heard"] / density - 1) <= TOLERANCE
        row |= _turned(engine, density, temperature, seeds)
    return row


def _turned(engine: Engine, density: float, temperature: float, seeds: range) -> dict[str, Any]:
    """The density is turned from the far end of its range; heard from TURN_BEATS after that on."""
    far = DENSITIES[0] if density > 2 else DENSITIES[-1]
    begin = WARM_UP_BEATS + TURN_BEATS
    # Long enough for sixteen onsets: one more or less is no fault of anybody's.
    end = begin + STRETCH_BEATS * max(1, round(16 / density / STRETCH_BEATS))
    turn = Turn(WARM_UP_BEATS * PPQN, {"density": density})
    heard = [
        float(
            np.mean(onsets_per_beat(play(engine, seed, end, {**_at(far, temperature)}, [turn]), begin, end))
        )
        for seed in seeds
    ]
    median = float(np.median(heard))
    return {
        "turned_from": far, "density_after_turn": median,
        "within_after_turn": abs(median / density - 1) <= TOLERANCE,
    }  # fmt: skip


def _at(density: float, temperature: float) -> dict[str, float]:
    return {"density": density, "temperature": temperature}


def measure_knobs(engine: Engine, seeds: range, beats: int) -> dict[str, Any]:
    """Rows of all settings, and whether what is heard rises with what is asked at each temperature."""
    rows = [
        measure_setting(engine, density, temperature, seeds, beats)
        for temperature in TEMPERATURES
        for density in (None, *DENSITIES)
    ]
    asked = [row for row in rows if row["density_asked"] is not None]
    by_temperature = [[r["density_heard"] for r in asked if r["temperature"] == t] for t in TEMPERATURES]
    free = [row["pitch_entropy_bits"] for row in rows if row["density_asked"] is None]
    return {
        "settings": rows, "seeds": len(seeds), "beats": beats,
        "within": sum(row["within"] for row in asked),
        "within_after_turn": sum(row["within_after_turn"] for row in asked), "of": len(asked),
        "density_rises": all(a < b for heard in by_temperature for a, b in pairwise(heard)),
        "entropy_rises": all(a < b for a, b in pairwise(free)),
    }  # fmt: skip
