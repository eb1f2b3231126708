"""Real MIDI through a JACK server of our own: every note arrives, in order, and ends."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from host.config import MidiPort
from host.events import ControlAt, NoteOff, NoteOn, Thru, ThruLost
from host.midi_ports import MidiPorts
from host.outputs.midi import MidiOutput
from model.tokens import VOICE_NAMES
from tests.host.jack import Receiver, Sender, hanging, out_of_turn, wait_until
from tests.host.talk import ROOT

pytestmark = pytest.mark.xdist_group("jack")
KEYS = VOICE_NAMES.index("keys")
Start = Callable[[list[str]], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that do not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(command: list[str]) -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, cwd=ROOT, text=True, **pipes))  # type: ignore[call-overload]
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def watched(output: MidiOutput) -> bool:
    output.watch()
    return output.connected


@pytest.mark.usefixtures("jack")
def test_every_note_arrives_and_ends(small_weights: Path, tmp_path: Path) -> None:
    receiver = Receiver("synth-one")
    options = ["--no-panel", "--weights", str(small_weights), "--journal", str(tmp_path / "j.sqlite")]
    options += ["--api", "jack", "--port", "synth-one", "--seconds", "4", "--seed", "3", "--events"]
    done = subprocess.run(
        [sys.executable, "-m", "host", "play", *options, "--control", "density=8"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    messages = receiver.drain()
    receiver.close()
    sent = [line for line in done.stdout.splitlines() if '"on"' in line]
    arrived = [m for m in messages if m[0] & 0xF0 == 0x90]
    assert len(arrived) == len(sent) > 10
    assert not hanging(messages)


@pytest.mark.usefixtures("jack")
def test_what_is_spelled_but_has_not_begun_when_it_is_stopped_is_not_heard() -> None:
    receiver = Receiver("synth-one")
    output = MidiOutput(MidiPorts("jack"), MidiPort(port="synth-one"))
    output.send(NoteOn(KEYS, 60, 100), 0.0)
    for stop in (output.release, output.panic, output.close):
        output.send(NoteOn(KEYS, 60, 100), 0.0)
        output.prepare(NoteOn(KEYS, 62, 100), 0.0)
        stop(0.0)
        output.flush()
        wait_until("the end", lambda: not hanging(receiver.drain()))
    assert not [message for message in receiver.all if message[1] == 62]
    assert not out_of_turn(receiver.all)
    receiver.close()


@pytest.mark.usefixtures("jack")
def test_a_port_that_vanishes_is_found_again_and_told_what_ended_meanwhile() -> None:
    receiver = Receiver("synth-two")
    settings = MidiPort(
        port="synth-two", programs={"keys": 8}, banks={"keys": 129}, control_ccs={"density": 7}
    )
    output = MidiOutput(MidiPorts("jack"), settings)
    assert output.connected and "synth-two" in output.state
    output.send(NoteOn(KEYS, 60, 100), 0.0)
    output.send(ControlAt("density", 0.5), 0.0)
    wait_until("the note", lambda: [0x91, 60, 100] in receiver.drain())
    wait_until("the control", lambda: [0xBF, 7, 64] in receiver.drain())
    receiver.close()
    wait_until("the loss noticed", lambda: not watched(output))
    output.send(NoteOff(KEYS, 60), 0.0)
    output.send(NoteOn(KEYS, 62, 100), 0.0)
    assert "waiting" in output.state
    again = Receiver("synth-two")
    wait_until("the port found again", lambda: watched(output))
    output.send(NoteOn(KEYS, 64, 100), 0.0)
    wait_until("the note after", lambda: [0x91, 64, 100] in again.drain())
    at = again.all.index
    assert at([0x81, 60, 64]) < at([0xB1, 123, 0]) < at([0xB1, 0, 1]) < at([0xB1, 32, 1]) < at([0xC1, 7])
    assert [0xBF, 7, 64] in again.all and [0x91, 62, 100] not in again.all
    output.close(0.0)
    wait_until("its end", lambda: not hanging(again.drain()))
    again.close()


@pytest.mark.usefixtures("jack")
def test_whatever_happens_on_and_off_alternate_and_all_ends() -> None:
    """Notes of seven voices on two channels, another's keys merged in, and every way to stop."""
    random = Random(4)
    receivers = [Receiver("synth-a"), Receiver("synth-b")]
    channels = {name: 10 if name == "drums" else 1 for name in VOICE_NAMES}
    settings = MidiPort(port="synth-a", channels=channels, lowest=48, highest=71, thru=("keys",))
    output = MidiOutput(MidiPorts("jack"), settings)
    sounding: set[tuple[int, int]] = set()
    for turn in range(3_000):
        now_s = turn / 100
        voice, pitch = random.randrange(len(VOICE_NAMES)), random.randrange(30, 90)
        what = random.random()
        if what < 0.45:
            if (voice, pitch) in sounding:
                output.send(NoteOff(voice, pitch), now_s)
            sounding.add((voice, pitch))
            output.send(NoteOn(voice, pitch, random.randrange(1, 128)), now_s)
        elif what < 0.8 and sounding:
            ended = random.choice(sorted(sounding))
            sounding.remove(ended)
            output.send(NoteOff(*ended), now_s)
        elif what < 0.95:
            status = random.choice((0x80, 0x90, 0x90, 0xB0))
            output.send(Thru("keys:out", (status, random.randrange(48, 72), random.randrange(128))), now_s)
        elif what < 0.97:
            output.send(ThruLost("keys:out"), now_s)
        elif what < 0.98:
            output.release(now_s)
            sounding.clear()
        elif what < 0.985:
            output.panic(now_s)
            sounding.clear()
        elif what < 0.99:
            output.retarget(random.choice(("synth-a", "synth-b")), now_s)
        if turn % 50 == 0:
            for receiver in receivers:
                receiver.drain()
    output.close(31.0)
    for receiver in receivers:
        wait_until("silence", lambda receiver=receiver: not hanging(receiver.drain()))  # type: ignore[misc]
        assert len(receiver.all) > 500 and not out_of_turn(receiver.all)
        receiver.close()


