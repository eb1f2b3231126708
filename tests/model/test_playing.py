"""The measures of the instrument, on music whose answers are known, and on a network of noise."""

import argparse
import json
from itertools import pairwise

import numpy as np
import pytest

from model.errors import NoonsongError
from model.evaluate import add_arguments, run
from model.playing.copying import Line, lines, longest_match, measure_copying, shares
from model.playing.dead_ends import longest_silence_beats, most_repeats
from model.playing.distances import compare, divergence, histograms, single_figures, wasserstein
from model.playing.obedience import measure_knobs, onsets_per_beat
from model.playing.renders import Turn, meter_control, play
from model.playing.sequences import Excerpt, columns, excerpts, note_columns
from model.tokens import PPQN, Note, decode
from quantize.engine import Engine
from tests.model.synthetic import scale_splits


@pytest.fixture(scope="module")
def engine(small_weights):
    return Engine.load(small_weights)


def walk(seed, count=400):
    """A melody that wanders, in eighths."""
    random = np.random.default_rng(seed)
    pitch = 60 + np.cumsum(random.integers(-3, 4, count)) % 24
    return [Note(12 * k, 2, int(p), int(random.integers(40, 100)), 12) for k, p in enumerate(pitch)]


def test_a_render_obeys_its_seed_and_its_turns(engine):
    notes = play(engine, 3, 24, {"density": 2.0})
    assert notes and all(a.tick <= b.tick for a, b in pairwise(notes))
    assert notes[-1].tick < 24 * PPQN
    assert play(engine, 3, 24, {"density": 2.0}) == notes
    assert play(engine, 4, 24, {"density": 2.0}) != notes
    turned = play(engine, 3, 24, {"density": 2.0}, [Turn(8 * PPQN, {"density": 8.0})])
    before = [n for n in notes if n.tick <= 8 * PPQN]
    assert turned[: len(before)] == before and len(turned) > 1.5 * len(notes)
    with pytest.raises(NoonsongError, match="density"):
        play(engine, 1, 4, {"density": 99.0})


def test_measures_of_what_was_played():
    beat = [Note(24 * k, 2, 60, 80, 12) for k in range(96)]
    assert onsets_per_beat(beat, 16, 96) == [1.0] * 20
    assert longest_silence_beats(beat) == 0.5
    assert most_repeats(beat) == 12
    rising = [note._replace(pitch=20 + k) for k, note in enumerate(beat)]
    assert most_repeats(rising) == 1
    assert most_repeats([]) == 1
    assert longest_silence_beats([*beat[:4], *beat[20:]]) == 16.5


def test_knobs_are_measured_at_every_setting(engine):
    knobs = measure_knobs(engine, range(1, 2), 32)
    assert len(knobs["settings"]) == 18 and knobs["of"] == 15
    by_density = [r for r in knobs["settings"] if r["density_asked"] == 8.0]
    assert all(r["density_heard"] == pytest.approx(8.0, rel=0.15) for r in by_density)
    free = [r["pitch_entropy_bits"] for r in knobs["settings"] if r["density_asked"] is None]
    assert free[0] < free[-1] <= np.log2(437)


def test_excerpts_begin_with_a_bar_and_the_columns_are_the_notes(tmp_path):
    train, valid = scale_splits(tmp_path)
    found = excerpts(valid, 10, 32)
    assert len(found) == len(valid.pieces)
    assert all(e.density == 1.0 and e.bar_ticks == 96 and e.beats == 32 for e in found)
    assert {e.source for e in found} == {"thin", "thick"}
    assert all(any(n.tick == 0 and n.duration == 96 for n in e.notes) for e in found)
    assert not excerpts(valid, 10, 65)
    piece, tick, pitch = columns(train)
    decoded = [n for i in range(len(train.pieces)) for n in decode(train.piece_steps(i)["token"].tolist())]
    assert sorted(pitch.tolist()) == sorted(n.pitch for n in decoded)
    assert len(np.unique(piece)) == len(train.pieces)
    inside = piece[1:] == piece[:-1]
    assert (np.diff(tick)[inside] >= 0).all()


