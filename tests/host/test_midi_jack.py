"""Real MIDI through a JACK server of our own: every note arrives, in order, and ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rtmidi

from host.midi_ports import MidiPorts, quiet_stderr
from host.outputs.midi import MidiOutput
from tests.host.test_kill import ROOT

SERVER = f"noonsong-test-{os.getpid()}"


@pytest.fixture(scope="module")
def jack() -> Iterator[None]:
    daemon = shutil.which("jackd")
    assert daemon is not None, "jackd is missing: apt install jackd2 (make test does)"
    os.environ |= {
        "JACK_DEFAULT_SERVER": SERVER,
        "JACK_NO_START_SERVER": "1",
        "JACK_NO_AUDIO_RESERVATION": "1",
    }
    server = subprocess.Popen(
        [daemon, "-n", SERVER, "-r", "-S", "-d", "dummy", "-r", "48000", "-p", "64"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(100):
        try:
            MidiPorts("jack")
            break
        except Exception:
            time.sleep(0.05)
    else:
        pytest.fail("the JACK server did not start")
    yield
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=10)


class Receiver:
    """A MIDI input that others see under `name`."""

    def __init__(self, name: str) -> None:
        self.all: list[list[int]] = []
        with quiet_stderr():
            self.port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=name, queue_size_limit=100_000)
            self.port.open_virtual_port("in")

    def drain(self) -> list[list[int]]:
        """Everything that came so far."""
        while (message := self.port.get_message()) is not None:
            self.all.append(message[0])
        return self.all

    def close(self) -> None:
        with quiet_stderr():
            self.port.close_port()
            self.port.delete()


def hanging(messages: list[list[int]]) -> set[tuple[int, int]]:
    held: set[tuple[int, int]] = set()
    for status, note, velocity in (m for m in messages if len(m) == 3 and m[0] & 0xE0 == 0x80):
        key = (status & 0x0F, note)
        held = held | {key} if status & 0x10 and velocity else held - {key}
    return held


def wait_until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.01)


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
def test_a_port_that_vanishes_is_found_again() -> None:
    from host.events import NoteOff, NoteOn

    receiver = Receiver("synth-two")
    output = MidiOutput(MidiPorts("jack"), "synth-two", {2: 0}, {2: 7})
    assert output.connected and "synth-two" in output.state
    output.send(NoteOn(2, 60, 100), 0.0)
    wait_until("the note", lambda: [0x90, 60, 100] in receiver.drain())
    receiver.close()
    wait_until("the loss noticed", lambda: not watched(output))
    output.send(NoteOff(2, 60), 0.0)
    output.send(NoteOn(2, 62, 100), 0.0)
    assert "waiting" in output.state
    again = Receiver("synth-two")
    wait_until("the port found again", lambda: watched(output))
    output.send(NoteOn(2, 64, 100), 0.0)
    wait_until("the note after", lambda: [0x90, 64, 100] in again.drain())
    assert [0xC0, 7] in again.all
    output.close(0.0)
    wait_until("its end", lambda: not hanging(again.drain()))
    again.close()
