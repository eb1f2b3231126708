"""Gate inputs and gate clock of the whole box: `noonsong play` on a pty to the real firmware in a simulated chip."""

import signal
import time

import pytest

from tests.host.boxed import Play
from tests.host.talk import PATIENCE_S, Talker
from tests.sim.sim_board import SimBoard
from tests.sim.simulator import CYCLES_PER_US, GATE_PINS

NO_KEYBOARD = "[inputs]\nmidi = []\n"
pytestmark = pytest.mark.xdist_group("board")  # one simulated board at a time: it needs a core


def pulses(board: SimBoard, index: int, count: int, period_s: float) -> list[float]:
    """Pulses at a gate input, in the chip's own time: a busy machine may make it slow. Returns when each rose."""
    rose = []
    for _ in range(count):
        rose.append(time.monotonic())
        board.set_gate_in(index, True)
        pass_in_chip(board, 0.01)
        board.set_gate_in(index, False)
        pass_in_chip(board, period_s - 0.01)
    return rose


def pass_in_chip(board: SimBoard, seconds: float) -> None:
    until = board.at(lambda sim: sim.cycle) + round(seconds * 1e6 * CYCLES_PER_US)
    deadline = time.monotonic() + PATIENCE_S
    while board.at(lambda sim: sim.cycle) < until:
        assert time.monotonic() < deadline, "the chip stands still"
        time.sleep(0.001)


def ons(talker: Talker) -> list[float]:
    return [event["due_s"] for event in talker.events() if event["event"] == "on"]


def test_pulses_at_the_clock_input_lead(board: SimBoard, play: Play) -> None:
    config = (
        '[board]\nknobs = []\ngates = ["gate 1", "gate 2", "gate 3", "clock"]\n[clock]\ngate_pulses = 4\n'
    )
    talker = play(
        "--events",
        *["--control", "clock=gate", "--control", "density=4", "--control", "tempo=60"],
        config=config + NO_KEYBOARD,
    )
    time.sleep(1.0)
    begun_s = time.monotonic()
    pulses(board, 0, 40, 0.15)
    time.sleep(1.0)
    heard = len(ons(talker))
    time.sleep(1.0)
    assert len(ons(talker)) == heard  # they ceased, and so did the notes
    pulses(board, 0, 12, 0.15)
    time.sleep(0.5)
    assert talker.end(signal.SIGTERM) == 0, talker.said
    after = [due_s for due_s in ons(talker) if due_s > begun_s]
    assert len(after) > 10
    high = [
        p.cycle / CYCLES_PER_US / 1e6
        for p in board.at(lambda sim: list(sim.pins))
        if p.pin == GATE_PINS[3] and p.high
    ]
    assert 10 < len(high) <= 60  # the same pulses again, as far as the piece ran with them


def test_each_pulse_at_a_step_input_plays(board: SimBoard, play: Play) -> None:
    config = '[board]\nknobs = []\ngate_inputs = ["rest", "step"]\n'
    talker = play("--events", "--control", "tempo=100", config=config + NO_KEYBOARD)
    pulses(board, 1, 3, 0.3)
    time.sleep(0.5)
    before = len(set(ons(talker)))
    rose = pulses(board, 1, 8, 0.4)
    time.sleep(1.0)
    onsets = sorted(set(ons(talker)))[before:]
    assert len(onsets) == len(rose)
    board.set_gate_in(0, True)  # rest
    time.sleep(0.5)
    muted = len(ons(talker))
    pulses(board, 1, 3, 0.2)
    time.sleep(0.5)
    assert len(ons(talker)) == muted
    assert talker.end(signal.SIGTERM) == 0, talker.said
