"""The panel's parts without a browser: what is told of a performance, queues, the pipe, presets, the form."""

import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from host.commands.devices import check_settings
from host.config import load_config
from host.config_file import ConfigFile
from host.events import Move
from host.panel import pipe
from host.panel.browser import has_screen
from host.panel.form import Form
from host.panel.machine import Machine
from host.panel.pages import MAX_QUEUED, Pages
from host.panel.past import span_of
from host.panel.snapshots import Snapshots
from host.panel.weighed import Weighing
from host.presets import Presets, between
from model.errors import NoonsongError
from tests.host.playing import TABLE, Stage, new_player
from tests.panel.conftest import wait_until


class Told:
    """A page's knowledge, from frames alone."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self.notes = [tuple(row) for row in whole["notes"]]

    def hear(self, frame: dict[str, Any]) -> None:
        if "cut" in frame:
            self.notes = [row for row in self.notes if row[0] <= frame["cut"]]
        self.notes += frame.get("notes", [])


def test_frames_add_up_to_the_whole_whatever_happens(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=4.0)
    stage.run(1.0)
    snapshots = Snapshots(stage.performance, TABLE)
    snapshots.frame(stage.now_s)
    told = Told(snapshots.whole(stage.now_s))
    cuts = 0
    for turn in range(60):
        if turn % 7 == 3:
            stage.performance.move(Move("density", 1.0 + turn % 5, "panel 1"))
        if turn == 30:
            stage.performance.begin_phrase()
        stage.run(0.013 if turn % 2 else 0.4)
        frame = snapshots.frame(stage.now_s)
        cuts += "cut" in frame
        told.hear(frame)
    whole = snapshots.whole(stage.now_s)
    assert cuts > 5
    assert told.notes[-len(whole["notes"]) :] == whole["notes"]
    positions = [row[0] for row in told.notes]
    assert positions == sorted(set(positions)) and -1 in [row[2] for row in told.notes]
    stage.kill()


def test_looking_changes_nothing(small_weights: Path, tmp_path: Path) -> None:
    heard = []
    for look in (False, True):
        folder = tmp_path / str(look)
        folder.mkdir()
        stage = Stage(small_weights, folder, density=4.0)
        if look:
            Weighing(stage.performance.player, stage.engine).on = True
        snapshots = Snapshots(stage.performance, TABLE)
        for _ in range(20):
            stage.run(0.25)
            if look:
                snapshots.frame(stage.now_s)
        heard.append(stage.heard.events)
        stage.kill()
    assert heard[0] == heard[1] and len(heard[0]) > 30


def test_who_moved_a_control_is_told_once(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path)
    snapshots = Snapshots(stage.performance, TABLE)
    snapshots.frame(stage.now_s)
    stage.performance.move(Move("source", 0.25, "board"))
    moved = snapshots.frame(stage.now_s)["controls"]
    assert list(moved) == ["source"] and moved["source"]["who"] == "board"
    assert moved["source"]["mix"] == {"one": 0.75, "two": 0.25}
    assert "controls" not in snapshots.frame(stage.now_s)
    stage.kill()


def test_the_chosen_note_is_among_the_weighed_and_probabilities_are_those_of_the_choice(
    small_weights: Path,
) -> None:
    player = new_player(small_weights, temperature=0.7, density=4.0)
    weighing = Weighing(player, player.engine)  # type: ignore[arg-type]
    weighing.on = True
    for spelled in [player.plan_note() for _ in range(30)]:
        rows = weighing.of([spelled.position])[spelled.position]
        assert spelled.note is not None
        assert (spelled.note.voice, spelled.note.pitch) in [row[:2] for row in rows]
        assert [row[2] for row in rows[:4]] == sorted((row[2] for row in rows[:4]), reverse=True)
        assert 0 < sum(row[2] for row in rows) <= 1.001
    weighing.on = False
    assert not weighing.of([player.plan_note().position])


def test_messages_come_whole_however_they_are_cut() -> None:
    data = pipe.pack(pipe.FRAME, b"one") + pipe.pack(pipe.ASK, b"") + pipe.pack(pipe.WHOLE, b"x" * 5000)
    unpacker = pipe.Unpacker()
    out = [message for i in range(0, len(data), 7) for message in unpacker.feed(data[i : i + 7])]
    assert out == [(pipe.FRAME, b"one"), (pipe.ASK, b""), (pipe.WHOLE, b"x" * 5000)]
    with pytest.raises(ValueError, match="bytes"):
        list(pipe.Unpacker().feed(b"\xff\xff\xff\xff\x00"))


def test_a_reader_that_stands_still_costs_messages_not_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outbox = pipe.Outbox(ours)
        put = [outbox.put(pipe.FRAME, bytes([n % 256]) * 10_000) for n in range(500)]
        assert not put[-1] and outbox.left_out == put.count(False) > 0
        unpacker, whole = pipe.Unpacker(), []
        theirs.setblocking(False)
        while not outbox.empty:
            whole += list(unpacker.feed(theirs.recv(1 << 20)))
            outbox.flush()
        whole += list(unpacker.feed(theirs.recv(1 << 20)))
        assert len(whole) == put.count(True) and all(len(set(body)) == 1 for _, body in whole)


def test_a_slow_page_loses_frames_and_begins_anew() -> None:
    told: list[tuple[int, bool, bool]] = []
    pages = Pages(lambda count, begin, weigh: told.append((count, begin, weigh)))
    slow, quick = pages.open("a", "player"), pages.open("b", "player")
    assert slow is not None and quick is not None and told == [(1, True, False), (2, True, False)]
    pages.whole("whole")
    for n in range(MAX_QUEUED + 5):
        pages.frame(str(n))
        quick.queue.get_nowait()
    assert [slow.waiting, quick.waiting] == [True, False] and slow.queue.qsize() == MAX_QUEUED
    while not slow.queue.empty():
        slow.queue.get_nowait()
    pages.caught_up(slow)
    assert told[-1] == (2, True, False)
    pages.whole("again")
    assert slow.queue.get_nowait() == "again" and quick.queue.get_nowait() != "again"
    pages.close(slow)
    assert pages.open("c", "player").number == slow.number  # type: ignore[union-attr]


def test_presets_outlive_the_process_and_a_broken_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "presets.json"
    said: list[str] = []
    presets = Presets(path, TABLE, said.append)
    presets.save(3, "calm", {"temperature": 0.5, "density": None, "freeze": 1.0, "gone": 2.0})
    again = Presets(path, TABLE, said.append)
    assert again.at(3).name == "calm" and again.at(3).controls == {"temperature": 0.5, "density": None}
    again.rename(3, "calmer")
    again.delete(3)
    with pytest.raises(NoonsongError, match="preset 4 is empty"):
        again.at(3)
    with pytest.raises(NoonsongError, match="from 1 to 128"):
        again.save(128, "x", {})
    path.write_text("not json")
    assert Presets(path, TABLE, said.append).slots == {}
    assert "cannot be read" in said[0] and (tmp_path / "presets.json.unreadable").exists()


def test_a_recall_ends_the_one_that_was_under_way(tmp_path: Path) -> None:
    presets = Presets(tmp_path / "presets.json", TABLE, print)
    asked: dict[str, float | None] = {"temperature": 1.0, "freeze": 0.0, "morph": 300.0}
    moved: list[str] = []

    def move(name: str, value: float | None, who: str) -> None:
        asked[name] = value
        moved.append(who)

    presets.connect(move, asked)
    presets.save(0, "hot", {"temperature": 2.0, "morph": 1.0})
    presets.save(5, "cold", {"temperature": 0.5})
    assert presets.at(0).controls == {"temperature": 2.0}  # the way to it is no part of it
    presets.recall(0)
    wait_until(lambda: asked["temperature"] != 1.0, "it is under way")
    assert presets.morphing
    asked["morph"] = 0.1
    presets.recall(5)
    wait_until(lambda: not presets.morphing, "it is there")
    assert asked["temperature"] == 0.5 and moved[-1] == "preset cold" and moved.count("preset cold") == 1
    assert presets.saved() == [0, 5] and presets.recalled == 5


def test_on_the_way_to_a_preset() -> None:
    tempo, meter, density = TABLE["tempo"], TABLE["meter"], TABLE["density"]
    assert between(tempo, 60.0, 240.0, 0.5) == pytest.approx(120.0)  # as a knob would be turned
    assert between(tempo, 60.0, 240.0, 1.0) == 240.0
    assert between(meter, 0.0, 3.0, 0.9) == 0.0 and between(meter, 0.0, 3.0, 1.0) == 3.0
    assert between(density, None, 4.0, 0.4) is None and between(density, None, 4.0, 0.6) == 4.0


def test_the_form_writes_into_the_file_and_keeps_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "noonsong.toml"
    path.write_text("[board]  # mine\nzero_pitch = 24  # low\n")
    form = Form(ConfigFile(path))
    fields = {field.key: field for field in form.fields()}
    assert fields["board.zero_pitch"].value == 24 and fields["day.mode"].choices == ("always", "daily")
    assert "play.weights" not in fields and "play.journal" not in fields  # no text from a page becomes a path
    assert fields["panel.port"].help
    form.set("board.zero_pitch", "48")
    form.set("midi.outputs.0.channels", "bass=3, drums=10")
    form.set("board.cv_voices", "bass, keys")
    form.set("day.mode", "daily")
    form.set("board.registers", "40, 55, 70")
    form.set("board.families", "bass; keys, plucked, strings; winds; voice")
    form.set("panel.spectators", "on")
    config = load_config(path)
    assert config.board.zero_pitch == 48 and config.board.cv_voices == ("bass", "keys")
    assert config.midi.outputs[0].channels == {"bass": 3, "drums": 10}
    assert config.board.registers == (40, 55, 70)
    assert config.board.families == (("bass",), ("keys", "plucked", "strings"), ("winds",), ("voice",))
    assert config.day.mode == "daily" and config.panel.spectators
    assert "# mine" in path.read_text() and "# low" in path.read_text()


@pytest.mark.parametrize(("key", "text"), [
    ("play.weights", "/etc/passwd"), ("play.journal", "x"), ("board.zero_pitch", "999"), ("board.zero_pitch", "low"),
    ("nothing.there", "1"), ("board.cv_voices", "tuba"), ("day.wake", "noon"), ("panel.network", "maybe"),
    ("board.cv", "banana"), ("board.gates", "pitch 1"), ("board.knobs", "banana"), ("board.cv_inputs", "banana"),
    ("midi.outputs.0.control_ccs", "banana=3"), ("inputs.osc_address", "999.1.1.1"), ("board.slew_ms", "slow"),
    ("midi.outputs.7.port", "x"), ("board", "x"), ("__class__", "x"), ("midi.outputs.0.channels", "bass"),
])  # fmt: skip
def test_what_the_form_refuses_changes_nothing(key: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "noonsong.toml"
    path.write_text("[board]\nzero_pitch = 24\n[inputs]\nosc_port = 9000\n")
    with pytest.raises(NoonsongError):
        Form(ConfigFile(path, partial(check_settings, table=TABLE))).set(key, text)
    assert load_config(path).board.zero_pitch == 24 and "passwd" not in path.read_text()


def test_a_screen_is_one_that_somebody_sits_before() -> None:
    assert has_screen({"DISPLAY": ":0"}, "linux") and has_screen({"WAYLAND_DISPLAY": "w"}, "linux")
    assert has_screen({}, "darwin") and not has_screen({}, "linux")
    assert not has_screen({"DISPLAY": ":10", "SSH_CONNECTION": "1.2.3.4"}, "linux")


def test_hours_and_days_are_dates_and_nothing_else() -> None:
    first, last = span_of("2026-11-21T14")
    assert last - first == 3600
    for name in ("../x", "2026-11-21T25", "2026-13-01", "2026-11-21T14:00", "", "2026-11-21T14\n", "x" * 99):
        with pytest.raises(NoonsongError, match="is named like"):
            span_of(name)


def test_the_machine_is_looked_at(tmp_path: Path) -> None:
    import os

    machine = Machine(os.getpid(), tmp_path)
    machine.look(1.0)
    figures = machine.look(2.0)
    assert figures["disk_free_mb"] > 0 and figures["memory_mb"] > 5 and figures["cpu_percent"] >= 0
    gone = Machine(os.getpid(), tmp_path / "gone").look(1.0)
    assert "cannot be reached" in gone["faults"][0]
