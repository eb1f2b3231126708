from pathlib import Path

import numpy as np
import pytest

from model.errors import NoonsongError
from model.markov import Markov, bits_a_note
from model.tokens import END, FIRST_TOUCH, VOCABULARY_SIZE


def _stream(seed: int, pieces: int = 3, length: int = 300) -> np.ndarray:
    random = np.random.default_rng(seed)
    parts = [np.concatenate([[END], random.integers(1, 6, length)]) for _ in range(pieces)]
    return np.concatenate(parts)


def test_distribution_sums_to_one_and_agrees_with_the_likelihoods() -> None:
    markov = Markov.count(_stream(0), 4)
    piece = np.concatenate([_stream(1, 1, 30), [END]])
    likelihoods = markov.log2_likelihoods(piece)
    for i in range(1, len(piece)):
        probability = markov.distribution(piece[:i].tolist())
        assert probability.sum() == pytest.approx(1.0)
        assert np.log2(probability[piece[i]]) == pytest.approx(likelihoods[i - 1])


def test_longer_contexts_learn_what_shorter_ones_cannot() -> None:
    # 1 2 then 3, 4 2 then 5: one token of context leaves a bit of doubt, two leave none.
    random = np.random.default_rng(0)
    pieces = [np.concatenate([[END], *(([1, 2, 3], [4, 2, 5])[k] for k in random.integers(0, 2, 200))])] * 4
    stream = np.concatenate(pieces)
    piece = np.concatenate([[END], *([1, 2, 3], [4, 2, 5]) * 20])
    short, long = (Markov.count(stream, order).log2_likelihoods(piece) for order in (1, 2))
    assert -short[2::3].mean() > 0.9
    assert -long[2::3].mean() < 0.05


def test_no_context_reaches_over_the_end_of_a_piece() -> None:
    stream = np.concatenate([[END, 1, 2, 3], [END, 4, 5, 6], [END, 1, 2, 3]])
    markov = Markov.count(stream, 3)
    alone = markov.log2_likelihoods(np.array([END, 1, 2]))
    after = markov.log2_likelihoods(np.array([END, 4, 5, 6, END, 1, 2]))
    np.testing.assert_allclose(after[-2:], alone)


def test_unseen_tokens_keep_a_chance() -> None:
    markov = Markov.count(_stream(0), 4)
    assert np.isfinite(markov.log2_likelihoods(np.array([END, VOCABULARY_SIZE - 1, 3]))).all()
    assert bits_a_note(markov, np.array([END, 3, FIRST_TOUCH])) > 0


def test_save_and_load(tmp_path: Path) -> None:
    markov = Markov.count(_stream(0), 3)
    markov.save(tmp_path / "markov.npz")
    piece = _stream(7, 1)
    loaded = Markov.load(tmp_path / "markov.npz")
    np.testing.assert_array_equal(loaded.log2_likelihoods(piece), markov.log2_likelihoods(piece))


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(NoonsongError, match=r"no\.npz"):
        Markov.load(path)


def test_what_is_rare_can_be_left_to_shorter_contexts() -> None:
    whole = Markov.count(_stream(0), 4)
    small = whole.without_rare(3)
    assert sum(len(level.counts) for level in small.levels) < sum(len(level.counts) for level in whole.levels)
    piece = np.concatenate([_stream(1, 1, 60), [END]])
    likelihoods = small.log2_likelihoods(piece)
    for i in range(1, len(piece)):
        probability = small.distribution(piece[:i].tolist())
        assert probability.sum() == pytest.approx(1.0)
        assert np.log2(probability[piece[i]]) == pytest.approx(likelihoods[i - 1])
