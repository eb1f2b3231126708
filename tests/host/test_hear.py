"""Keys that somebody else plays become the past of what follows."""

import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from host.events import Heard, Move, NoteOn
from host.heard_keys import GATHER_S, MOST_PER_S
from host.scales import SCALES, bits_of
from model import tokens
from model.conditioning import SideInput
from model.tokens import DRUMS, Note
from tests.host.playing import TABLE, Stage, new_player
from tests.host.replay import replayed
from tests.host.test_performance import record


def heard_rows(folder: Path) -> list[int]:
    db = sqlite3.connect(folder / "journal.sqlite")
    rows = [row[0] for row in db.execute("SELECT position FROM heard ORDER BY position")]
    db.close()
    return rows


def test_heard_notes_are_the_end_of_the_past_in_order(small_weights: Path) -> None:
    player = new_player(small_weights)
    while player.planned_tick <= 300:
        player.plan_note()
    before = player.commit(100)
    heard = player.hear([Note(104, 2, 67, 90, 12), Note(104, 2, 60, 80, 12), Note(104, 2, 67, 90, 12)])
    notes = [s.note for s in heard if s.note is not None]
    assert [(n.tick, n.pitch) for n in notes] == [(104, 60), (104, 67)] and all(s.heard for s in heard)
    while player.planned_tick <= 300:
        player.plan_note()
    after = player.commit(300)
    assert all(s.tick > 104 and not s.heard for s in after)
    everything = [*before, *heard, *after]
    assert list(tokens.decode([t for s in everything for t in s.tokens])) == [
        s.note for s in everything if s.note
    ]
    assert everything[-1].position == sum(len(s.tokens) for s in everything)


def test_what_comes_too_late_sounds_with_what_is_final(small_weights: Path) -> None:
    player = new_player(small_weights)
    while player.planned_tick <= 300:
        player.plan_note()
    last = player.commit(200)[-1]
    low, high = player.hear([Note(0, 1, 24, 90, 12)]), player.hear([Note(0, 6, 88, 90, 12)])
    assert low[0].tick == last.tick + 1  # within an onset tokens ascend
    assert high[0].tick == low[0].tick


def test_what_follows_answers(small_weights: Path) -> None:
    """Two futures of one past, chance the same: only what was heard makes them differ."""

    def future(pitch: int) -> list[Note]:
        player = new_player(small_weights)
        while player.planned_tick <= 200:
            player.plan_note()
        player.commit(96)
        for tick in range(100, 130, 6):
            player.hear([Note(tick, 2, pitch, 100, 6)])
        while player.planned_tick <= 300:
            player.plan_note()
        return [s.note for s in player.commit(300) if s.note is not None]

    assert future(60) == future(60) != future(61)


def test_keys_enter_at_once_and_are_not_sent(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=4.0)
    stage.run(3.0)
    pressed_s = stage.now_s
    tick = stage.performance.clock.tick_at(pressed_s)
    for pitch in (100, 64, 67):
        stage.performance.hear(Heard(2, pitch, 99, 0.25, stage.now_s))
        stage.run(0.003)
    stage.run(GATHER_S)
    notes = [s.note for s in stage.performance.recent if s.heard and s.note]
    assert [n.pitch for n in notes] == [64, 67, 100] and len({n.tick for n in notes}) == 1
    assert abs(notes[0].tick - tick) <= 2 and notes[0].duration == 12
    assert all(s.tick > notes[0].tick for s, _ in stage.performance.player.planned)
    stage.run(3.0)
    assert len(stage.heard.ons()) == stage.scheduler.sent_notes
    assert len(heard_rows(tmp_path)) == 3
    assert (2, 100) not in stage.heard.ons()