def test_distances_know_like_from_unlike():
    def side(seeds, change=lambda note: note):
        return [Excerpt([change(n) for n in walk(s)], 200, 96, 2.0, "") for s in seeds]

    held_out = side(range(20))
    same = compare(side(range(100, 120)), held_out)
    other = compare(side(range(100, 120), lambda n: n._replace(velocity=64, duration=3)), held_out)
    for name in ("velocities", "durations"):
        assert other[name]["distance"] > 2 * other[name]["floor_95"]
        assert same[name]["distance"] <= 2 * same[name]["floor_95"]
    assert same["intervals"]["distance"] < 2 * same["intervals"]["floor_95"]
    bars = Excerpt([Note(24 * k, 2, 60 + k % 4, 80, 24) for k in range(64)], 64, 96, 1.0, "")
    figures = single_figures(bars)
    assert figures["likeness to 1 bars later"] == figures["grooving similarity"] == 1.0
    assert figures["pitch-class entropy, 1 bar"] == pytest.approx(2.0)
    assert histograms(bars)["polyphony"][1] == 64


def test_distances_by_hand():
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(1.0)
    assert divergence(np.array([1.0, 1.0]), np.array([2.0, 2.0])) == 0.0
    assert wasserstein(np.arange(10.0), np.arange(10.0) + 5) == pytest.approx(5.0)


def test_copying_is_found_in_another_key_and_place_and_nothing_else():
    learnt = note_columns([walk(s) for s in range(30)])
    new = note_columns([walk(s) for s in range(50, 60)])
    stolen = [n._replace(pitch=n.pitch + 5, tick=n.tick + 7, velocity=1) for n in walk(3)[40:90]]
    mixed = note_columns(
        [walk(70)[:300], [*walk(71)[:50], *(n._replace(tick=n.tick + 9999) for n in stolen)]]
    )
    result = measure_copying(mixed, new, learnt)
    assert result["all notes, longest"]["played"] == 50
    assert result["all notes, longest"]["human"] < 16
    assert result["all notes, 24 notes"]["human_mean"] == 0.0
    share = shares(lines(*mixed)["all notes"], lines(*learnt)["all notes"], 24)
    assert share.tolist() == [0.0, (50 - 23) / (100 - 23)]
    assert result["top line with rhythm, 16 notes"]["played_mean"] > 0


def test_passages_do_not_cross_pieces():
    line = Line(np.array([0, 0, 0, 1, 1]), np.array([1, 2, 3, 1, 2]))
    piece, hashes = line.passages(2)
    assert piece.tolist() == [0, 0, 1]
    assert hashes[0] == hashes[2] != hashes[1]
    assert len(line.passages(4)[0]) == 0
    assert longest_match(line, Line(np.array([0, 0, 0]), np.array([1, 2, 9]))) == 3


def _arguments(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--weights", *map(str, words)])


def test_the_command_prints_what_was_asked_for(small_weights, capsys):
    words = (small_weights, "--play", "--measure", "dead-ends", "--hours", "0.01")
    assert run(_arguments(*words)) == 0
    assert "two bars repeated" in capsys.readouterr().out
    assert run(_arguments(*words, "--json")) == 0
    rows = json.loads(capsys.readouterr().out)["dead-ends"]
    assert [row["temperature"] for row in rows] == [0.2, 1.0, 2.0]
    assert all(row["longest_silence_beats"] <= 4 for row in rows)
    with pytest.raises(NoonsongError, match="distances and copying need an --archive"):
        run(_arguments(small_weights, "--play"))
    with pytest.raises(NoonsongError, match="--seeds"):
        run(_arguments(small_weights, "--play", "--seeds", "0"))


def test_metres_of_the_box():
    assert meter_control(96) is not None and meter_control(97) is None


def test_music_is_compared_with_an_archive(small_weights, tmp_path, capsys, monkeypatch):
    train, _ = scale_splits(tmp_path, 6)
    monkeypatch.setattr("model.arrays.arrays_of_archive", lambda folder, split: train)
    words = (small_weights, "--play", "--archive", tmp_path, "--excerpts", "4")
    assert run(_arguments(*words, "--measure", "distances", "--measure", "copying")) == 0
    out = capsys.readouterr().out
    assert "velocities" in out and "grooving similarity" in out and "longest" in out
