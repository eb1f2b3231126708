"""Faults are sentences that say what to do, there as long as their cause is."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

from host.clocks.pulse_clock import PulseClock
from host.config import Config, Day
from host.config import Inputs as InputSettings
from host.config_file import ConfigFile
from host.events import Move
from host.inputs.inputs import Inputs
from host.instrument import Instrument
from host.panel.health import LASTING_S, Health
from tests.host.clocks.test_following import GATE, MIDI, Master, let_pass
from tests.host.playing import TABLE, Stage
from tests.panel.conftest import wait_until

LINK = 3.0


class Watched:
    """A stage that follows clocks, and what a page is told of it."""

    def __init__(self, weights: Path, folder: Path) -> None:
        self.source = PulseClock("MIDI clock", 24, 120.0)
        gate = PulseClock("the clock input", 4, 120.0, holds=True)
        self.stage = Stage(weights, folder, sources={"midi": self.source, "gate": gate})
        self.master = Master(self.stage, self.source)
        self.master.sending = False
        self.instrument = Instrument(
            self.stage.performance, self.stage.scheduler, self.stage.piece, [], Day(), self.stage.said.append,
            lambda: self.stage.now_s,
        )  # fmt: skip
        config = Config(inputs=InputSettings(osc_port=_free_port()))
        file = ConfigFile(folder / "noonsong.toml")
        self.inputs = Inputs(config, TABLE, None, file, print, time.monotonic)
        self.health = Health(self.instrument, None, self.inputs, [])

    def faults(self, seconds: float) -> list[str]:
        """After some time."""
        for _ in range(round(seconds / 0.25)):
            let_pass(self.stage, 0.25, [self.master])
            state = self.health.look(self.stage.now_s)
        faults: list[str] = state["faults"]
        return faults

    def choose(self, clock: float) -> None:
        self.stage.performance.move(Move("clock", clock, "test"))


@pytest.fixture
def watched(small_weights: Path, tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(small_weights, tmp_path)
    yield watched
    watched.inputs.close()
    watched.stage.kill()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_clock_that_is_not_there_is_said_until_it_is(watched: Watched) -> None:
    assert watched.faults(2.0) == []
    watched.choose(MIDI)
    assert watched.faults(0.5) == []  # a moment's patience
    (sentence,) = watched.faults(2.0)
    assert sentence.startswith("Waiting for the first pulse of MIDI clock; going on at 120.0 bpm: start it")
    assert "set the control clock to internal" in sentence
    watched.master.start()
    assert watched.faults(3.0) == []
    assert watched.health.look(watched.stage.now_s)["clock"]["says"].startswith("following MIDI clock")
    watched.master.stop()
    (sentence,) = watched.faults(2.0)
    assert sentence.startswith("MIDI clock is stopped: start it")
    watched.master.start()
    assert watched.faults(2.0) == []
    watched.master.sending = False
    first, second = watched.faults(4.0), watched.faults(2.0)
    assert first == second and first[0].startswith("No pulse of MIDI clock any more; going on at")
    watched.choose(0.0)
    assert watched.faults(1.0) == []


def test_time_that_the_player_stops_is_no_fault_of_the_clock(watched: Watched) -> None:
    watched.choose(GATE)
    assert "patch it into the board" in watched.faults(3.0)[0]
    watched.stage.performance.move(Move("freeze", 1.0, "test"))
    assert watched.faults(1.0) == []
    watched.stage.performance.move(Move("freeze", 0.0, "test"))
    assert watched.faults(3.0) != []
    watched.choose(LINK)
    assert watched.faults(3.0) == [
        'Ableton Link is not installed: pip install "noonsong[link]", or set the control clock to internal.'
    ]


def test_osc_that_means_nothing_is_said_for_a_while(watched: Watched) -> None:
    osc = watched.inputs.osc
    assert osc is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        message = OscMessageBuilder("/noonsong/volume")
        message.add_arg(1.0)
        sender.sendto(message.build().dgram, osc.address)
    wait_until(lambda: osc.faults, "it came")
    (sentence,) = watched.faults(1.0)
    assert sentence.startswith("OSC: /noonsong/volume [1.0] means nothing")
    assert watched.faults(LASTING_S + 1) == []
