"""What holds for every piece, whatever a reader hands over; bar segments; likeness across keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.archive.bars import bar_segments, usual_length
from model.archive.duplicates import LIKENESS, band_keys, likeness, signature
from model.archive.dynamics import velocities
from model.archive.piece import LONGEST_NOTE, NOTE_DTYPE, Bars, Notes, Reading, Rejected, note_array
from model.archive.store import pack_notes, split_of, unpack_notes
from model.archive.tidy import LONGEST_SILENCE, shorten_silences, tidy
from model.tokens import DRUMS, PPQN, VOICES

ROWS = st.lists(
    st.tuples(
        st.integers(0, 3000), st.integers(1, 500), st.integers(0, 127), st.integers(1, 127), st.integers(0, 6)
    ),
    min_size=40,
    max_size=120,
)


def position(tick: int, bars: Bars) -> tuple[int, int]:
    """(ticks since the bar line, length of the bar)."""
    at, bar = [segment for segment in bars if segment[0] <= tick][-1]
    return (tick - at) % bar, bar


@given(ROWS)
@settings(max_examples=150, deadline=None)
def test_tidy_notes(rows: list[tuple[int, int, int, int, int]]) -> None:
    try:
        notes, _ = tidy(Reading(note_array(rows)))
    except Rejected:
        return
    order = np.lexsort((notes["pitch"], notes["voice"], notes["tick"]))
    assert (order == np.arange(len(notes))).all()
    assert notes["tick"][0] < PPQN
    assert notes["duration"].min() >= 1
    assert notes["duration"].max() <= LONGEST_NOTE
    for voice in range(len(VOICES)):
        mine = notes[notes["voice"] == voice]
        if len(mine):
            assert VOICES[voice].low <= mine["pitch"].min()
            assert mine["pitch"].max() <= VOICES[voice].high
        for pitch in set(mine["pitch"].tolist()):
            line = mine[mine["pitch"] == pitch]
            assert (line["tick"][:-1] + line["duration"][:-1] <= line["tick"][1:]).all()
    ends = np.maximum.accumulate(notes["tick"] + notes["duration"])
    assert (notes["tick"][1:] - ends[:-1] <= LONGEST_SILENCE).all()


def test_of_two_at_one_tick_the_longer_stays_and_a_new_onset_cuts() -> None:
    scale = [(24 * i, 24, 48 + i, 80, 2) for i in range(20)]
    notes, _ = tidy(
        Reading(note_array([*scale, (0, 12, 90, 80, 2), (0, 100, 90, 80, 2), (60, 9, 90, 80, 2)]))
    )
    high = notes[notes["pitch"] == 90]
    assert high[["tick", "duration"]].tolist() == [(0, 60), (60, 9)]


def test_an_unpitched_drum_out_of_range_is_dropped_not_moved() -> None:
    rows = [(24 * i, 6, 36 + i % 3, 80, DRUMS) for i in range(20)]
    notes, _ = tidy(Reading(note_array([*rows, (30, 6, 5, 80, DRUMS)])))
    assert len(notes) == 20


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 6)), min_size=2, max_size=12),
    st.sampled_from([(96,), (72, 96), (48, 72, 96)]),
)
@settings(max_examples=150, deadline=None)
def test_silences_lose_whole_bars(steps: list[tuple[int, int]], lengths: tuple[int, ...]) -> None:
    """Every note keeps its place in the bar, whatever is cut between."""
    ticks = np.cumsum([beats * PPQN for beats, _ in steps]) - PPQN
    rows = [(int(tick), length * 4, 60, 80, 2) for tick, (_, length) in zip(ticks, steps, strict=True)]
    notes = note_array(rows)
    bars = tuple((5 * bar * i, bar) for i, bar in enumerate(lengths))
    bars = tuple(dict(sorted(bars)).items())
    fewer, moved = shorten_silences(notes, bars)
    assert [position(int(t), bars) for t in notes["tick"]] == [position(int(t), moved) for t in fewer["tick"]]
    assert (fewer["duration"] == notes["duration"]).all()
    assert (np.diff(fewer["tick"]) > 0).all()
    silence = np.diff(fewer["tick"]) - fewer["duration"][:-1]
    assert silence.max() <= LONGEST_SILENCE + max(lengths) * len(lengths)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "no notes"),
        ([(24 * i, 24, 60 + i, 80, 2) for i in range(9)], "only 9 notes"),
        ([(24 * i, 24, 60 + (i % 4 == 0), 80, 2) for i in range(99)], "full of one note"),
        ([(i % 3, 24, 40 + i // 18, 80, i % 18 // 3 + 1) for i in range(864)], "noise"),
        ([(24 * 70_000 * i, 24, 60 + i, 80, 2) for i in range(20)], "absurdly long"),
    ],
)
def test_what_is_not_music(rows: list[tuple[int, int, int, int, int]], sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence):
        tidy(Reading(note_array(rows)))


class TestBars:
    def test_a_pick_up_is_the_end_of_a_bar(self) -> None:
        assert bar_segments([(0, 24, 96), (24, 120, 96), (120, 216, 96)]) == ((-72, 96),)

    def test_two_halves_of_a_bar_are_one(self) -> None:
        assert bar_segments([(0, 96, 96), (96, 168, 96), (168, 192, 96), (192, 288, 96)]) == ((0, 96),)

    def test_a_short_bar_moves_what_follows(self) -> None:
        assert bar_segments([(0, 96, 96), (96, 144, 96), (144, 240, 96)]) == ((0, 96), (144, 96))

    def test_no_metre(self) -> None:
        assert bar_segments([(0, 96, 0), (96, 192, 0)]) == ()

    def test_the_usual_length(self) -> None:
        assert usual_length([(0, 10), (10, 20), (20, 35)]) == 10
        assert usual_length([(0, 10), (10, 21), (21, 35)]) == 0

    @given(st.lists(st.sampled_from([48, 72, 96]), min_size=1, max_size=30), st.integers(0, 47))
    @settings(max_examples=100, deadline=None)
    def test_every_full_bar_begins_at_a_bar_line(self, lengths: list[int], pick_up: int) -> None:
        measures = [(0, pick_up, lengths[0])] if pick_up else []
        at = pick_up
        for length in lengths:
            measures.append((at, at + length, length))
            at += length
        bars = bar_segments(measures)
        assert bars[0][0] <= 0
        for start, end, nominal in measures[1 if pick_up else 0 :]:
            assert position(start, bars) == (0, nominal)
            assert position(end - 1, bars) == (nominal - 1, nominal)


class TestDynamics:
    def test_levels_accents_and_hairpins(self) -> None:
        marks = [(0, "p"), (96, "sfz"), (192, "<"), (288, "["), (288, "f"), (384, ">"), (480, "]")]
        times = np.array([-5, 0, 95, 96, 107, 108, 192, 240, 288, 383, 432, 480, 9999])
        heard = velocities(marks, times, 24).tolist()
        assert heard == [74, 50, 50, 100, 100, 50, 50, 68, 86, 86, 79, 72, 72]

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 500), st.sampled_from(["<", ">", "[", "]", "p", "ff", "sfz", "fp <", "xy"])
            ),
            max_size=30,
        )
    )
    @settings(max_examples=200, deadline=None)
    def test_always_playable(self, marks: list[tuple[int, str]]) -> None:
        heard = velocities(sorted(marks), np.arange(0, 600, 7), 24)
        assert heard.min() >= 20
        assert heard.max() <= 116


def melody(seed: int, length: int = 120) -> Notes:
    random = np.random.default_rng(seed)
    ticks = np.cumsum(random.choice([6, 12, 12, 24], length))
    pitches = np.clip(64 + np.cumsum(random.integers(-4, 5, length)), 40, 90)
    return note_array([(int(t), 6, int(p), 80, 2) for t, p in zip(ticks, pitches, strict=True)])


class TestLikeness:
    def test_another_key_and_tempo_is_the_same_music(self) -> None:
        notes = melody(1)
        other = notes.copy()
        other["pitch"] += 5
        other["tick"] *= 2
        assert (signature(notes) == signature(other)).all()

    def test_a_print_with_a_few_other_notes_is_alike(self) -> None:
        notes = melody(2, 400)
        other = notes.copy()
        other["pitch"][::60] += 1
        assert likeness(signature(notes), signature(other)) >= LIKENESS
        assert set(band_keys(signature(notes))) & set(band_keys(signature(other)))

    def test_other_music_is_not(self) -> None:
        signs = [signature(melody(seed)) for seed in range(60)]
        alike = [likeness(a, b) for i, a in enumerate(signs) for b in signs[:i]]
        assert max(alike) < LIKENESS / 2

    def test_too_short_to_tell(self) -> None:
        assert band_keys(signature(melody(1, 5))) == []


@given(ROWS)
@settings(max_examples=50, deadline=None)
def test_notes_survive_packing(rows: list[tuple[int, int, int, int, int]]) -> None:
    notes = np.sort(np.array(rows, NOTE_DTYPE), order="tick")
    assert (unpack_notes(pack_notes(notes)) == notes).all()


def test_one_cluster_of_twenty_is_held_out_in_each_split() -> None:
    for kind in ("a", "b", "polish-scores song"):
        for block in range(5):
            splits = [split_of(kind, 20 * block + i) for i in range(20)]
            assert (splits.count("valid"), splits.count("test")) == (1, 1)
        assert {"valid", "test"} <= {split_of(kind, i) for i in range(10)}, "small kinds have theirs too"
