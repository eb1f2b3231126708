"""Tuning for real: an archive built from files, a network of noise, a weights file that plays afterwards."""

import argparse
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from model.archive.build import build
from model.conditioning import MAX_SOURCES, SOURCE_ROW
from model.errors import NoonsongError
from model.from_weights import network_of
from model.tune import Tuning, add_arguments, bits_a_note, memories, read_corpus, run
from quantize.engine import Engine
from quantize.weights import read_header, read_weights, write_weights
from tests.model.test_archive_build import write_tunes
from tests.quantize.factory import SMALL, random_file, random_header, random_tensors


@pytest.fixture(autouse=True)
def _small_things(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread: two that wait for each other are slower than one where the machine is busy."""
    torch.set_num_threads(1)
    monkeypatch.setattr("model.tune.MEMORIES", 6)
    monkeypatch.setattr("model.tune.LONGEST_SEQUENCE", 64)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write_tunes(folder / "tunes", 8)
    build(folder / "archive", [str(folder / "tunes")], workers=1)
    return folder / "archive"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_file(tmp_path_factory.mktemp("weights") / "old.safetensors", **SMALL)


def _arguments(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_a_new_source_is_learnt_kept_apart_and_told(
    archive: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new.safetensors"
    words = ("--weights", weights, "--archive", archive, "--out", out, "--name", "mine")
    assert run(_arguments(*words, "--steps", 40, "--json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["bits_after"] < figures["bits_before"]
    assert "held out" in figures["parted"]
    old, new = read_header(weights), read_header(out)
    assert new.sources == [*old.sources, "mine"]
    tuned = new.card["tuned"][0]
    assert tuned["source"] == "mine" and tuned["pieces"] == 8 and tuned["notes"] > 500
    # The rows of the old sources are what they were, up to their rounding.
    before, after = (network_of(read_weights(path)).side_own for path in (weights, out))
    mine = SOURCE_ROW + len(old.sources)
    others = [row for row in range(len(before)) if row != mine]
    assert torch.allclose(before[others], after[others], atol=1e-3)
    assert not torch.allclose(before[mine], after[mine], atol=1e-3)
    Engine.load(out).step(0, [(mine, 1.0)])
    with pytest.raises(NoonsongError, match='has a source "mine" already'):
        run(_arguments("--weights", out, "--archive", archive, "--out", out, "--name", "mine"))


def test_what_is_remembered_weighs(archive: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten = []
    for weight in (0.0, 30.0):
        monkeypatch.setattr("model.tune.MEMORY_WEIGHT", weight)
        old = read_weights(weights)
        sources = len(old.header.sources)
        corpus = read_corpus(archive, sources, (*old.header.sources, "mine"))
        memory = memories(Engine(old), 8, 64, 1)
        tuning = Tuning(network_of(old), corpus, memory, sources, 1)
        tuning.run(30, 1e9, lambda: 0.0, lambda line: None)
        forgotten.append(tuning.forgotten_percent())
    assert 0 <= forgotten[1] < 0.7 * forgotten[0]


def test_it_stops_when_what_is_held_out_gains_no_more(
    archive: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.tune.RATE", 0.3)  # nothing good can come of it
    monkeypatch.setattr("model.tune.CHECK_EVERY", 2)
    old = read_weights(weights)
    corpus = read_corpus(archive, 3, ("a", "b", "c", "mine"))
    network = network_of(old)
    tuning = Tuning(network, corpus, memories(Engine(old), 4, 32, 1), 3, 1)
    before = bits_a_note(network, corpus.held_out)
    figures = tuning.run(400, 1e9, lambda: 0.0, lambda line: None)
    assert figures["steps"] < 400 and "by heart" in figures["stopped"]
    assert bits_a_note(network, corpus.held_out) == pytest.approx(figures["bits_after"])
    assert figures["bits_after"] <= before


def test_even_one_piece_is_parted(tmp_path: Path) -> None:
    write_tunes(tmp_path / "one", 1)
    build(tmp_path / "archive", [str(tmp_path / "one")], workers=1)
    corpus = read_corpus(tmp_path / "archive", 0, ("mine",))
    assert "the first 80% of 1 pieces" in corpus.parted
    assert len(corpus.held_out) == 1
    assert len(corpus.learnt.steps) > 3 * corpus.held_out[0].token.size


def test_memories_are_what_the_old_network_plays(weights: Path) -> None:
    engine = Engine.load(weights)
    played = memories(engine, 5, 40, 2)
    assert len(played) == 5 and all(batch.token.shape == (1, 40) for batch in played)
    again = memories(engine, 5, 40, 2)
    assert all(np.array_equal(a.token, b.token) for a, b in zip(played, again, strict=True))
    sides = {tuple(batch.rows[0][batch.weights[0] > 0].tolist()) for batch in played}
    assert len(sides) == 5


def test_no_room_for_another_source(archive: Path, tmp_path: Path) -> None:
    header = random_header(**SMALL)
    full = tmp_path / "full.safetensors"
    names = [f"s{i}" for i in range(MAX_SOURCES)]
    write_weights(full, msgspec.structs.replace(header, sources=names), [random_tensors(header)])
    with pytest.raises(NoonsongError, match="16 sources"):
        run(_arguments("--weights", full, "--archive", archive, "--out", full, "--name", "mine"))
