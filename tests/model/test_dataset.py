from pathlib import Path

import numpy as np
import pytest

from model import conditioning, tokens
from model.conditioning import (
    BAR_LENGTHS,
    density_pairs,
    meter_pair,
    phase_pair,
    source_pairs,
    thickness_pairs,
)
from model.dataset import (
    NONE,
    STEP,
    TRANSPOSITIONS,
    encode_steps,
    headroom,
    read_split,
    side_pairs,
    transposition_table,
    write_split,
)
from model.errors import NoonsongError
from model.tokens import END, PPQN, Note
from tests.model.synthetic import random_piece, scale_piece


def _as_notes(piece) -> list[Note]:
    names = ("tick", "voice", "pitch", "velocity", "duration")
    return [Note(*(int(row[name]) for name in names)) for row in piece.notes]


@pytest.mark.parametrize("seed", range(20))
def test_tokens_equal_those_of_the_streaming_encoder(seed: int) -> None:
    piece = random_piece(seed)
    steps = encode_steps(piece)
    assert steps["token"].tolist() == [END, *tokens.encode(_as_notes(piece), end=False)]


@pytest.mark.parametrize("seed", range(5))
def test_side_inputs_say_what_follows(seed: int) -> None:
    piece = random_piece(seed)
    steps = encode_steps(piece)
    end = int((piece.notes["tick"] + piece.notes["duration"]).max())
    ticks = piece.notes["tick"].astype(int)
    kept = {(n.tick, tokens.note_token(n.voice, n.pitch)) for n in _as_notes(piece)}
    state = tokens.State()
    stretched = 0  # how much silence the tokens have lost
    for step in steps[1:]:
        before = state
        state, _ = tokens.advance(state, int(step["token"]))
        now = state.tick + stretched
        if tokens.is_shift(int(step["token"])):
            later = ticks[ticks > before.tick + stretched]
            arrived = state.tick + stretched
            if later[0] - (arrived - tokens.SHIFTS[int(step["token"]) - 1]) > tokens.LONGEST_SHIFT - 192:
                return  # a silence cut short: times after it are not compared
        until = min(now + conditioning.HORIZON_TICKS, end)
        ahead = {cell for cell in kept if now < cell[0] <= now + conditioning.HORIZON_TICKS}
        onsets = {tick for tick, _ in ahead}
        if until - now >= PPQN:
            assert step["density"] == pytest.approx(len(onsets) * PPQN / (until - now), rel=1e-3)
        else:
            assert np.isnan(step["density"])
        if onsets:
            assert step["thickness"] == pytest.approx(
                sum(1 for tick in ticks if now < tick <= now + 96) / len(onsets), rel=0.5
            )
        bar = [b for b in piece.bars if b[0] <= now][-1]
        assert step["phase"] == (now - bar[0]) % bar[1] % 192
        wanted = BAR_LENGTHS.index(bar[1]) if bar[1] in BAR_LENGTHS else NONE
        assert step["meter"] == wanted


def test_a_pick_up_and_music_without_bars() -> None:
    piece = scale_piece(60)
    object.__setattr__(piece, "bars", [(-24, 96)])
    assert encode_steps(piece)["phase"][0] == 24
    object.__setattr__(piece, "bars", [])
    assert (encode_steps(piece)["phase"] == NONE).all()
    assert (encode_steps(piece)["meter"] == NONE).all()


def test_pairs_equal_those_of_conditioning() -> None:
    random = np.random.default_rng(0)
    steps = np.zeros(300, STEP)
    steps["phase"], steps["meter"] = random.integers(0, 192, 300), random.integers(0, len(BAR_LENGTHS), 300)
    steps["density"] = np.exp(random.uniform(np.log(0.1), np.log(30), 300))
    steps["thickness"] = np.exp(random.uniform(np.log(0.5), np.log(9), 300))
    steps["density"][:13], steps["thickness"][:6] = conditioning.DENSITIES, conditioning.THICKNESSES
    source = random.integers(0, 16, 300)
    rows, weights = side_pairs(steps, source, np.ones((300, 5), bool))
    for step, s, row, weight in zip(steps, source, rows, weights, strict=True):
        wanted = np.zeros(conditioning.SIDE_ROWS)
        for r, w in [
            *phase_pair(int(step["phase"])),
            *meter_pair(BAR_LENGTHS[step["meter"]]),
            *density_pairs(float(step["density"])),
            *thickness_pairs(float(step["thickness"])),
            *source_pairs({int(s): 1.0}),
        ]:
            wanted[r] += w
        got = np.zeros(conditioning.SIDE_ROWS)
        np.add.at(got, row, weight)
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_what_is_dropped_or_unknown_has_no_weight() -> None:
    steps = np.zeros(2, STEP)
    steps["density"] = steps["thickness"] = 1
    steps["phase"][1] = steps["meter"][1] = NONE
    steps["density"][1] = steps["thickness"][1] = np.nan
    keep = np.array([[False] * 5, [True] * 5])
    assert side_pairs(steps, np.array([0, -1]), keep)[1].sum() == 0


def test_transposed_tokens_are_those_of_transposed_notes() -> None:
    piece = random_piece(3)
    middle = piece.notes
    middle["pitch"] = 50 + middle["pitch"] % 12
    table = transposition_table()
    steps = encode_steps(piece)["token"]
    assert headroom(steps) == (-5, 6)
    for row, by in enumerate(TRANSPOSITIONS):
        moved = [n if n.voice == tokens.DRUMS else n._replace(pitch=n.pitch + by) for n in _as_notes(piece)]
        assert table[row, steps].tolist() == [END, *tokens.encode(moved, end=False)]


def test_headroom_keeps_pitches_in_range() -> None:
    piece = scale_piece(60)
    piece.notes["pitch"][0] = 103  # the highest that keys may be is 108
    assert headroom(encode_steps(piece)["token"]) == (-5, 5)


def test_split_on_disk_lies_by_source(tmp_path: Path) -> None:
    rows = [(i, i % 3, 0, scale_piece(50 + i)) for i in range(9)]
    notes = write_split(tmp_path, "train", rows, ("a", "b", "c"), ("made",))
    split = read_split(tmp_path, "train")
    assert split.pieces["source"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert notes == sum(len(row[3].notes) for row in rows)
    for index, piece in enumerate(split.pieces):
        np.testing.assert_array_equal(
            split.piece_steps(index)["token"], encode_steps(rows[int(piece["id"])][3])["token"]
        )
    assert split.spans()[1] == (int(split.pieces["start"][3]), int(split.pieces["start"][6]))


def test_too_many_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoonsongError, match="17 sources"):
        write_split(tmp_path, "train", [], [str(i) for i in range(17)], ())


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoonsongError, match="train"):
        read_split(tmp_path, "train")
