import itertools
from pathlib import Path

import pytest

from host.events import Spelled
from host.pace import ONSETS_KEPT
from host.player import Place
from model import tokens
from model.tokens import END
from tests.host.playing import new_player, planned


def notes(spelled: list[Spelled]) -> list[tokens.Note]:
    return [s.note for s in spelled if s.note is not None]


def test_begins_with_end_and_plays_in_order(small_weights: Path) -> None:
    spelled = planned(new_player(small_weights), 60)
    assert spelled[0].tokens == (END,) and spelled[0].note is None
    music = notes(spelled)
    assert len(music) == 59
    assert all(a.tick <= b.tick for a, b in itertools.pairwise(music))
    positions = [s.position for s in spelled]
    assert positions == sorted(positions)
    assert spelled[-1].position == sum(len(s.tokens) for s in spelled)


def test_notes_decode_from_their_tokens(small_weights: Path) -> None:
    spelled = planned(new_player(small_weights), 40)
    assert list(tokens.decode([t for s in spelled for t in s.tokens])) == notes(spelled)


def test_same_seed_same_piece_other_seed_another(small_weights: Path) -> None:
    first = planned(new_player(small_weights, 1), 50)
    assert planned(new_player(small_weights, 1), 50) == first
    assert planned(new_player(small_weights, 2), 50) != first


def test_committing_early_or_late_changes_nothing(small_weights: Path) -> None:
    expected = planned(new_player(small_weights), 50)
    player = new_player(small_weights)
    out: list[Spelled] = []
    while len(out) < 50:
        player.plan_note()
        out += player.commit(player.planned_tick - 1)
    assert out[:50] == expected


def test_a_move_keeps_the_past_and_changes_the_future(small_weights: Path) -> None:
    still = notes(planned(new_player(small_weights), 200))
    floor_tick = still[60].tick
    player = new_player(small_weights)
    while player.planned_tick <= floor_tick + 200:
        player.plan_note()
    player.move({"temperature": 0.3, "density": 8.0}, floor_tick)
    while player.planned_tick <= floor_tick + 200:
        player.plan_note()
    moved = notes(player.commit(floor_tick + 200))
    kept = [n for n in still if n.tick <= floor_tick]
    assert moved[: len(kept)] == kept
    assert moved[len(kept)].tick > floor_tick
    assert moved[len(kept) :] != still[len(kept) : len(moved)]


def test_moving_there_before_or_after_planning_is_the_same(small_weights: Path) -> None:
    """The plan that was thrown away leaves no trace: the function is of moves and their ticks only."""
    results = []
    for ahead in (1, 400):
        player = new_player(small_weights)
        while player.planned_tick <= 100 + ahead:
            player.plan_note()
        player.move({"density": 6.0}, 100)
        player.move({"density": 1.0}, 100)
        while player.planned_tick <= 600:
            player.plan_note()
        results.append([(s.note, s.tokens) for s in player.commit(600)])
    assert results[0] == results[1]


def test_no_note_in_the_past_even_after_a_long_gap(small_weights: Path) -> None:
    player = new_player(small_weights)
    player.commit(1_000)
    player.move({"density": 4.0}, 1_000)
    player.plan_note()
    player.plan_note()
    assert all(s.tick > 1_000 for s, _ in player.planned if s.note is not None)


def test_a_move_before_the_first_note(small_weights: Path) -> None:
    player = new_player(small_weights)
    player.plan_note()
    player.move({"density": 4.0}, -5)
    player.plan_note()
    assert player.commit(0)[0].tokens == (END,)


def test_silence_is_bounded(small_weights: Path) -> None:
    music = notes(planned(new_player(small_weights, density=2.0, temperature=2.0), 400))
    gaps = [b.tick - a.tick for a, b in itertools.pairwise(music)]
    assert max(gaps) <= 4 * tokens.PPQN


def test_new_phrase_is_a_beginning(small_weights: Path) -> None:
    player = new_player(small_weights)
    while player.planned_tick <= 300:
        player.plan_note()
    player.move({}, 200, new_phrase=True)
    player.plan_note()
    final = player.commit(2_000)
    begun = [s for s in final if s.tokens == (END,)]
    assert len(begun) == 2 and begun[1].tick <= 200
    assert final[-1].tick > 200


@pytest.mark.parametrize("cut", [30, 97, 150])
def test_resumed_from_its_last_tokens_it_goes_on_the_same(small_weights: Path, cut: int) -> None:
    whole = planned(new_player(small_weights), 400)
    player = new_player(small_weights)
    settings = player.settings
    past = [t for s in whole[:-cut] for t in s.tokens][-2 * 64 :]
    state, sides, ticks = tokens.START, [], []
    everything = [t for s in whole[:-cut] for t in s.tokens]
    for token in everything:
        state, _ = tokens.advance(state, token)
        ticks.append(state.tick)
    sides = [settings.side(tick) for tick in ticks[-len(past) :]]
    onsets = tuple(dict.fromkeys(s.tick for s in whole[:-cut]))[-ONSETS_KEPT:]
    place = Place(len(everything), everything[-1], state, onsets)
    player.resume(past, sides, place)
    assert planned(player, cut) == whole[-cut:]
