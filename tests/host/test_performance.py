"""The whole line in simulated time: journal, moves, freezing, dying and going on."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from host.events import Move, Spelled
from host.journal import FORMAT_VERSION, Journal, JournalRefusedError
from host.piece import Piece
from tests.host.playing import IDENTITY, TABLE, Stage


def record(folder: Path, name: str = "journal.sqlite") -> list[tuple[int, bytes]]:
    db = sqlite3.connect(folder / name)
    try:
        return db.execute("SELECT position, tokens FROM spelled ORDER BY position").fetchall()
    finally:
        db.close()


def test_plays_in_time_and_ends_what_it_began(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=4.0)
    stage.run(20.0)
    assert len(stage.heard.ons()) > 20
    assert stage.scheduler.worst_late_s < 0.0021  # the step of the simulated time
    stage.scheduler.close(stage.now_s)
    assert not stage.heard.hanging()


def test_a_knob_is_heard_in_the_next_note(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=2.0)
    stage.run(5.0)
    stage.performance.move(Move("density", 8.0, "test"))
    stage.run(0.002)
    planned = [s for s, _ in stage.performance.player.planned]
    assert all(s.settings == stage.performance.player.settings.number for s in planned if s.note)
    assert stage.performance.player.settings.controls["density"] == 8.0


def test_freeze_holds_the_place_and_leaves_nothing_sounding(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(4.0)
    stage.performance.move(Move("freeze", 1.0, "test"))
    stage.run(0.1)
    heard = len(stage.heard.events)
    tick = stage.performance.clock.tick_at(stage.now_s)
    assert not stage.heard.hanging()
    stage.run(5.0)
    assert len(stage.heard.events) == heard
    assert stage.performance.clock.tick_at(stage.now_s) == tick
    stage.performance.move(Move("freeze", 0.0, "test"))
    stage.run(4.0)
    assert len(stage.heard.events) > heard


def test_any_moves_at_any_time_leave_it_playing_and_replayable(small_weights: Path, tmp_path: Path) -> None:
    """Knobs, freezing, new phrases and deaths at random, from the first moment on."""
    from tests.host.replay import replayed

    rng = random.Random(9)
    stage = Stage(small_weights, tmp_path)
    for _ in range(150):
        for _ in range(rng.randrange(3)):
            control = TABLE[
                rng.choice(sorted(set(TABLE) - {"freeze", "step", "clock", "mute", "swing", "morph"}))
            ]
            stage.performance.move(Move(control.name, control.value_at(rng.random()), "test"))
        kind = rng.randrange(12)
        if kind == 0:
            stage.performance.move(Move("freeze", float(rng.randrange(2)), "test"))
        elif kind == 1:
            stage.kill()
            stage = Stage(small_weights, tmp_path)
        stage.run(rng.choice([0.0, 0.002, 0.05, 0.7]))
        assert not stage.said and stage.performance.journal_fault == ""
    stage.performance.move(Move("freeze", 0.0, "test"))
    stage.run(3.0)
    assert stage.heard.ons()
    assert replayed(small_weights, tmp_path / "journal.sqlite") == record(tmp_path)


def test_killed_anywhere_it_goes_on_with_the_next_note(small_weights: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    whole = Stage(small_weights, tmp_path / "whole", density=5.0)
    whole.run(30.0)
    heard: list[tuple[int, int]] = []
    for _ in range(25):
        stage = Stage(small_weights, tmp_path / "broken", density=5.0)
        stage.run(rng.uniform(0.05, 1.6))
        stage.kill()
        heard += stage.heard.ons()
    assert len(heard) > 40
    assert heard == whole.heard.ons()[: len(heard)]
    joined = record(tmp_path / "broken")
    assert joined == record(tmp_path / "whole")[: len(joined)]


def test_killed_among_moves_the_record_replays(small_weights: Path, tmp_path: Path) -> None:
    """Moves at the same ticks give the same record, however often the process died in between."""
    rng = random.Random(4)
    moves = [
        (rng.uniform(1, 20), rng.choice(["density", "temperature"]), rng.uniform(0.3, 1.9)) for _ in range(12)
    ]
    moves.sort()

    def play(folder: Path, deaths: list[float]) -> list[tuple[int, int]]:
        heard: list[tuple[int, int]] = []
        stage = Stage(small_weights, folder)
        due = list(moves)
        while True:
            beat = stage.performance.clock.tick_at(stage.now_s) / 24
            if due and beat >= due[0][0]:
                _, control, value = due.pop(0)
                player = stage.performance.player
                stage.performance._make_final(player.commit(int(beat * 24) + 1), stage.now_s)
                stage.performance.move(Move(control, round(value, 2), "test"))
            if deaths and beat >= deaths[0]:
                deaths.pop(0)
                heard += stage.heard.ons()
                stage.kill()
                stage = Stage(small_weights, folder)
            stage.run(0.001)
            if beat > 24:
                return heard + stage.heard.ons()

    play(tmp_path / "broken", [3.0, 7.5, 7.9, 13.0, 18.2])
    # The settings say at which tick each move took effect; a pure player given those must give the record.
    from tests.host.replay import replayed

    assert replayed(small_weights, tmp_path / "broken" / "journal.sqlite") == record(tmp_path / "broken")


def test_a_journal_of_another_model_is_kept_aside(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(2.0)
    stage.kill()
    said: list[str] = []
    piece = Piece(
        tmp_path / "journal.sqlite", IDENTITY._replace(weights_hash="other"), 10, 0.0, said.append, 1
    )
    assert piece.past is None and piece.playhead.position == 0
    assert "another model" in said[0]
    assert len(list(tmp_path.glob("journal.2*.sqlite"))) == 1
    piece.close("test")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: _spoil_sql(path, "UPDATE piece SET value = '99' WHERE key = 'format'"),
        lambda path: _spoil_sql(path, "DELETE FROM settings"),
        lambda path: _spoil_sql(path, "UPDATE spelled SET tokens = x'ffffffff' WHERE position > 20"),
        lambda path: _spoil_sql(
            path, "DELETE FROM spelled WHERE position > 1 AND position < (SELECT max(position) FROM spelled)"
        ),
    ],
)
def test_a_damaged_journal_is_kept_aside_and_the_box_plays(
    spoil: Callable[[Path], object], small_weights: Path, tmp_path: Path
) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(10.0)
    stage.kill()
    _spoil_sql(tmp_path / "journal.sqlite", "PRAGMA wal_checkpoint(TRUNCATE)")
    spoil(tmp_path / "journal.sqlite")
    again = Stage(small_weights, tmp_path)
    assert len(again.said) == 1 and "kept as" in again.said[0]
    again.run(3.0)
    assert again.heard.ons()


def _spoil_sql(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def test_dying_in_the_same_place_three_times_begins_a_new_phrase(small_weights: Path, tmp_path: Path) -> None:
    first = Stage(small_weights, tmp_path)
    first.run(3.0)
    first.kill()
    for expected in (False, False, True):
        stage = Stage(small_weights, tmp_path)
        assert stage.piece.begin_phrase == expected
        stage.kill()


def test_after_a_stop_of_the_machine_it_goes_on_without_a_burst(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=6.0)
    stage.run(3.0)
    before, tick = len(stage.heard.ons()), stage.performance.clock.tick_at(stage.now_s)
    stage.now_s += 60.0
    stage.run(1.0)
    assert stage.performance.stalls == 1
    assert stage.performance.clock.tick_at(stage.now_s) < tick + 200
    assert 0 < len(stage.heard.ons()) - before < 40
    whole = Stage(small_weights, tmp_path / "whole", density=6.0)
    whole.run(6.0)
    assert stage.heard.ons() == whole.heard.ons()[: len(stage.heard.ons())]


def test_a_write_that_fails_halfway_is_made_whole_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", IDENTITY, 1)
    spelled = Spelled(None, 1, 0, (0,), 0)
    with pytest.raises(sqlite3.IntegrityError):
        journal.write([spelled, spelled], [0.0, 0.0])
    journal.write([spelled], [0.0])
    assert record(tmp_path, "j") == [(1, b"\0\0")]
    journal.close()


def test_a_disk_that_makes_wait_delays_no_note_and_misses_none(small_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    stage, slow = Stage(small_weights, tmp_path), Stage(small_weights, tmp_path / "slow")
    slow.performance.written_elsewhere = True
    for each in (stage, slow):
        each.run(2.0)
        each.performance.move(Move("density", 8.0, "test"))
        each.run(2.0)
    assert slow.heard.events == stage.heard.events and record(tmp_path / "slow") == []
    assert slow.performance.unwritten.is_set()
    slow.performance.write_out()
    assert record(tmp_path / "slow") == record(tmp_path) != []
    for each in (stage, slow):
        each.kill()


def test_a_full_disk_does_not_stop_the_music(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(2.0)
    transaction = Journal._transaction

    def full(*_: object) -> NoReturn:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Journal, "_transaction", full)
    before = len(stage.heard.ons())
    stage.run(4.0)
    assert len(stage.heard.ons()) > before
    assert "make room" in stage.performance.journal_fault
    monkeypatch.setattr(Journal, "_transaction", transaction)
    stage.run(4.0)
    assert stage.performance.journal_fault == ""
    stage.kill()
    again = Stage(small_weights, tmp_path)  # nothing is missing in it
    assert not again.said and again.piece.past is not None


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j", IDENTITY, 1).close()
    _spoil_sql(tmp_path / "j", f"UPDATE piece SET value = '{FORMAT_VERSION + 1}' WHERE key = 'format'")
    with pytest.raises(JournalRefusedError, match="newer"):
        Journal(tmp_path / "j", IDENTITY, 1)
