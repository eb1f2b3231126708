"""Whether the instrument gets stuck: the longest silence and the longest exact loop of long renders."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from model.playing.renders import play
from model.tokens import PPQN, Note
from quantize.engine import Engine

TEMPERATURES = (0.2, 1.0, 2.0)  # the ends of the knob and its middle
TEMPO_BPM = 96.0  # the box's own
BAR = 4 * PPQN


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
                index, within = divmod(note.tick - offset, span)
                cells.setdefault(index, []).append((within, note.voice, note.pitch))
        bodies = [_digest(cells.get(k, [])) for k in range(max(cells, default=-1) + 1)]
        run = 1
        for before, after in pairwise(bodies):
            run = run + 1 if after and before == after else 1
            most = max(most, run)
    return most


def _digest(cell: list[tuple[int, int, int]]) -> bytes:
    return hashlib.blake2b(repr(sorted(cell)).encode(), digest_size=16).digest() if cell else b""


def measure_dead_ends(engine: Engine, hours: float, seed: int = 1) -> list[dict[str, Any]]:
    """A row a temperature: one render of so many hours, all other controls at their defaults."""
    rows = []
    for temperature in TEMPERATURES:
        notes = play(engine, seed, hours * 60 * TEMPO_BPM, {"temperature": temperature, "tempo": TEMPO_BPM})
        rows.append(
            {
                "temperature": temperature, "hours": hours, "seed": seed, "notes": len(notes),
                "longest_silence_beats": longest_silence_beats(notes), "most_repeats": most_repeats(notes),
            }
        )  # fmt: skip
    return rows
