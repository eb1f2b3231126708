import json

import numpy as np
import pytest

from model.batches import fixed_sequences
from model.dataset import encode_steps
from model.dynamics import bar_position, rendered_velocities
from model.evaluate import (
    Heard,
    Item,
    engine_logits,
    figures,
    float_logits,
    hear,
    items_of_split,
    main_result,
)
from model.markov import Markov
from model.tokens import FIRST_TOUCH
from quantize.engine import Engine
from tests.model.synthetic import scale_piece, scale_splits
from tests.quantize.factory import random_file

SIZES = {"width": 32, "layers": 2, "heads": 2, "window": 32, "period": 64}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_file(tmp_path_factory.mktemp("weights") / "random.safetensors", **SIZES)


def test_int8_and_float_agree_and_a_piece_longer_than_the_window_streams(weights):
    piece = Item("made", 1, encode_steps(scale_piece(60, beats=120)))
    int8 = hear(piece, engine_logits(Engine.load(weights)), None)
    exact = hear(piece, float_logits(weights), None)
    assert int8.notes == exact.notes == 150
    assert int8.tokens == len(piece.steps)
    assert int8.bits == pytest.approx(exact.bits, rel=0.05)
    told = hear(piece, engine_logits(Engine.load(weights)), None, conditioned=True)
    assert told.bits != int8.bits


def test_figures_are_ratios_of_sums_with_intervals():
    pieces = [Heard("a", 10, 25, 50.0, 20.0, 100.0), Heard("a", 30, 75, 90.0, 30.0, 140.0)]
    row = figures(pieces)
    assert row["bits_per_note"]["value"] == pytest.approx(140 / 40)
    assert row["nats_per_pitch"]["value"] == pytest.approx(50 / 40)
    assert row["below_markov_percent"] == pytest.approx(100 * (1 - 140 / 240))
    assert row["bits_per_note"]["low"] == pytest.approx(3.0)
    assert row["bits_per_note"]["high"] == pytest.approx(5.0)


def test_a_split_is_measured_beside_its_markov_model(tmp_path, weights):
    train_split, valid = scale_splits(tmp_path)
    markov = Markov.count(train_split.steps["token"].astype(np.int64), 3)
    engine = Engine.load(weights)
    items = list(items_of_split(valid, ["thick"], 2))
    assert [item.source for item in items] == [-1, 0]
    result = main_result([hear(item, engine_logits(engine), markov) for item in items])
    assert result["collections"]["made"]["pieces"] == 2
    assert result["total"]["markov_bits_per_note"]["value"] < 3 < result["total"]["bits_per_note"]["value"]
    json.dumps(result)


def test_held_out_sequences_are_the_same_each_time(tmp_path):
    _, valid = scale_splits(tmp_path, 6)
    one, two = (fixed_sequences(valid, 3, 64, True) for _ in range(2))
    assert all((a.token == b.token).all() and (a.rows == b.rows).all() for a, b in zip(one, two, strict=True))
    assert all((batch.weights == 0).all() for batch in fixed_sequences(valid, 3, 64, False))


def test_scores_without_dynamics_are_given_some():
    piece = scale_piece(60, 64, thick=True)
    velocity = rendered_velocities(piece.notes, piece.bars)
    assert len(set(velocity.tolist())) > 8
    assert (velocity == rendered_velocities(piece.notes, piece.bars)).all()
    first = piece.notes["tick"] == 96
    top = piece.notes["pitch"][first].argmax()
    assert velocity[first].argmax() == top
    assert len(rendered_velocities(piece.notes[:0], [])) == 0


def test_bar_position_counts_pick_ups_backwards():
    tick = np.array([0, 24, 71, 72, 100])
    in_bar, length = bar_position(tick, [(24, 72)])
    assert in_bar.tolist() == [48, 0, 47, 48, 4]
    assert set(length.tolist()) == {72}
    assert bar_position(tick, [])[0].tolist() == [-1] * 5


def test_touches_are_counted_as_notes():
    steps = encode_steps(scale_piece(60))
    assert int((steps["token"] >= FIRST_TOUCH).sum()) == len(scale_piece(60).notes)
