"""The whole box: `noonsong play` on a pty to the real firmware in a simulated chip."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.board_events import ZERO_VOLT_PITCH
from host.outputs.cv import folded_volts
from tests.host.test_kill import ROOT
from tests.sim.sim_board import SimBoard
from tests.sim.simulator import CYCLES_PER_US, GATE_PINS, PinChange, Simulator

pytestmark = pytest.mark.xdist_group("board")  # one simulated board at a time: it needs a core


@pytest.fixture
def board() -> Iterator[SimBoard]:
    sim = SimBoard()
    for index in range(6):
        sim.set_knob(index, 0.5)
    yield sim
    sim.close()


def play(board: SimBoard, weights: Path, folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-W", "error", "-m", "host", "play", "--no-panel", "--port", "none"]
    command += ["--weights", str(weights), "--journal", str(folder / "j.sqlite"), "--seed", "2", "--events"]
    command += ["--board", board.port, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


def gate_changes(board: SimBoard) -> list[PinChange]:
    return board.at(lambda sim: [p for p in sim.pins if p.pin in GATE_PINS])


def wait_for_gates(board: SimBoard, count: int) -> None:
    deadline = time.monotonic() + 40
    while len(gate_changes(board)) < count:
        assert time.monotonic() < deadline, f"only {len(gate_changes(board))} gate changes"
        time.sleep(0.05)


def wait_until_said(process: "subprocess.Popen[bytes]", sentence: bytes) -> bytes:
    """Everything that the process says up to a line with the sentence."""
    assert process.stderr is not None
    said = b""
    while sentence not in said:
        line = process.stderr.readline()
        assert line, f"it ended without saying {sentence!r}: {said!r}"
        said += line
    return said


def test_notes_arrive_as_volts_then_gates(board: SimBoard, small_weights: Path, tmp_path: Path) -> None:
    process = play(board, small_weights, tmp_path)
    said = wait_until_said(process, b"is ready")
    wait_for_gates(board, len(gate_changes(board)) + 20)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=15)
    assert process.returncode == 0, (said + errors).decode()
    events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    volts = {round(folded_volts(e["pitch"], ZERO_VOLT_PITCH) * 1000) for e in events if e["event"] == "on"}
    changes, writes = gate_changes(board), board.at(lambda sim: list(sim.dac_writes))
    for change in (c for c in changes if c.high):
        channel = GATE_PINS.index(change.pin)
        before = [w for w in writes if w.channel == channel and w.cycle <= change.cycle]
        assert before, "a gate rose before its voltage was written"
        assert any(abs(before[-1].dac_code - v) <= 1 for v in volts)
    time.sleep(0.3)
    assert board.at(Simulator.gates) == (False,) * 4


def test_gates_fall_when_the_host_is_killed(board: SimBoard, small_weights: Path, tmp_path: Path) -> None:
    process = play(board, small_weights, tmp_path)
    wait_until_said(process, b"is ready")
    while not any(board.at(Simulator.gates)):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    killed_cycle = board.at(lambda sim: sim.cycle)
    process.communicate()
    time.sleep(1.6)
    assert board.at(Simulator.gates) == (False,) * 4
    last = gate_changes(board)[-1]
    assert (last.cycle - killed_cycle) / CYCLES_PER_US <= 1.1e6


def test_a_turned_knob_moves_its_control(board: SimBoard, small_weights: Path, tmp_path: Path) -> None:
    import sqlite3

    process = play(board, small_weights, tmp_path)
    wait_until_said(process, b"is ready")
    board.set_knob(0, 1.0)
    board.set_knob(1, 0.0)
    wait_for_gates(board, len(gate_changes(board)) + 4)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    db = sqlite3.connect(tmp_path / "j.sqlite")
    moves = db.execute("SELECT control, value FROM moves WHERE who = 'board' ORDER BY rowid").fetchall()
    db.close()
    last = dict(moves)
    assert last["temperature"] == pytest.approx(2.0)
    assert last["density"] is None  # lowest position: as you like
