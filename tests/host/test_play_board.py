"""The whole box: `noonsong play` on a pty to the real firmware in a simulated chip."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from host.board_events import ZERO_VOLT_PITCH
from host.controls import control_table
from host.outputs.cv import folded_volts
from host.presets import Presets
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


def test_a_knob_goes_through_the_presets(board: SimBoard, play: Play, tmp_path: Path) -> None:
    table = control_table()
    said: list[str] = []
    presets = Presets(tmp_path / "presets.json", table, said.append)
    for slot, temperature in {2: 0.4, 7: 0.8, 90: 1.2}.items():
        presets.save(slot, f"at {temperature}", {"temperature": temperature})
    board.set_knob(3, 0.1)
    talker = play(
        config='[board]\nknobs = ["", "", "", "preset"]\n[controls]\nmorph = 0.3\ntemperature = 1.5'
    )

    wait_for_gates(board, 2, talker)

    def temperatures() -> list[tuple[float, str]]:
        db = sqlite3.connect(tmp_path / "j.sqlite")
        rows = db.execute(
            "SELECT value, who FROM moves WHERE control = 'temperature' ORDER BY rowid"
        ).fetchall()
        db.close()
        return rows

    for position, slot, temperature in ((0.5, 7, 0.8), (0.95, 90, 1.2), (0.05, 2, 0.4)):
        board.set_knob(3, position)
        there = (pytest.approx(temperature), f"preset {presets.at(slot).name}")
        talker.wait_until(lambda there=there: temperatures()[-1:] == [there])  # type: ignore[misc]
    board.set_knob(3, 0.1)  # stays in its part of the way
    wait_for_gates(board, 4, talker)
    moves = temperatures()
    assert talker.end(signal.SIGTERM) == 0, talker.said
    assert temperatures() == moves
    assert moves[0][0] < 1.5  # not at the start: by the first turn, and on the way
    assert len([who for _, who in moves if who == "preset at 1.2"]) in (2, 3)  # over 0.3 s


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
