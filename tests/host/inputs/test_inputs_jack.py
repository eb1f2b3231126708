"""A controller on real JACK MIDI moves the box that plays; learning, while it plays and by itself."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.config import Mapped, load_config
from host.journal import read_spelled
from model.tokens import VOICE_NAMES
from tests.host.jack import Receiver, Sender, hanging, wait_until
from tests.host.talk import PLAY, ROOT

pytestmark = [pytest.mark.usefixtures("jack"), pytest.mark.xdist_group("jack")]


class Playing:
    """`noonsong play` in a process, in a folder of its own."""

    def __init__(self, folder: Path, weights: Path, config: str, *options: str) -> None:
        self.folder = folder
        self.config = folder / "noonsong.toml"
        self.config.write_text(config)
        self.journal = folder / "j.sqlite"
        command = [*PLAY, "--weights", str(weights)]
        command += ["--journal", str(self.journal), "--config", str(self.config), "--seed", "3"]
        command += ["--api", "jack", "--board", "none", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.said = ""
        self.wait_until_said("MIDI")

    def wait_until_said(self, words: str) -> None:
        assert self.process.stderr is not None
        while words not in self.said:
            line = self.process.stderr.readline()
            assert line, f"it ended without saying {words!r}: {self.said}"
            self.said += line

    def moves(self) -> list[tuple[str, float, str]]:
        if not self.journal.exists():
            return []
        db = sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)
        try:
            return db.execute(
                "SELECT control, value, who FROM moves WHERE who != 'start' ORDER BY rowid"
            ).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            db.close()

    def end(self) -> int:
        """Its exit status; also ends it when the test failed before."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=15)
        self.said += said
        return self.process.returncode


@pytest.fixture
def controller() -> Iterator[Sender]:
    sender = Sender("nano-one")
    yield sender
    sender.close()


def send_until(sender: Sender, playing: Playing, what: tuple[str, float], *message: int) -> None:
    """The box connects to a port at its own time: say it until it is heard."""

    def heard() -> bool:
        sender.send(message[0], message[1], 0)
        sender.send(*message)
        time.sleep(0.1)
        return what in [move[:2] for move in playing.moves()]

    wait_until(f"{what} in {playing.moves()}", heard)


def test_controllers_move_controls_also_after_they_were_away(
    controller: Sender, small_weights: Path, tmp_path: Path
) -> None:
    config = """
        [inputs]
        midi = ["nano-*"]
        [[inputs.map]]
        control = "temperature"
        by = "cc 21"
        high = 1.5
        [[inputs.map]]
        control = "pitch"
        by = "cc 1"
        port = "nano-two"
    """
    playing = Playing(tmp_path, small_weights, config, "--port", "nobody")
    send_until(controller, playing, ("temperature", 1.5), 0xB0, 21, 127)
    second = Sender("nano-two")
    send_until(second, playing, ("pitch", 2.0), 0xB0, 1, 127)
    controller.send(0xB0, 1, 0)  # not assigned from this port
    second.close()
    playing.wait_until_said("listening to nano-one:out\n")
    again = Sender("nano-two")
    send_until(again, playing, ("pitch", 0.5), 0xB0, 1, 0)
    assert playing.end() == 0, playing.said
    again.close()
    assert {who for _, _, who in playing.moves()} == {
        "cc 21 channel 1 nano-one:out",
        "cc 1 channel 1 nano-two:out",
    }


def test_a_program_change_calls_a_preset(controller: Sender, small_weights: Path, tmp_path: Path) -> None:
    preset = {"name": "calm", "controls": {"temperature": 0.5, "density": 1.0}}
    (tmp_path / "presets.json").write_text(json.dumps({"4": preset}))
    playing = Playing(tmp_path, small_weights, "[inputs]\nmidi = ['nano-one']\n", "--port", "nobody")

    def called() -> bool:
        controller.send(0xC3, 5)  # empty
        controller.send(0xC3, 4)
        time.sleep(0.1)
        return len(playing.moves()) >= 2

    wait_until("the preset", called)
    assert playing.end() == 0 and "preset" not in playing.said
    assert sorted(move[:2] for move in playing.moves())[:2] == [("density", 1.0), ("temperature", 0.5)]


