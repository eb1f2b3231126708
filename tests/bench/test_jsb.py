import json

import numpy as np
import pytest

from bench.jsb import add_arguments, encode, read_chorales, run
from model.errors import NoonsongError
from model.tokens import END, FIRST_SHIFT, note_of


def _arguments(*words: str):
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def _file(path, **parts):
    path.write_text(json.dumps(parts))
    return path


def test_tokens_of_a_chorale():
    token = encode(np.array([[72, 67, 64, -1]]), 2)
    assert token[0] == END
    assert [note_of(int(t))[1] for t in token[1:4]] == [74, 69, 66]
    assert token[4] == FIRST_SHIFT


def test_it_learns_what_the_training_file_repeats_and_measures_the_other(tmp_path, capsys):
    chord = [[60, 55, 52, 48], [62, 57, 53, 50]] * 20
    train = _file(tmp_path / "a.json", train=[chord] * 3)
    other = _file(tmp_path / "b.json", valid=[chord, chord[:10]])
    small = [
        "--steps",
        "60",
        "--every",
        "60",
        "--batch",
        "2",
        "--time",
        "64",
        "--width",
        "32",
        "--layers",
        "1",
        "--json",
    ]
    assert run(_arguments(str(train), str(other), *small)) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["nats_per_token"] < 0.6 * result["uniform"]
    assert result["curve"][-1]["held_out"] == result["nats_per_token"]


def test_a_file_without_chorales_is_named(tmp_path):
    for text in ("{}", "no json", "[1]"):
        path = tmp_path / "c.json"
        path.write_text(text)
        with pytest.raises(NoonsongError, match=r"c\.json has no chorales under train"):
            read_chorales(path, "train")
