"""How far what is played is from held-out music, in the measures of the field.

Histograms (pitch classes, melodic intervals of the top line, time between onsets, durations, velocities, notes
sounding) are pooled over excerpts and compared by Jensen-Shannon divergence in bits; single figures an excerpt
(pitch-class entropy of a bar and of four, Wu & Yang 2020, arXiv:2008.01307; grooving similarity, ibid.;
likeness of a bar to the bars 1, 2, 4 and 8 later) by the distance of their distributions (Wasserstein, in
standard deviations of the held-out music). The floor is held-out music against other held-out music, half
against half, drawn many times.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.playing.renders import meter_control, play
from model.playing.sequences import Excerpt
from model.tokens import PPQN, Note
from quantize.engine import Engine

Floats = NDArray[np.float64]
WARM_UP_BEATS = 16
SPLITS = 200
LAGS = (1, 2, 4, 8)
_LENGTHS = np.array([1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 30, 36, 48, 60, 72, 96, 144, 192])


def _nearest_length(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    ratio = np.abs(np.log(np.maximum(ticks, 1)[:, None] / _LENGTHS))
    return np.asarray(ratio.argmin(axis=1))


def histograms(excerpt: Excerpt) -> dict[str, Floats]:
    """Counts by measure."""
    table = np.array([(n.tick, n.duration, n.pitch, n.velocity) for n in sorted(excerpt.notes)], np.int64)
    tick, duration, pitch, velocity = table.T
    onset = np.unique(tick)
    top = np.array([pitch[tick == t].max() for t in onset])
    sounding = [int(((tick <= t) & (tick + duration > t)).sum()) for t in onset]
    return {
        "pitch classes": np.bincount(pitch % 12, minlength=12).astype(float),
        "intervals": np.bincount(np.clip(np.diff(top), -24, 24) + 24, minlength=49).astype(float),
        "inter-onset intervals": np.bincount(_nearest_length(np.diff(onset)), minlength=len(_LENGTHS)).astype(
            float
        ),
        "durations": np.bincount(_nearest_length(duration), minlength=len(_LENGTHS)).astype(float),
        "velocities": np.bincount(velocity // 8, minlength=16).astype(float),
        "polyphony": np.bincount(np.minimum(sounding, 15), minlength=16).astype(float),
    }


def single_figures(excerpt: Excerpt) -> dict[str, float]:
    """One figure a measure."""
    bars = excerpt.beats * PPQN // excerpt.bar_ticks
    classes, onsets = np.zeros((bars, 12)), np.zeros((bars, excerpt.bar_ticks), bool)
    content: list[set[tuple[int, int]]] = [set() for _ in range(bars)]
    for note in excerpt.notes:
        bar, within = divmod(note.tick, excerpt.bar_ticks)
        if bar < bars:
            classes[bar, note.pitch % 12] += 1
            onsets[bar, within] = True
            content[bar].add((within, note.pitch))
    figures = {
        "pitch-class entropy, 1 bar": _mean_entropy(classes),
        "pitch-class entropy, 4 bars": _mean_entropy(classes[: bars // 4 * 4].reshape(-1, 4, 12).sum(axis=1)),
        "grooving similarity": 1 - float(np.mean(onsets[1:] != onsets[:-1])),
    }
    for lag in LAGS:
        alike = [_jaccard(a, b) for a, b in zip(content, content[lag:], strict=False)]
        figures[f"likeness to {lag} bars later"] = float(np.mean(alike))
    return figures


def _mean_entropy(classes: Floats) -> float:
    full = classes[classes.sum(axis=1) > 0]
    share = full / full.sum(axis=1, keepdims=True)
    return float(np.mean(-(share * np.log2(share + 1e-300)).sum(axis=1)))


def _jaccard(a: set[tuple[int, int]], b: set[tuple[int, int]]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


def divergence(a: Floats, b: Floats) -> float:
    """Jensen-Shannon divergence of two histograms, in bits."""
    p, q = a / a.sum(), b / b.sum()
    middle = (p + q) / 2

    def towards(x: Floats) -> float:
        some = x > 0
        return float((x[some] * np.log2(x[some] / middle[some])).sum())

    return (towards(p) + towards(q)) / 2


def wasserstein(a: Floats, b: Floats) -> float:
    """Distance of two samples' distributions, in the unit of the samples."""
    at = np.linspace(0.005, 0.995, 100)
    return float(np.abs(np.quantile(a, at) - np.quantile(b, at)).mean())


def compare(played: Sequence[Excerpt], held_out: Sequence[Excerpt]) -> dict[str, Any]:
    """By measure: the distance, the floor (mean and 95th percentile), and what the two sides are."""
    result: dict[str, Any] = {}
    sides = [[histograms(e) for e in side] for side in (played, held_out)]
    for name in sides[0][0]:
        a, b = (np.array([counts[name] for counts in side]) for side in sides)
        result[name] = _row(a, b, _pooled_divergence)
    figures = [[single_figures(e) for e in side] for side in (played, held_out)]
    for name in figures[0][0]:
        a, b = (np.array([row[name] for row in side]) for side in figures)
        unit = float(b.std()) or 1.0
        result[name] = _row(a / unit, b / unit, wasserstein)
        result[name] |= {"played": float(a.mean()), "held_out": float(b.mean())}
    return result


def _pooled_divergence(a: Floats, b: Floats) -> float:
    return divergence(a.sum(axis=0), b.sum(axis=0))


def _row(a: Floats, b: Floats, distance: Callable[[Floats, Floats], float]) -> dict[str, float]:
    """Both are measured on halves, since a distance of samples depends on how large they are."""
    random = np.random.default_rng(0)
    floor, played = [], []
    for _ in range(SPLITS):
        mixed = random.permutation(len(b))
        half = len(b) // 2
        floor.append(distance(b[mixed[:half]], b[mixed[half:]]))
        played.append(distance(a[random.permutation(len(a))[:half]], b[mixed[half:]]))
    return {
        "distance": float(np.mean(played)), "floor": float(np.mean(floor)),
        "floor_95": float(np.percentile(floor, 95)),
    }  # fmt: skip


def played_like(engine: Engine, held_out: Sequence[Excerpt], temperature: float = 1.0) -> list[Excerpt]:
    """For each excerpt, as many beats played with its metre, density and source asked for."""
    sources = list(engine.header.sources)
    played = []
    for seed, like in enumerate(held_out, 1):
        controls: dict[str, float | None] = {
            "density": like.density, "temperature": temperature, "meter": meter_control(like.bar_ticks),
        }  # fmt: skip
        if like.source in sources:
            controls["source"] = float(sources.index(like.source))
        begin = -(-WARM_UP_BEATS * PPQN // like.bar_ticks) * like.bar_ticks
        notes = [
            note._replace(tick=note.tick - begin)
            for note in play(engine, seed, begin / PPQN + like.beats, controls)
            if note.tick >= begin
        ]
        played.append(Excerpt(notes, like.beats, like.bar_ticks, like.density, like.source))
    return played


def pieces_of(excerpts: Sequence[Excerpt]) -> list[list[Note]]:
    """The notes alone."""
    return [excerpt.notes for excerpt in excerpts]