def test_learns_while_it_plays(controller: Sender, small_weights: Path, tmp_path: Path) -> None:
    playing = Playing(tmp_path, small_weights, "# mine\n[inputs]\nmidi = ['nano-one']\n", "--port", "nobody")
    command = [sys.executable, "-W", "error", "-m", "host", "learn", "--journal", str(playing.journal)]
    wait_until("the box's door", (tmp_path / "j.sqlite-door").exists)
    wrong = subprocess.run([*command, "loudness"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and 'no control "loudness"' in wrong.stderr
    learning = subprocess.Popen([*command, "density"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert learning.stdout is not None
    assert "listens" in learning.stdout.readline()

    def learnt() -> bool:
        for value in (0, 60, 127):
            controller.send(0xB2, 5, value)
        time.sleep(0.1)
        return learning.poll() is not None

    wait_until("learning's end", learnt)
    out, _ = learning.communicate(timeout=10)
    assert learning.returncode == 0 and "cc 5 channel 3 (port nano-one:out) moves density" in out
    send_until(controller, playing, ("density", 8.0), 0xB2, 5, 127)
    text = playing.config.read_text()
    assert text.startswith("# mine") and playing.end() == 0
    assert load_config(playing.config).inputs.map == (
        Mapped("density", "cc 5 channel 3", port="nano-one:out"),
    )
    assert not (tmp_path / "j.sqlite-door").exists()


def test_learns_by_itself_when_nothing_plays(controller: Sender, tmp_path: Path) -> None:
    config = tmp_path / "noonsong.toml"
    config.write_text("[midi]\napi = 'jack'\n[board]\nport = 'none'\n[inputs]\nmidi = ['nano-one']\n")
    command = [sys.executable, "-W", "error", "-m", "host", "learn", "tempo", "--config", str(config)]
    command += ["--journal", str(tmp_path / "none.sqlite")]
    learning = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def learnt() -> bool:
        for value in (0x00, 0x7F):
            controller.send(0xE0, value, value)
        time.sleep(0.05)
        return learning.poll() is not None

    wait_until("learning's end", learnt)
    out, _ = learning.communicate(timeout=10)
    assert learning.returncode == 0 and "bend channel 1 (port nano-one:out) moves tempo" in out
    assert load_config(config).inputs.map == (Mapped("tempo", "bend channel 1", port="nano-one:out"),)
    silent = subprocess.run(
        [*command, "--seconds", "0.2"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert silent.returncode == 2 and "nothing moved for 0.2 seconds" in silent.stderr


def test_a_keyboard_is_heard_and_not_sent(small_weights: Path, tmp_path: Path) -> None:
    keyboard, synth = Sender("keystation"), Receiver("synth-k")
    config = """
        [inputs]
        midi = []
        keyboard = "keystation"
        keyboard_voice = "strings"
        [[inputs.map]]
        control = "listen"
        by = "note 21"
    """
    playing = Playing(tmp_path, small_weights, config, "--port", "synth-k", "--control", "density=4")

    def heard() -> list[tuple[int, int]]:
        query = "SELECT position, tick, settings, tokens FROM spelled WHERE position IN (SELECT position FROM heard)"
        db = sqlite3.connect(f"file:{playing.journal}?mode=ro", uri=True)
        try:
            notes = [read_spelled(*row).note for row in db.execute(query)]
        except sqlite3.OperationalError:
            return []  # not there yet
        finally:
            db.close()
        return [(note.voice, note.pitch) for note in notes if note]

    def press(pitch: int, velocity: int = 77) -> None:
        keyboard.send(0x90, pitch, velocity)
        keyboard.send(0x80, pitch, 0)

    def heard_once() -> bool:
        press(96)
        time.sleep(0.1)
        return len(heard()) > 0

    wait_until("the journal", playing.journal.exists)
    wait_until("a key in the journal", heard_once)
    strings = VOICE_NAMES.index("strings")
    assert set(heard()) == {(strings, 96)}
    press(21)  # from here on a scale
    for pitch in (62, 65, 69):
        press(pitch)
    playing.wait_until_said("play the scale")
    wait_until("the scale", lambda: ("root", 2.0) in [move[:2] for move in playing.moves()])
    wait_until("the keys to be music again", lambda: press(97) or time.sleep(0.1) or (strings, 97) in heard())  # type: ignore[func-returns-value]
    since = len(synth.drain())
    wait_until("more notes", lambda: len(synth.drain()) > since + 60)
    played = [m for m in synth.drain() if m[0] & 0xF0 == 0x90]
    assert not [m for m in played if m[2] == 77]
    assert {m[1] % 12 for m in played[-15:] if m[0] != 0x99} <= {2, 5, 9}
    assert playing.end() == 0, playing.said
    wait_until("silence", lambda: not hanging(synth.drain()))
    keyboard.close()
    synth.close()