def test_keys_while_time_stands_still_are_let_go(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(1.0)
    stage.performance.move(Move("freeze", 1.0, "test"))
    stage.run(0.2)
    stage.performance.hear(Heard(2, 60, 99, 0.25, stage.now_s))
    stage.run(0.2)
    stage.performance.move(Move("freeze", 0.0, "test"))
    stage.run(1.0)
    assert heard_rows(tmp_path) == []


def test_a_played_scale_is_taken_and_kept_over_a_death(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=6.0)
    stage.run(2.0)
    stage.performance.take_scale(2, bits_of((0, 5)), "keyboard")
    stage.run(0.1)
    assert stage.performance.asked["scale"] == SCALES.index("played")
    first_tick = stage.performance.player.settings.floor_tick
    stage.run(3.0)
    stage.kill()
    stage = Stage(small_weights, tmp_path)
    stage.run(4.0)
    notes = [s.note for s in stage.performance.recent if s.note and s.note.tick > first_tick]
    pitched = [note.pitch % 12 for note in notes if note.voice != DRUMS]
    assert len(pitched) > 10 and set(pitched) <= {2, 7}
    stage.performance.take_scale(2, bits_of((0,)), "keyboard")  # again, on the same root
    stage.run(0.1)
    assert {
        s.note.pitch % 12 for s, _ in stage.performance.player.planned if s.note and s.note.voice != DRUMS
    } <= {2}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_keys_knobs_and_deaths_at_random_replay_exactly(
    small_weights: Path, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    stage = Stage(small_weights, tmp_path, density=4.0)
    for _ in range(120):
        for _ in range(rng.choice([0, 0, 1, 3])):
            stage.performance.hear(
                Heard(rng.randrange(7), rng.randrange(128), rng.randrange(1, 128), rng.random(), stage.now_s)
            )
        kind = rng.randrange(14)
        if kind == 0:
            name = rng.choice(["scale", "root", "density", "temperature", "meter"])
            stage.performance.move(Move(name, TABLE[name].value_at(rng.random()), "test"))
        elif kind == 1:
            stage.performance.take_scale(rng.randrange(12), rng.randrange(1, 4096), "test")
        elif kind == 2:
            stage.performance.begin_phrase()
        elif kind == 3 and stage.heard.ons():  # dying again and again in one place begins a new phrase
            stage.kill()
            stage = Stage(small_weights, tmp_path)
        stage.run(rng.choice([0.0, 0.002, 0.03, 0.4]))
        assert not stage.said and stage.performance.journal_fault == ""
    stage.run(2.0)
    assert len(heard_rows(tmp_path)) > 50
    assert replayed(small_weights, tmp_path / "journal.sqlite") == record(tmp_path)


def test_the_box_keeps_its_own_density_beside_a_player(small_weights: Path, tmp_path: Path) -> None:
    def onsets(folder: Path, keys_every_s: float | None) -> int:
        stage = Stage(small_weights, folder, density=2.0)
        for turn in range(200):
            if keys_every_s and turn * 0.1 % keys_every_s < 0.1:
                stage.performance.hear(Heard(2, 60 + turn % 12, 90, 0.1, stage.now_s))
            stage.run(0.1)
        return len({due_s for due_s, event in stage.heard.events if isinstance(event, NoteOn)})

    alone, beside = onsets(tmp_path / "alone", None), onsets(tmp_path / "beside", 0.2)
    assert 0.7 * alone < beside < 1.4 * alone


def test_a_flood_of_keys_is_bounded_and_starves_nobody(small_weights: Path, tmp_path: Path) -> None:
    """A file poured into the keyboard's port, 500 keys a second: few are read, the box plays its own on time."""

    def play(folder: Path, keys_per_step: int) -> tuple[Stage, int, int]:
        stage = Stage(small_weights, folder, density=4.0)
        read = 0
        step, prefill = stage.engine.step, stage.engine.prefill

        def counted_step(token: int, side: SideInput) -> None:
            nonlocal read
            read += 1
            step(token, side)

        def counted_prefill(tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
            nonlocal read
            read += len(tokens)
            prefill(tokens, sides)

        stage.engine.step, stage.engine.prefill = counted_step, counted_prefill  # type: ignore[method-assign]
        for turn in range(400):
            for key in range(keys_per_step):
                pitch = 36 + (turn * 5 + key * 7) % 48
                stage.performance.hear(Heard(2, pitch, 90, 0.1, stage.now_s))
            stage.run(0.01)
        return stage, read, len({due_s for due_s, e in stage.heard.events if isinstance(e, NoteOn)})

    (tmp_path / "alone").mkdir()
    (tmp_path / "flooded").mkdir()
    _, _, alone = play(tmp_path / "alone", 0)
    stage, read, beside = play(tmp_path / "flooded", 5)
    heard = len(heard_rows(tmp_path / "flooded"))
    assert MOST_PER_S * 3 < heard <= MOST_PER_S * 5
    assert stage.performance.heard_keys.refused >= 2000 - heard - 64
    assert 0.6 * alone < beside < 1.5 * alone and stage.scheduler.worst_late_s < 0.002
    assert read < 30_000
