"""The driver's thread on real pseudo terminals, the real firmware behind them."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator

import pytest

from host import board as board_module
from host import board_ports, wire
from host.board import Board
from host.board_events import CvNote, GateLevel
from model.errors import NoonsongError
from tests.host.talk import ROOT
from tests.sim.sim_board import SimBoard
from tests.sim.simulator import Simulator

PATIENCE_S = 20.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll a condition of the running system: there is no lock step with a thread and a pty."""
    end = time.monotonic() + PATIENCE_S
    event = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {PATIENCE_S} s"
        event.wait(0.005)


@pytest.fixture
def sim_board() -> Iterator[SimBoard]:
    with SimBoard() as board:
        yield board


def test_connect_play_turn_and_close(sim_board: SimBoard) -> None:
    knobs: dict[int, float] = {}
    gates: dict[int, bool] = {}
    board = Board(
        sim_board.port,
        time.monotonic,
        lambda i, v, _: knobs.update({i: v}),
        lambda i, h, _: gates.update({i: h}),
    )
    try:
        assert board.wait_open(PATIENCE_S)
        sim_board.set_knob(3, 0.5)
        sim_board.set_gate_in(0, True)
        wait_for(lambda: abs(knobs.get(3, 0) - 0.5) < 0.01, "the knob")
        wait_for(lambda: gates.get(0) is True, "the gate")
        wait_for(lambda: board.status().counts.frames_received > 40, "pings")
        board.schedule(CvNote(1, 2.0), time.monotonic() + 0.1)
        wait_for(lambda: sim_board.sim.gates()[1], "the note")
        assert sim_board.sim.dac_writes[-1].dac_code == 2000
        status = board.status()
        assert (status.board, status.firmware, status.connected) == ("Nano", "0.2.1", True)
        assert status.round_trip_s > 0
    finally:
        board.close()
    wait_for(lambda: not sim_board.sim.gates()[1], "release on close")


