"""Drawing: its distribution, its edges, and C against numpy on the same logits."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.tokens import FIRST_NOTE, FIRST_SHIFT, FIRST_TOUCH, VOCABULARY_SIZE
from quantize.engine import Engine
from quantize.kernel_library import kernels
from quantize.sampling import exp2, random_bits, sample, whole
from tests.quantize.factory import SMALL, random_file

ALL = ((0, VOCABULARY_SIZE),)
NOTES = ((FIRST_NOTE, FIRST_TOUCH),)
Ranges = tuple[tuple[int, int], ...]


def shares(
    logits: NDArray[np.float32], allowed: Ranges, temperatures: tuple[float, float, float], top_p: float
) -> NDArray[np.float64]:
    counts: NDArray[np.float64] = np.zeros(VOCABULARY_SIZE)
    for i in range(20_000):
        counts[sample(logits, allowed, temperatures, top_p, random_bits(1, i))] += 1
    counts /= counts.sum()
    return counts


def test_splitmix64_is_the_published_one() -> None:
    # The first numbers of seed 1234567, as in the reference implementation's test vectors.
    assert [random_bits(1234567, i) for i in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_powers_of_two_are_near_and_end() -> None:
    x = np.linspace(-63.9, 0, 100_001, dtype=np.float32)
    np.testing.assert_allclose(exp2(x), 2.0 ** x.astype(np.float64), rtol=3e-7)
    np.testing.assert_array_equal(
        exp2(np.array([0, -1, -10, -64, -1e30], np.float32)), [1, 0.5, 2**-10, 0, 0]
    )


def test_whole_rounds_half_to_even() -> None:
    np.testing.assert_array_equal(
        whole(np.array([0.5, 1.5, 2.5, -0.5, -1.5, 126.7], np.float32)), [0, 2, 2, 0, -2, 127]
    )


def test_draws_as_often_as_it_should() -> None:
    logits = np.array([1.0, 0.0, -1.0, 2.0], np.float32)
    allowed = ((FIRST_NOTE, FIRST_NOTE + 4),)
    for temperature in (1.0, 0.5, 2.0):
        drawn = shares(logits, allowed, (9.0, temperature, 9.0), 1.0)[FIRST_NOTE : FIRST_NOTE + 4]
        expected = np.exp(logits / temperature)
        np.testing.assert_allclose(drawn, expected / expected.sum(), atol=0.015)


def test_top_p_keeps_the_likeliest_and_breaks_ties_by_token() -> None:
    allowed = ((FIRST_NOTE, FIRST_NOTE + 5),)
    logits = np.log(np.array([0.1, 0.4, 0.1, 0.3, 0.1], np.float32))
    one = (1.0, 1.0, 1.0)
    assert set(np.flatnonzero(shares(logits, allowed, one, 0.69))) == {FIRST_NOTE + 1, FIRST_NOTE + 3}
    kept = set(np.flatnonzero(shares(logits, allowed, one, 0.75)))
    assert kept == {FIRST_NOTE, FIRST_NOTE + 1, FIRST_NOTE + 3}
    assert set(np.flatnonzero(shares(logits, allowed, one, 0.0))) == {FIRST_NOTE + 1}


def test_coldest_takes_the_likeliest() -> None:
    logits = np.random.default_rng(0).normal(size=VOCABULARY_SIZE).astype(np.float32)
    for i in range(100):
        assert sample(logits, ALL, (0.0, 0.0, 0.0), 1.0, random_bits(i, i)) == logits.argmax()


def test_pitch_temperature_leaves_the_rhythm_alone() -> None:
    """Whether time passes or a note sounds is not changed by the temperature of the pitches."""
    rng = np.random.default_rng(1)
    allowed = ((FIRST_SHIFT, FIRST_SHIFT + 5), (FIRST_NOTE, FIRST_NOTE + 20))
    logits = rng.normal(0, 2, 25).astype(np.float32)
    warm, cold = (shares(logits, allowed, (1.0, pitch, 1.0), 1.0) for pitch in (1.0, 0.2))
    np.testing.assert_allclose(cold[:FIRST_NOTE], warm[:FIRST_NOTE], atol=0.02)
    assert (
        cold.max() > 1.5 * warm[FIRST_NOTE:].max() or cold[FIRST_NOTE:].max() > warm[FIRST_NOTE:].max() + 0.1
    )


@pytest.mark.parametrize("kernel", kernels())
def test_c_draws_what_numpy_draws(tmp_path: Path, kernel: str) -> None:
    engine = Engine.load(random_file(tmp_path / "w", **SMALL), kernel=kernel)
    rng = np.random.default_rng(2)
    ranges: tuple[Ranges, ...] = (
        ALL,
        NOTES,
        ((FIRST_TOUCH, VOCABULARY_SIZE),),
        ((FIRST_SHIFT, FIRST_NOTE), (FIRST_NOTE + 77, FIRST_TOUCH)),
        ((3, 4),),
        ((0, 1), (5, 9), (FIRST_TOUCH + 3, FIRST_TOUCH + 4)),
        tuple((token, token + 1) for token in range(FIRST_NOTE, FIRST_TOUCH, 2)),
        tuple((token, token + 2) for token in range(0, VOCABULARY_SIZE - 2, 7)),
    )
    for turn in range(600):
        engine.step(int(rng.integers(VOCABULARY_SIZE)), [])
        allowed = ranges[turn % len(ranges)]
        temperatures = tuple(rng.choice([0.0, 0.01, 0.3, 1.0, 1.0, 5.0, 1e6], 3).tolist())
        top_p = float(rng.choice([0.0, 1e-9, 0.3, 0.9, 0.999999, 1.0]))
        seed = int(rng.integers(1 << 63)) * 2 + turn % 2
        pieces = np.concatenate([engine.logits(ALL)[first:stop] for first, stop in allowed])
        np.testing.assert_array_equal(engine.logits(allowed), pieces)
        expected = sample(
            engine.logits(allowed), allowed, temperatures, top_p, random_bits(seed, engine.position)
        )
        assert engine.sample(allowed, temperatures, top_p, seed) == expected
