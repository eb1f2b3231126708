"""A JACK server of our own, and gear that plays through it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import rtmidi

from host.midi_ports import MidiPorts, quiet_stderr
from model.errors import NoonsongError

# JACK knows eight names in all, and one whose server was killed stays taken for every name but its own.
SERVER = f"noonsong-test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


@pytest.fixture(scope="session")
def jack() -> Iterator[None]:
    daemon = shutil.which("jackd")
    assert daemon is not None, "jackd is missing: apt install jackd2 (make test does)"
    # A run of the tests that is killed leaves no server that the next would wait for.
    leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    os.environ |= {"JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1"}
    for name in (SERVER, f"{SERVER}-2", f"{SERVER}-3"):  # another run of the tests may have the first
        os.environ["JACK_DEFAULT_SERVER"] = name
        server = subprocess.Popen(
            # A busy machine may keep a client from running for long: it is not thrown out for that.
            [*leash, daemon, "-n", name, "-r", "-S", "-d", "dummy", "-r", "48000", "-p", "64"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            server.wait(timeout=2.0)  # it leaves at once when the name is taken
        except subprocess.TimeoutExpired:
            break
    try:
        deadline = time.monotonic() + 60
        while not answers():
            assert time.monotonic() < deadline and server.poll() is None, "the JACK server did not start"
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:  # a client that was killed may keep it waiting
            server.kill()
            server.wait()


def answers() -> bool:
    """Whether the JACK server is there."""
    try:
        MidiPorts("jack")
    except NoonsongError:
        return False
    return True


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


class Sender:
    """A MIDI output that others see under `name`: a controller, a keyboard."""

    def __init__(self, name: str) -> None:
        with quiet_stderr():
            self.port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=name)
            self.port.open_virtual_port("out")

    def send(self, *message: int) -> None:
        self.port.send_message(list(message))

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


def out_of_turn(messages: list[list[int]]) -> list[list[int]]:
    """Notes that began while they sounded."""
    held: set[tuple[int, int]] = set()
    wrong = []
    for message in (m for m in messages if len(m) == 3 and m[0] & 0xE0 == 0x80):
        key = (message[0] & 0x0F, message[1])
        if message[0] & 0x10 and message[2]:
            if key in held:
                wrong.append(message)
            held.add(key)
        else:
            held.discard(key)
    return wrong


def wait_until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.01)
