"""Other spellings lose nothing, and the side inputs that are to say nothing do."""

from dataclasses import asdict

import numpy as np
import pytest

from bench import schemes
from model.tokens import DRUMS, DURATIONS, FIRST_NOTE, FIRST_TOUCH, note_of, note_token
from tests.model.synthetic import scale_splits
from tests.model.training_child import SMALL


def test_each_spelling_can_be_read_back(tmp_path):
    for split in scale_splits(tmp_path):
        for index in range(len(split.pieces)):
            steps = split.piece_steps(index)
            assert list(steps["token"]) == _joined(schemes.touch_apart(steps)["token"])
            assert list(steps["token"]) == _voiced(schemes.voice_apart(steps)["token"])


def _joined(tokens):
    read, length = [], 0
    for token in map(int, tokens):
        if token >= schemes.FIRST_VELOCITY:
            read.append(FIRST_TOUCH + (token - schemes.FIRST_VELOCITY) * len(DURATIONS) + length)
        elif token >= FIRST_TOUCH:
            length = token - FIRST_TOUCH
        else:
            read.append(token)
    return read


def _voiced(tokens):
    read, voice = [], -1
    for token in map(int, tokens):
        if schemes.FIRST_VOICE <= token < FIRST_TOUCH:
            voice = token - schemes.FIRST_VOICE
        elif FIRST_NOTE <= token < FIRST_TOUCH:
            named, pitch = note_of(token)
            assert (named == DRUMS) == (voice == DRUMS)
            read.append(note_token(voice, pitch))
        else:
            read.append(token)
    return read


@pytest.mark.parametrize("name", list(schemes.SCHEMES))
def test_each_scheme_is_measured(tmp_path, monkeypatch, name):
    train, valid = scale_splits(tmp_path)
    monkeypatch.setattr(
        schemes, "arrays_of_archive", lambda _, split: {"train": train, "valid": valid}[split]
    )
    small = {**asdict(SMALL), "tokens": SMALL.batch_tokens * 2}
    monkeypatch.setattr(schemes, "read_config", lambda *_: type(SMALL)(**small))
    figures = schemes.measure(tmp_path, tmp_path / "out", name, 0)
    assert 0 < figures["untold"] < 100
    assert (figures["told"] is None) == (name == "no side inputs")
    assert np.isfinite(figures["tokens_a_note"])
