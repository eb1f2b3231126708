"""The JACK server dies under a playing box: the box goes on, and joins the next one."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.host.talk import ROOT, Talker

NAME = f"noonsong-mortal-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


def start_server() -> "subprocess.Popen[bytes]":
    daemon = shutil.which("jackd")
    assert daemon is not None, "jackd is missing: apt install jackd2 (make test does)"
    server = subprocess.Popen(
        [daemon, "-n", NAME, "-r", "-S", "-d", "dummy", "-r", "48000", "-p", "64"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # Asked from outside: a process can be a client of one server in its life, or libjack loses its way.
    ask = [sys.executable, "-c", "from host.midi_ports import MidiPorts; MidiPorts('jack')"]
    for _ in range(100):
        if subprocess.run(ask, cwd=ROOT, check=False, capture_output=True).returncode == 0:
            return server
    server.kill()
    server.wait()
    pytest.fail("the JACK server did not start")


def has_played(box: Talker, events: int) -> bool:
    return len(box.events()) >= events


def test_the_box_outlives_its_jack_server(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent to a dead server waits in a ring buffer and, when that is full, for ever."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", NAME)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("JACK_NO_AUDIO_RESERVATION", "1")
    server = start_server()
    options = ["--weights", str(small_weights), "--journal", str(tmp_path / "j.sqlite"), "--board", "none"]
    options += ["--api", "jack", "--port", "virtual", "--seed", "3", "--events", "--control", "density=8"]
    box = Talker(options)
    try:
        box.wait_for("MIDI to noonsong")
        for _ in range(2):
            box.wait_until(partial(has_played, box, len(box.events()) + 40))  # and has opened every port
            server.kill()
            server.wait()
            box.wait_for("waiting for the JACK server")
            box.wait_until(partial(has_played, box, len(box.events()) + 20))
            server = start_server()
            box.wait_for("MIDI to noonsong")
        assert box.end(signal.SIGTERM) == 0
    finally:
        box.close()
        server.kill()
        server.wait()