CONFIG = """
[inputs]
midi = []
keyboard = ""
[[midi.outputs]]
port = "synth-c"
mute = ["drums"]
control_ccs = { temperature = 20, density = 21 }
[[midi.outputs]]
port = "synth-d"
transpose = 12
thru = ["keyboard-d"]
send_programs = false
"""


@pytest.mark.usefixtures("jack")
@pytest.mark.parametrize("how", ["SIGTERM", "an exception", "a dead thread"])
def test_every_note_ends_at_every_port_however_it_ends(
    how: str, start: Start, small_weights: Path, tmp_path: Path
) -> None:
    receivers = [Receiver("synth-c"), Receiver("synth-d")]
    keyboard = Sender("keyboard-d")
    (tmp_path / "noonsong.toml").write_text(CONFIG)
    command = [sys.executable, "-c", DYING.format(how=how), "play", "--no-panel", "--board", "none"]
    command += ["--weights", str(small_weights), "--config", str(tmp_path / "noonsong.toml"), "--api", "jack"]
    command += ["--journal", str(tmp_path / "j.sqlite"), "--seed", "3", "--control", "density=8"]
    process = start(command)

    def played() -> bool:
        keyboard.send(0x95, 60, 100)  # held down, and never let go
        notes = [m for m in receivers[0].drain() if m[0] & 0xF0 == 0x90]
        return len(notes) > 10 and [0x95, 60, 100] in receivers[1].drain()

    wait_until("notes", played)
    assert process.stdin is not None
    if how.startswith("SIG"):
        process.send_signal(getattr(signal, how))
    else:
        process.stdin.write("now\n")
        process.stdin.flush()
    _, said = process.communicate(timeout=20)
    assert (process.returncode == 0) == how.startswith("SIG"), said
    keyboard.close()
    for receiver in receivers:
        wait_until("silence", lambda receiver=receiver: not hanging(receiver.drain()))  # type: ignore[misc]
        assert not out_of_turn(receiver.all)
    c, d = (receiver.all for receiver in receivers)
    assert not [m for m in c if m[0] & 0xEF == 0x89] and [0xBF, 20, 56] in c
    assert not [m for m in d if m[0] & 0xF0 == 0xC0]
    ons = [[m for m in messages if m[0] & 0xF0 == 0x90 and m[0] not in (0x95, 0x99)] for messages in (c, d)]
    assert {m[1] % 12 for m in ons[0]} == {m[1] % 12 for m in ons[1]}
    for receiver in receivers:
        receiver.close()


# Dies in its own ways when it is told to: in the main thread, or in the one that plans.
DYING = """
import sys, threading, host.cli, host.instrument, host.performance
how = {how!r}
def die(*_):
    raise RuntimeError("died")
def wait_to_die(self, seconds=None):
    sys.stdin.readline()
    if how == "a dead thread":
        host.performance.Performance.step = die
        return self._stop.wait(seconds)
    die()
if not how.startswith("SIG"):
    host.instrument.Instrument.wait = wait_to_die
sys.exit(host.cli.main(sys.argv[1:]))
"""


@pytest.mark.usefixtures("jack")
def test_controls_sent_out_and_played_back_do_not_chase_each_other(
    start: Start, small_weights: Path, tmp_path: Path
) -> None:
    """A recorder that repeats everything at once, on a controller assigned to the same control."""
    receiver, echo, hand = Receiver("daw-in"), Sender("daw-out"), Sender("hand")
    (tmp_path / "noonsong.toml").write_text(
        """
        [inputs]
        midi = ["daw-out", "hand"]
        keyboard = ""
        [[inputs.map]]
        control = "temperature"
        by = "cc 20"
        [[midi.outputs]]
        port = "daw-in"
        control_ccs = { temperature = 20 }
        """
    )
    command = [sys.executable, "-W", "error", "-m", "host", "play", "--no-panel", "--board", "none"]
    command += ["--weights", str(small_weights), "--config", str(tmp_path / "noonsong.toml"), "--api", "jack"]
    command += ["--journal", str(tmp_path / "j.sqlite"), "--seed", "3"]
    process = start(command)
    repeated = 0

    def sent() -> list[int]:
        nonlocal repeated
        messages = [m for m in receiver.drain() if m[0] == 0xBF and m[1] == 20]
        for message in messages[repeated:]:
            echo.send(*message)
        repeated = len(messages)
        return [m[2] for m in messages]

    def turned() -> bool:
        hand.send(0xB0, 20, 1)
        return 1 in sent()

    wait_until("the hand is heard", turned)
    for value in range(2, 120):
        hand.send(0xB0, 20, value)
        time.sleep(0.004)
        sent()
    wait_until("the end of the turn", lambda: 119 in sent())
    for _ in range(100):  # what an echo would set off comes within this
        time.sleep(0.005)
        sent()
    values = sent()
    assert values[values.index(1) :] == sorted(values[values.index(1) :])
    assert len(values) <= 121
    process.terminate()
    process.communicate(timeout=15)
    db = sqlite3.connect(tmp_path / "j.sqlite")
    who = {row[0] for row in db.execute("SELECT who FROM moves WHERE control = 'temperature'")}
    db.close()
    assert who == {"cc 20 channel 1 hand:out"}
    for port in (receiver, echo, hand):
        port.close()
