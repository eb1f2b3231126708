"""`noonsong play` and a sequencer, two real processes and JACK between them: who leads, and when notes come."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rtmidi

from host.clocks.midi_in import MidiClockIn
from host.clocks.pulse_clock import PulseClock
from host.midi_ports import MidiPorts, quiet_stderr
from tests.host.jack import Receiver, Sender, hanging, wait_until
from tests.host.talk import ROOT, Talker

pytestmark = pytest.mark.xdist_group("jack")
PULSE, START, STOP = 0xF8, 0xFA, 0xFC


class Master:
    """The sequencer's process, and what it has sent."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "tests.host.clocks.midi_master", name]
        self.process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def plan(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n".join(lines) + "\n")
        self.process.stdin.flush()

    def end(self) -> list[tuple[int, float]]:
        """(status, when it was sent) of everything."""
        out, _ = self.process.communicate(timeout=60)
        return [(int(line.split()[0]), float(line.split()[1])) for line in out.splitlines()]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def master() -> Iterator[Master]:
    sequencer = Master("sequencer")
    yield sequencer
    sequencer.kill()


def following_box(weights: Path, folder: Path, config: str, *options: str) -> Talker:
    """`noonsong play` on JACK, its own settings."""
    (folder / "n.toml").write_text(config)
    given = ["--weights", str(weights), "--journal", str(folder / "j.sqlite"), "--seed", "3", "--events"]
    given += ["--board", "none", "--api", "jack", "--config", str(folder / "n.toml")]
    return Talker([*given, *options])


@pytest.mark.usefixtures("jack")
def test_the_box_follows_a_sequencer(small_weights: Path, tmp_path: Path, master: Master) -> None:
    """It waits for Start, begins on the first clock, keeps to the beat, stops, and goes on with Continue."""
    synth = Receiver("synth-clocked")
    config = '[clock]\nmidi_port = "sequencer"\nlost = "stop"\n[inputs]\nmidi = []\n'
    options = ["--control", "clock=midi", "--control", "density=4", "--port", "synth-clocked"]
    box = following_box(small_weights, tmp_path, config, *options)
    try:
        box.wait_for("MIDI to")
        time.sleep(1.0)
        begun_s = time.monotonic()
        master.plan("start", "100 200", "stop", "wait 0.5", "continue", "100 96", "stop")
        sent = master.end()
        wait_until("silence", lambda: not hanging(synth.drain()))
        assert box.end(signal.SIGTERM) == 0, box.said
    finally:
        box.close()
        synth.close()
    ons = [event["due_s"] for event in box.events() if event["event"] == "on"]
    after = [due_s for due_s in ons if due_s > begun_s]
    pulses = [t_s for status, t_s in sent if status == PULSE]
    stops = [t_s for status, t_s in sent if status == STOP]
    late_ms = (after[0] - pulses[0]) * 1000
    print(f"first note {late_ms:.2f} ms after the first clock was sent; {len(after)} notes")
    # On the first clock as it arrived here, not on the second.
    assert -0.1 < late_ms < 25
    assert not [due_s for due_s in ons if 0.3 < due_s - stops[0] < 0.5]
    assert len([due_s for due_s in after if due_s > stops[0] + 0.5]) >= 4
    assert len(after) > 15


@pytest.mark.usefixtures("jack")
def test_a_clock_input_comes_and_goes() -> None:
    clock = PulseClock("MIDI clock", 24, 120.0)
    listener = MidiClockIn(MidiPorts("jack"), "drum machine", clock, time.monotonic)
    assert "waiting" in listener.state
    for _ in range(2):
        gear = Sender("drum machine")

        def there() -> bool:
            listener.watch()
            return "may come from" in listener.state

        wait_until("the port", there)
        gear.send(START)

        def beats(gear: Sender = gear) -> bool:
            gear.send(PULSE)
            clock.update(time.monotonic())
            return clock.rolling

        wait_until("pulses", beats)
        gear.close()

        def gone() -> bool:
            listener.watch()
            clock.update(time.monotonic())
            return "waiting" in listener.state and not clock.rolling

        wait_until("its loss", gone)
    listener.close()


@pytest.mark.usefixtures("jack")
def test_the_clock_that_the_box_sends(small_weights: Path, tmp_path: Path) -> None:
    """Another may follow: a start, pulses at the tempo, a stop at the end; counted and timed at the receiver."""
    heard: list[tuple[int, float]] = []
    with quiet_stderr():
        port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="follower")
        port.ignore_types(timing=False)
        port.set_callback(lambda event, _: heard.append((event[0][0], time.monotonic())))
        port.open_virtual_port("in")
    config = '[clock]\nmidi_out = ["follower"]\nmidi_out_while_stopped = false\n[inputs]\nmidi = []\n'
    box = following_box(small_weights, tmp_path, config, "--control", "tempo=120", "--port", "synth-nowhere")
    try:
        wait_until("pulses", lambda: len(heard) > 150)
        assert box.end(signal.SIGTERM) == 0, box.said
    finally:
        box.close()
        with quiet_stderr():
            port.close_port()
            port.delete()
    kinds = [status for status, _ in heard]
    assert kinds[0] in (0xFA, 0xF2) and kinds[-1] == STOP
    assert kinds.index(PULSE) == (1 if kinds[0] == 0xFA else 2)
    pulses = [t_s for status, t_s in heard if status == PULSE]
    assert (pulses[-1] - pulses[0]) / (len(pulses) - 1) == pytest.approx(1 / 48, rel=0.02)
