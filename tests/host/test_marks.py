"""Loved and disliked moments: kept, brought over from older pieces, exported."""

import json
import sqlite3
from pathlib import Path

import mido

from host.cli import main
from host.history import History
from tests.host.playing import Stage


def test_a_mark_is_kept_with_its_moment_and_who_made_it(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(3.0)
    stage.performance.mark("loved", 60, "panel 1")
    stage.performance.mark("disliked", 72, "keyboard")
    stage.run(0.01)
    marks = History(tmp_path / "journal.sqlite").marks()
    stage.kill()
    assert [(m.tick, m.kind, m.who) for m in marks] == [
        (60, "loved", "panel 1"),
        (72, "disliked", "keyboard"),
    ]
    assert all(1e9 < m.wall_s < 1e9 + 10 for m in marks)


def test_an_older_piece_gets_its_table_and_goes_on(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(4.0)
    played = stage.piece.playhead.position
    stage.kill()
    db = sqlite3.connect(tmp_path / "journal.sqlite")
    db.execute("DROP TABLE marks")
    db.execute("UPDATE piece SET value = '1' WHERE key = 'format'")
    db.commit()
    db.close()
    assert History(tmp_path / "journal.sqlite").marks() == []  # export of an old piece
    again = Stage(small_weights, tmp_path)
    assert again.said == [] and again.piece.playhead.position == played
    again.performance.mark("loved", 5, "panel 1")
    again.run(2.0)
    assert len(History(tmp_path / "journal.sqlite").marks()) == 1
    again.kill()


def test_marks_are_exported_as_markers_and_as_json(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path)
    stage.run(4.0)
    stage.performance.mark("loved", 96, "panel 1")
    stage.run(2.0)
    stage.kill()
    files = [tmp_path / "out.mid", tmp_path / "marks.json"]
    options = ["--all", "--journal", str(tmp_path / "journal.sqlite"), "--marks", str(files[1])]
    assert main(["export", *options, str(files[0])]) == 0
    markers = [m.text for m in mido.MidiFile(files[0]) if m.type == "marker"]
    assert markers == ["loved"]
    assert [(m["tick"], m["kind"]) for m in json.loads(files[1].read_text())] == [(96, "loved")]


def test_hours_are_counted_once_and_go_on(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=8.0)
    stage.run(3.0)
    history = History(tmp_path / "journal.sqlite")
    first = history.hours()
    stage.performance.mark("loved", 10, "panel 1")
    stage.run(3.0)
    second = history.hours()
    stage.kill()
    assert len(first) == len(second) == 1 and first[0].name == second[0].name
    rows = sqlite3.connect(tmp_path / "journal.sqlite").execute("SELECT count(*) FROM spelled").fetchone()[0]
    assert first[0].notes < second[0].notes == rows
    assert (first[0].loved, second[0].loved) == (0, 1)
