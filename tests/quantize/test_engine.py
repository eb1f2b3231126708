"""What the engine promises the player, on every kernel that this machine can run."""

from pathlib import Path

import numpy as np
import pytest

from model.tokens import END, FIRST_NOTE, FIRST_SHIFT, FIRST_TOUCH, VOCABULARY_SIZE
from quantize.engine import Batch, Engine
from quantize.kernel_library import kernels
from tests.quantize.factory import SMALL, random_file, random_sides

ALL = ((0, VOCABULARY_SIZE),)
ONSET = ((FIRST_SHIFT, FIRST_NOTE), (FIRST_NOTE + 3, FIRST_TOUCH))
KERNELS = [*kernels(), "numpy"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_file(tmp_path_factory.mktemp("weights") / "small.noonsong", **SMALL)


@pytest.fixture(params=KERNELS)
def engine(path: Path, request: pytest.FixtureRequest) -> Engine:
    return Engine.load(path, kernel=request.param)


def music(count: int, seed: int = 0) -> tuple[list[int], list[list[tuple[int, float]]]]:
    rng = np.random.default_rng(seed)
    return [END, *rng.integers(VOCABULARY_SIZE, size=count - 1).tolist()], random_sides(rng, count)


def test_prefill_is_steps(engine: Engine, path: Path) -> None:
    tokens, sides = music(150)
    engine.prefill(tokens, sides)
    once = engine.logits(ALL)
    engine.reset()
    for token, side in zip(tokens, sides, strict=True):
        engine.step(token, side)
    np.testing.assert_array_equal(engine.logits(ALL), once)
    assert engine.position == 150


def test_rolls_back_as_if_nothing_had_been(engine: Engine) -> None:
    tokens, sides = music(700)
    engine.prefill(tokens[:180], sides[:180])
    before = engine.logits(ALL)
    engine.prefill(tokens[180:], sides[180:])
    after = engine.logits(ALL)
    engine.truncate(188)
    engine.prefill(tokens[188:], sides[188:])
    np.testing.assert_array_equal(engine.logits(ALL), after)
    with pytest.raises(ValueError, match="188 to 700"):
        engine.truncate(180)
    engine.reset()
    engine.prefill(tokens[:180], sides[:180])
    engine.prefill(tokens[:500], sides[:500])
    engine.truncate(180)
    np.testing.assert_array_equal(engine.logits(ALL), before)


def test_restart_goes_on_where_it_was(engine: Engine) -> None:
    tokens, sides = music(400)
    engine.prefill(tokens, sides)
    unbroken = engine.logits(ALL)
    again = 400 - engine.shape.layers * engine.shape.window
    engine.reset(again)
    with pytest.raises(ValueError, match="no token has been fed"):
        engine.logits(ALL)
    engine.prefill(tokens[again:], sides[again:])
    np.testing.assert_array_equal(engine.logits(ALL), unbroken)


def test_positions_wrap_without_a_seam(engine: Engine) -> None:
    tokens, sides = music(200)
    engine.prefill(tokens, sides)
    first = engine.logits(ALL)
    engine.reset(3 * engine.shape.period)
    engine.prefill(tokens, sides)
    np.testing.assert_array_equal(engine.logits(ALL), first)


@pytest.mark.parametrize("count", [1, 5, 64])
def test_candidates_are_what_the_engine_would_have_played(engine: Engine, count: int) -> None:
    tokens, sides = music(100)
    engine.prefill(tokens, sides)
    batch = engine.fork(count)
    played = [music(8, seed)[0] for seed in range(count)]
    _, ahead = music(8, 9)
    for t in range(8):
        batch.step([p[t] for p in played], [ahead[t]] * count)
    seeds = [7 * i for i in range(count)]
    drawn = batch.sample([ONSET] * count, (1.0, 1.0, 1.0), 1.0, seeds)
    heard = [batch.logits(i, ALL) for i in range(count)]
    for i in range(count):
        engine.truncate(100)
        engine.prefill(played[i], ahead)
        np.testing.assert_array_equal(engine.logits(ALL), heard[i])
        assert engine.sample(ONSET, (1.0, 1.0, 1.0), 1.0, seeds[i]) == drawn[i]


def test_kept_candidate_goes_on(engine: Engine) -> None:
    tokens, sides = music(120)
    engine.prefill(tokens, sides)
    unbroken = engine.logits(ALL)
    engine.truncate(80)
    batch = engine.fork(3)
    for t in range(80, 100):
        batch.step([5, tokens[t], 9], [sides[t]] * 3)
    batch.keep(1)
    engine.prefill(tokens[100:], sides[100:])
    np.testing.assert_array_equal(engine.logits(ALL), unbroken)
    with pytest.raises(ValueError, match="fork again"):
        batch.step([1, 1, 1], [[]] * 3)


def test_a_candidate_plays_past_the_window(engine: Engine) -> None:
    tokens, sides = music(100 + engine.shape.window + 20)
    engine.prefill(tokens[:100], sides[:100])
    batch = engine.fork(2)
    for t in range(100, len(tokens)):
        batch.step([3, tokens[t]], [sides[t]] * 2)
    heard = batch.logits(1, ALL)
    engine.prefill(tokens[100:], sides[100:])
    np.testing.assert_array_equal(engine.logits(ALL), heard)


def test_candidates_have_bounds(engine: Engine) -> None:
    engine.step(END, [])
    with pytest.raises(ValueError, match="1 to 64"):
        engine.fork(65)
    batch = engine.fork(64)
    for _ in range(16):
        batch.step([END] * 64, [[]] * 64)
    with pytest.raises(ValueError, match="16 tokens ahead"):
        batch.step([END] * 64, [[]] * 64)
    with pytest.raises(ValueError, match="candidate 64"):
        batch.keep(64)
    assert isinstance(batch, Batch)


def test_bad_requests_change_nothing(engine: Engine) -> None:
    engine.step(END, [(0, 1.0)])
    before = engine.logits(ALL)
    for bad in (-1, VOCABULARY_SIZE):
        with pytest.raises(ValueError, match="is not one of"):
            engine.prefill([3, bad], [[], []])
    for bad in (-1, 10_000):
        with pytest.raises(ValueError, match="side row"):
            engine.step(3, [(bad, 1.0)])
    with pytest.raises(ValueError, match="2 tokens and 1 side"):
        engine.prefill([3, 4], [[]])
    for ranges in ((), ((5, 5),), ((0, VOCABULARY_SIZE + 1),), ((9, 12), (3, 5)), ((-2, 5),)):
        with pytest.raises(ValueError):
            engine.sample(ranges, (1, 1, 1), 1.0, 0)
    assert engine.position == 1
    np.testing.assert_array_equal(engine.logits(ALL), before)


def test_draws_depend_on_seed_and_position_alone(engine: Engine) -> None:
    tokens, sides = music(60)
    engine.prefill(tokens, sides)
    drawn = [engine.sample(ALL, (1, 1, 1), 1.0, seed) for seed in range(50)]
    assert len(set(drawn)) > 10
    engine.step(3, [])
    engine.sample(ALL, (1, 1, 1), 1.0, 0)
    engine.truncate(60)
    assert drawn == [engine.sample(ALL, (1, 1, 1), 1.0, seed) for seed in range(50)]