def test_unplug_and_replug_under_another_name(sim_board: SimBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    present = [sim_board.port]
    monkeypatch.setattr(board_module, "candidates", lambda: list(present))
    board = Board(None, time.monotonic, on_state=said.append)
    try:
        assert board.wait_open(PATIENCE_S)
        board.schedule(GateLevel(0, True), time.monotonic() + 0.2)
        wait_for(lambda: sim_board.sim.gates()[0], "the gate")
        first = sim_board.port
        present.clear()
        sim_board.unplug()
        wait_for(lambda: any("is gone" in s for s in said), "the sentence about the unplug")
        wait_for(lambda: not any(sim_board.sim.gates()), "the gates' fall as the power goes")
        hold = pty.openpty()  # takes the old name, so that the board must come back under another one
        sim_board.plug()
        os.close(hold[0])
        os.close(hold[1])
        present.append(sim_board.port)
        assert sim_board.port != first
        wait_for(lambda: board.status().connected, "the reconnection")
        assert board.status().port == sim_board.port
    finally:
        board.close()


def test_what_is_called_back_may_hold_what_the_scheduler_holds(sim_board: SimBoard) -> None:
    """The box's scheduler sends under its lock, and a turned knob wants that lock: neither waits for ever."""
    theirs = threading.Lock()
    entered = threading.Event()
    had: list[bool] = []

    def turned(index: int, value: float, t_s: float) -> None:
        entered.set()
        had.append(theirs.acquire(timeout=PATIENCE_S / 2))
        if had[-1]:
            theirs.release()

    board = Board(sim_board.port, time.monotonic, turned)
    try:
        assert board.wait_open(PATIENCE_S)
        wait_for(lambda: len(had) >= 8, "every knob's first report")
        with theirs:
            entered.clear()
            sim_board.set_knob(0, 0.9)
            assert entered.wait(PATIENCE_S)
            board.schedule(GateLevel(0, True), time.monotonic() + 0.1)
        wait_for(lambda: sim_board.sim.gates()[0], "the gate")
        assert all(had)
    finally:
        board.close()


def test_two_boards_at_once_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with SimBoard() as one, SimBoard() as two:
        monkeypatch.setattr(board_module, "candidates", lambda: [one.port, two.port])
        first = Board(None, time.monotonic)
        assert first.wait_open(PATIENCE_S)
        second = Board(None, time.monotonic)
        try:
            assert second.wait_open(PATIENCE_S)
            assert {first.status().port, second.status().port} == {one.port, two.port}
        finally:
            first.close()
            second.close()


def test_a_port_without_a_board_is_passed_over(sim_board: SimBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    silent = os.ttyname(slave)
    monkeypatch.setattr(board_module, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(board_module, "candidates", lambda: [silent, "/dev/no-such-port", sim_board.port])
    board = Board(None, time.monotonic)
    try:
        assert board.wait_open(PATIENCE_S)
        assert board.status().port == sim_board.port
    finally:
        board.close()
        os.close(master)
        os.close(slave)


def test_a_stuck_line_and_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who never reads, and one who never stops talking: neither hangs the driver."""
    monkeypatch.setattr(board_module, "HANDSHAKE_S", 0.5)
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    said: list[str] = []
    board = Board(name, time.monotonic, on_state=said.append)
    stop = threading.Event()

    def flood() -> None:
        os.set_blocking(master, False)
        noise = bytes(range(256)) * 8
        while not stop.is_set():
            try:
                os.write(master, noise)
            except BlockingIOError:
                stop.wait(0.001)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_for(lambda: any("No board found" in s for s in said), "giving up on noise")
        assert not board.status().connected
    finally:
        began = time.monotonic()
        board.close()
        stop.set()
        thread.join()
        os.close(master)
        os.close(slave)
    assert time.monotonic() - began < 3


def test_calls_without_a_board_say_so() -> None:
    board = Board("/dev/no-such-board", time.monotonic)
    try:
        assert not board.wait_open(0.1)
        board.schedule(GateLevel(0, True), time.monotonic())
        with pytest.raises(NoonsongError, match="did not answer"):
            board.request(wire.ReadCalibration(0), wire.Calibration, timeout_s=0.05)
        with pytest.raises(NoonsongError, match="no setting 'sette'"):
            board.configure("sette", 1)
        wait_for(lambda: "No board found on /dev/no-such-board" in board.status().sentence, "the sentence")
    finally:
        board.close()


HOLDER = """
import sys, time
from host.board import Board
from host.board_events import GateLevel
board = Board(sys.argv[1], time.monotonic)
assert board.wait_open(20)
for channel in range(4):
    board.schedule(GateLevel(channel, True), time.monotonic() + 0.1)
print("held", flush=True)
time.sleep(60)
"""


def test_gates_fall_within_their_time_of_the_hosts_death(sim_board: SimBoard) -> None:
    for _ in range(3):
        host = subprocess.Popen(
            [sys.executable, "-c", HOLDER, sim_board.port], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert host.stdout is not None and host.stdout.readline() == b"held\n"
        wait_for(lambda: all(sim_board.sim.gates()), "four open gates")
        died_cycle = _kill(sim_board, host)
        wait_for(lambda: not any(sim_board.sim.gates()), "the fall")
        fall = [p.cycle for p in sim_board.sim.pins if not p.high and p.pin in range(4, 8)][-1]
        # In the board's own time: bytes of the dead host that still were on their way count for it.
        print(f"\ngates fell {(fall - died_cycle) / 16e6:.3f} s after the kill")
        assert (fall - died_cycle) / 16e6 <= 1.1


def _kill(sim_board: SimBoard, host: subprocess.Popen[bytes]) -> int:
    """SIGKILL while the board stands still; returns its cycle then."""
    cycles: list[int] = []

    def strike(sim: Simulator) -> None:
        host.send_signal(signal.SIGKILL)
        host.wait()
        cycles.append(sim.cycle)

    sim_board.at(strike)
    assert host.stdout is not None
    host.stdout.close()
    return cycles[0]


def test_candidates_are_usb_ports_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Info:
        def __init__(self, device: str, vid: int | None) -> None:
            self.device, self.vid = device, vid

    ports = [Info("/dev/ttyS0", None), Info("/dev/ttyUSB1", 0x1A86), Info("/dev/ttyACM0", 0x2341)]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    assert board_ports.candidates() == ["/dev/ttyACM0", "/dev/ttyUSB1"]
