import itertools
from pathlib import Path

import numpy as np
import pytest

from host.events import Spelled
from host.pace import LONGEST_SILENCE_TICKS, ONSETS_KEPT, next_onset, onsets_counted, with_onset
from model.tokens import PPQN
from tests.host.playing import new_player


def even(gap: int, count: int = ONSETS_KEPT) -> tuple[int, ...]:
    return tuple(range(1000, 1000 + gap * count, gap))


@pytest.mark.parametrize("density", [0.25, 0.5, 1.0, 2.0, 3.3, 4.0, 8.0])
def test_at_the_pace_asked_for_the_next_may_be_a_little_early_or_late(density: float) -> None:
    gap = round(PPQN / density)
    onsets = even(gap)
    earliest, latest = next_onset(onsets, density)
    assert onsets[-1] < earliest <= onsets[-1] + gap <= latest <= onsets[-1] + LONGEST_SILENCE_TICKS


def test_behind_the_next_comes_in_time_and_ahead_it_waits() -> None:
    assert next_onset(even(48), 8.0)[1] - even(48)[-1] == 3
    assert next_onset(even(3), 0.5)[0] - even(3)[-1] == 48


def test_between_two_halvings_of_the_beat_the_bounds_are_those() -> None:
    earliest, latest = next_onset(even(24), 3.3)  # one onset in 7.3 ticks; behind
    assert latest - even(24)[-1] == 12
    earliest, latest = next_onset(even(3), 3.3)  # ahead
    assert earliest - even(3)[-1] == 6


def test_a_beginning_is_in_time_at_once() -> None:
    assert next_onset((0,), 8.0)[1] == 3


def test_without_a_density_only_silence_is_bounded() -> None:
    assert next_onset((5,), None) == (6, 5 + LONGEST_SILENCE_TICKS)


def test_only_the_last_onsets_are_kept_each_once() -> None:
    onsets: tuple[int, ...] = ()
    for tick in (0, 0, 3, *range(5, 105)):
        onsets = with_onset(onsets, tick)
    assert onsets == tuple(range(105 - ONSETS_KEPT, 105))
    assert onsets_counted(8.0) <= ONSETS_KEPT


def _heard(spelled: list[Spelled], begin: int, end: int) -> float:
    onsets = np.unique([s.tick for s in spelled if s.note is not None])
    return float(((onsets >= begin) & (onsets < end)).sum()) * PPQN / (end - begin)


@pytest.mark.parametrize(("before", "asked"), list(itertools.permutations((0.5, 2.0, 8.0), 2)))
def test_even_noise_keeps_to_the_density_two_beats_after_it_was_turned(
    small_weights: Path, before: float, asked: float
) -> None:
    """The network here is noise, which has no pace of its own: what obeys is the player."""
    player = new_player(small_weights, density=before, temperature=1.3)
    turned = 40 * PPQN
    out: list[Spelled] = []
    for end in (turned, turned + 26 * PPQN):
        while player.planned_tick <= end:
            player.plan_note()
            if player.full:
                out += player.commit(player.planned_tick - 1)
        out += player.commit(end)
        player.move({"density": asked}, end)
    assert _heard(out, turned // 2, turned) == pytest.approx(before, rel=0.15)
    assert _heard(out, turned + 2 * PPQN, turned + 26 * PPQN) == pytest.approx(asked, rel=0.15)
