"""`noonsong board` and `noonsong sim-board` as a player runs them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from host import board_command
from model.errors import NoonsongError
from tests.host.talk import ROOT
from tests.sim.sim_board import SimBoard, command


def test_report_and_outputs() -> None:
    with SimBoard() as sim:
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "host",
                "board",
                "--board",
                sim.port,
                "--json",
                "--do",
                "v 1 2.5",
                "--do",
                "g 2 on",
            ],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        report = json.loads(run.stdout)
        assert report["board"] == "Nano" and report["connected"]
        assert len(report["knobs"]) == 8 and report["gate_inputs"] == [False, False]
        assert report["line"]["bad_frames"] == 0
        assert any(w.channel == 0 and w.dac_code == 2500 for w in sim.sim.dac_writes)
        assert any(p.pin == 5 and p.high for p in sim.sim.pins)


def test_no_board_is_a_sentence() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "host", "board", "--board", "/dev/no-such-port", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 2
    assert "No board found on /dev/no-such-port" in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize("line", ["x", "v 1", "v one 2", "g 1 maybe", "n 1", "v 9 2"])
def test_what_is_not_understood_is_named(line: str) -> None:
    class NoBoard:
        def schedule(self, event: object, due_s: float) -> None:
            raise NoonsongError("The board has channels 0 to 3, not 8.")

    with pytest.raises(NoonsongError):
        board_command.perform(NoBoard(), line, 0.0)  # type: ignore[arg-type]


def test_typed_lines_drive_the_simulated_board() -> None:
    with SimBoard() as sim:
        gates = [False, False]
        assert "knob b" in command(sim, "b 75", gates)
        assert command(sim, "1", gates) == "gate input 1 high"
        assert "number" in command(sim, "b x", gates)
        assert "unplugged" in command(sim, "u", gates)
        assert "plugged in" in command(sim, "u", gates)
        assert "reset" in command(sim, "r", gates)
        assert "Type:" in command(sim, "?", gates)
