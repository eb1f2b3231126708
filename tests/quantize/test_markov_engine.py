from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from host.player import Player
from host.settings import first_settings
from model.errors import NoonsongError
from model.markov import Markov
from model.tokens import END, FIRST_SHIFT, FIRST_TOUCH, VOCABULARY_SIZE, note_token, touch_token
from quantize.markov_engine import MarkovEngine
from tests.host.playing import controls, planned

EVERYTHING = ((0, VOCABULARY_SIZE),)
SIDE: list[tuple[int, float]] = []


def music() -> np.ndarray:
    """An endless upward scale in eighths."""
    piece = [END]
    for k in range(400):
        piece += [FIRST_SHIFT + 11, note_token(2, 60 + k % 12), touch_token(80, 12)]
    return np.array(piece, np.int64)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("markov") / "table.npz"
    Markov.count(music(), 4).without_rare(2).save(path)
    return path


def test_it_plays_what_it_counted_behind_the_players_interface(table: Path) -> None:
    engine = MarkovEngine.load(table)
    player = Player(engine, 1, first_settings(controls(top_p=0.7, density=None)))
    notes = [s.note for s in planned(player, 40) if s.note is not None]
    steps = {(b.pitch - a.pitch) % 12 for a, b in pairwise(notes[6:])}
    assert steps == {1}
    assert {b.tick - a.tick for a, b in pairwise(notes[6:])} == {12}
    engine = MarkovEngine.load(table)
    again = Player(engine, 1, first_settings(controls(top_p=0.7, density=None)))
    assert [s.note for s in planned(again, 40) if s.note is not None] == notes


def test_it_rolls_back_and_goes_on_from_its_last_tokens(table: Path) -> None:
    engine = MarkovEngine.load(table)
    heard = music()[:50].tolist()
    engine.prefill(heard, [SIDE] * 50)
    expected = engine.logits(EVERYTHING)
    engine.step(END, SIDE)
    assert not np.array_equal(engine.logits(EVERYTHING), expected)
    engine.truncate(50)
    assert np.array_equal(engine.logits(EVERYTHING), expected)
    other = MarkovEngine.load(table)
    other.reset(50 - other.memory_tokens)
    other.prefill(heard[-other.memory_tokens :], [SIDE] * other.memory_tokens)
    assert other.position == 50
    assert np.array_equal(other.logits(EVERYTHING), expected)
    drawn = [e.sample(EVERYTHING, (1.0, 1.0, 1.0), 1.0, 7) for e in (engine, other)]
    assert drawn[0] == drawn[1]
    for wrong in (51, -1):
        with pytest.raises(ValueError, match="cannot go"):
            engine.truncate(wrong)


def test_only_what_is_allowed_is_drawn(table: Path) -> None:
    engine = MarkovEngine.load(table)
    engine.step(END, SIDE)
    touches = ((FIRST_TOUCH, VOCABULARY_SIZE),)
    assert engine.sample(touches, (1.0, 1.0, 1.0), 1.0, 1) >= FIRST_TOUCH


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    for content in (b"nothing", b"PK\x03\x04 and nothing"):
        path = tmp_path / "bad.npz"
        path.write_bytes(content)
        with pytest.raises(NoonsongError, match=r"bad\.npz cannot be read .*noonsong markov"):
            MarkovEngine.load(path)


def test_nothing_heard_nothing_drawn(table: Path) -> None:
    with pytest.raises(ValueError, match="END"):
        MarkovEngine.load(table).logits(EVERYTHING)
