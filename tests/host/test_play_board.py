"""The whole box: `noonsong play` on a pty to the real firmware in a simulated chip."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from host.board_events import ZERO_VOLT_PITCH
from host.outputs.cv import folded_volts
from tests.host.boxed import Play
from tests.host.talk import PATIENCE_S, Talker
from tests.sim.sim_board import SimBoard
from tests.sim.simulator import CYCLES_PER_US, GATE_PINS, PinChange, Simulator

pytestmark = pytest.mark.xdist_group("board")  # one simulated board at a time: it needs a core


def gate_changes(board: SimBoard) -> list[PinChange]:
    return board.at(lambda sim: [p for p in sim.pins if p.pin in GATE_PINS])


def wait_for_gates(board: SimBoard, more: int, talker: Talker) -> None:
    wanted = len(gate_changes(board)) + more
    talker.wait_until(lambda: len(gate_changes(board)) >= wanted)


def wait_until_low(board: SimBoard) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while any(board.at(Simulator.gates)):
        assert time.monotonic() < deadline, "a gate stayed open"
        time.sleep(0.02)


def test_notes_arrive_as_volts_then_gates(board: SimBoard, play: Play) -> None:
    talker = play("--events")
    wait_for_gates(board, 20, talker)
    assert talker.end(signal.SIGTERM) == 0, talker.said
    ons = [event for event in talker.events() if event["event"] == "on"]
    volts = {round(folded_volts(on["pitch"], ZERO_VOLT_PITCH) * 1000) for on in ons}
    changes, writes = gate_changes(board), board.at(lambda sim: list(sim.dac_writes))
    for change in (c for c in changes if c.high):
        channel = GATE_PINS.index(change.pin)
        before = [w for w in writes if w.channel == channel and w.cycle <= change.cycle]
        assert before, "a gate rose before its voltage was written"
        assert any(abs(before[-1].dac_code - v) <= 1 for v in volts)
    wait_until_low(board)


def test_gates_fall_when_the_host_is_killed(board: SimBoard, play: Play) -> None:
    talker = play()
    talker.wait_until(lambda: any(board.at(Simulator.gates)))
    talker.end(signal.SIGKILL)
    killed_cycle = board.at(lambda sim: sim.cycle)
    wait_until_low(board)
    last = gate_changes(board)[-1]
    assert (last.cycle - killed_cycle) / CYCLES_PER_US <= 1.1e6


def test_a_turned_knob_moves_its_control(board: SimBoard, play: Play, tmp_path: Path) -> None:
    talker = play()
    board.set_knob(0, 1.0)
    board.set_knob(1, 0.0)
    wait_for_gates(board, 4, talker)
    assert talker.end(signal.SIGTERM) == 0, talker.said
    db = sqlite3.connect(tmp_path / "j.sqlite")
    moves = db.execute("SELECT control, value FROM moves WHERE who = 'board' ORDER BY rowid").fetchall()
    db.close()
    last = dict(moves)
    assert last["temperature"] == pytest.approx(2.0)
    assert last["density"] is None  # lowest position: as you like


def test_pulled_and_plugged_in_again_and_again(board: SimBoard, play: Play) -> None:
    talker = play()
    for _ in range(4):
        wait_for_gates(board, 4, talker)
        board.unplug()
        wait_until_low(board)
        said = talker.wait_for("No board found")
        assert any("is gone" in sentence for sentence in said)
        board.plug()
        talker.wait_for("is ready")
    wait_for_gates(board, 4, talker)
    board.unplug()
    board.plug()  # at once: too quickly for anybody to see that it was gone
    wait_for_gates(board, 4, talker)
    assert talker.end(signal.SIGTERM) == 0, talker.said
    wait_until_low(board)
