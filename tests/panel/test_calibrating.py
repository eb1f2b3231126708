"""Calibration through the panel, answer by answer, with a simulated board and a simulated multimeter."""

import time
from functools import partial

import pytest

from host import wire
from host.board import Board
from host.panel.calibrating import Calibrating
from model.errors import NoonsongError
from tests.host.test_calibrate import OUTPUTS, _code
from tests.panel.conftest import wait_until
from tests.sim.sim_board import SimBoard

pytestmark = pytest.mark.xdist_group("board")


def test_an_output_is_right_after_eight_readings() -> None:
    channel = 0
    with SimBoard() as sim:
        board = Board(sim.port, time.monotonic)
        try:
            assert board.wait_open(20)
            calibrating = Calibrating(board)
            with pytest.raises(NoonsongError, match="no output 5"):
                calibrating.begin(4, time.monotonic())
            asked = calibrating.begin(channel, time.monotonic())
            with pytest.raises(NoonsongError, match="no voltage"):
                calibrating.read("what?", time.monotonic())
            steps = []
            while "volts" in asked:
                steps.append(asked["step"])
                wait_until(partial(_is_put_out, sim, channel, asked["volts"]), "the voltage is put out")
                asked = calibrating.read(f"{OUTPUTS[channel](_code(sim, channel)):.4f}", time.monotonic())
            assert steps == list(range(1, 9)) and asked["output"] == 1
            assert asked["before_cents"] > 10 and asked["after_cents"] <= 2
            assert calibrating.save()["says"] == "Stored in the board."
            told = board.request(wire.ReadCalibration(channel), wire.Calibration)
            assert isinstance(told, wire.Calibration) and told.state == 1 and told.at_4v < 0
        finally:
            board.close()
    with pytest.raises(NoonsongError, match="no board is connected"):
        calibrating.begin(0, time.monotonic())


def _is_put_out(sim: SimBoard, channel: int, volts: float) -> bool:
    """Whether an output has left the last voltage: it is off by its own error, not by a step."""
    return abs(OUTPUTS[channel](_code(sim, channel)) - volts) < 0.08
