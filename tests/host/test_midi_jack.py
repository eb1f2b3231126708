"""Real MIDI through a JACK server of our own: every note arrives, in order, and ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from host.midi_ports import MidiPorts
from host.outputs.midi import MidiOutput
from tests.host.jack import Receiver, hanging, wait_until
from tests.host.test_kill import ROOT


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
