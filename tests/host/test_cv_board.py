"""What each output says, through the driver, the wire and the real firmware in a simulated chip."""

import time
from collections.abc import Callable, Iterator

import pytest

from host.board import Board
from host.config import Board as BoardSettings
from host.events import ControlAt, NoteOff, NoteOn, Pulse, Transport
from host.outputs.cv import CvOutput
from host.outputs.gate_clock import GateClock
from model.tokens import DRUMS, VOICE_NAMES
from tests.host.playing import TABLE
from tests.host.test_board import PATIENCE_S, wait_for
from tests.sim.sim_board import SimBoard
from tests.sim.simulator import CYCLES_PER_US, GATE_PINS, DacWrite, PinChange

pytestmark = pytest.mark.xdist_group("board")
KEYS, BASS = VOICE_NAMES.index("keys"), VOICE_NAMES.index("bass")
MS = 1000 * CYCLES_PER_US
AHEAD_S = 0.15
LOADED_MS = (
    3  # between events of ours: a busy machine does not simulate at an even pace (test_timing.py does)
)


class Rig:
    """A board and the output that plays it."""

    def __init__(self, sim: SimBoard, board: Board, **settings: object) -> None:
        self.sim = sim
        self.output = CvOutput(board, BoardSettings(**settings), TABLE, time.monotonic)  # type: ignore[arg-type]
        self.began_cycle = sim.at(lambda s: s.cycle)

    def gates(self, channel: int) -> list[tuple[float, bool]]:
        """(milliseconds, level) of every change since the beginning."""
        pins: list[PinChange] = self.sim.at(lambda s: list(s.pins))
        pin = GATE_PINS[channel]
        return [
            ((p.cycle - self.began_cycle) / MS, p.high)
            for p in pins
            if p.pin == pin and p.cycle > self.began_cycle
        ]

    def codes(self, channel: int) -> list[tuple[float, int]]:
        """(milliseconds, converter code) of every write since the beginning."""
        writes: list[DacWrite] = self.sim.at(lambda s: list(s.dac_writes))
        return [
            ((w.cycle - self.began_cycle) / MS, w.dac_code)
            for w in writes
            if w.channel == channel and w.cycle > self.began_cycle
        ]


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    with SimBoard() as sim:
        board = Board(sim.port, time.monotonic)
        try:
            assert board.wait_open(PATIENCE_S)
            wait_for(lambda: board.status().counts.frames_received > 60, "the clocks compared")
            yield lambda **settings: Rig(sim, board, **settings)
        finally:
            board.close()


def test_pitch_velocity_trigger_gate_and_control(rig: Callable[..., Rig]) -> None:
    r = rig(
        cv=("pitch 1", "velocity 1", "control density", "gate 1"),
        gates=("gate 1", "trigger 1", "trigger drums", "off"),
        trigger_ms=8.0,
    )
    start_s = time.monotonic() + AHEAD_S
    r.output.send(ControlAt("density", 0.5), time.monotonic())
    r.output.send(NoteOn(KEYS, 48, 127), start_s)
    r.output.send(NoteOn(DRUMS, 38, 80), start_s + 0.02)
    r.output.send(NoteOff(KEYS, 48), start_s + 0.06)
    wait_for(lambda: len(r.gates(0)) == 2 and len(r.gates(2)) == 2, "the notes")
    (on_ms, on), (off_ms, off) = r.gates(0)
    assert on and not off and off_ms - on_ms == pytest.approx(60, abs=LOADED_MS)
    (trigger_ms, _), (trigger_end_ms, _) = r.gates(1)
    assert trigger_ms == pytest.approx(on_ms, abs=0.05)
    assert trigger_end_ms - trigger_ms == pytest.approx(8, abs=0.1)
    (drum_ms, _), (drum_end_ms, _) = r.gates(2)
    assert drum_ms - on_ms == pytest.approx(20, abs=LOADED_MS) and drum_end_ms - drum_ms == pytest.approx(
        8, abs=0.1
    )
    pitch_ms, pitch = r.codes(0)[-1]
    velocity_ms, velocity = r.codes(1)[-1]
    assert abs(pitch - 1000) <= 1 and abs(velocity - 4000) <= 1
    assert pitch_ms < on_ms and velocity_ms < on_ms
    assert abs(r.codes(2)[-1][1] - 2000) <= 1
    wait_for(lambda: len(r.codes(3)) >= 3, "the gate's voltage")
    high = [ms for ms, code in r.codes(3) if code > 3900]
    assert high == [pytest.approx(on_ms, abs=0.2)]
    assert list(r.codes(3)[-1]) == [pytest.approx(off_ms, abs=0.2), 0]


def test_a_stolen_line_closes_its_gate_before_the_next_note(rig: Callable[..., Rig]) -> None:
    r = rig(cv=("pitch 1",), gates=("gate 1",))
    start_s = time.monotonic() + AHEAD_S
    r.output.send(NoteOn(KEYS, 48, 90), start_s)
    r.output.send(NoteOn(BASS, 36, 90), start_s + 0.05)
    r.output.send(NoteOff(KEYS, 48), start_s + 0.06)  # long taken over
    r.output.send(NoteOff(BASS, 36), start_s + 0.1)
    wait_for(lambda: len(r.gates(0)) == 4, "both notes")
    (first, _), (closed, _), (second, _), (last, _) = r.gates(0)
    assert second - first == pytest.approx(50, abs=LOADED_MS) and last - first == pytest.approx(
        100, abs=LOADED_MS
    )
    assert 1.9 < second - closed < 3.0
    assert [code for _, code in r.codes(0)] == [pytest.approx(1000, abs=1), pytest.approx(0, abs=1)]


def test_slew_glides_on_the_board(rig: Callable[..., Rig]) -> None:
    r = rig(slew_ms=(100,), cv=("pitch 1",), gates=("gate 1",))
    start_s = time.monotonic() + AHEAD_S
    r.output.send(NoteOn(KEYS, 84, 90), start_s)
    wait_for(lambda: bool(r.codes(0)) and r.codes(0)[-1][1] >= 3999, "the glide's end")
    way = r.codes(0)
    codes = [code for _, code in way]
    assert codes == sorted(codes) and len(codes) > 50
    assert way[-1][0] - r.gates(0)[0][0] == pytest.approx(100, abs=3)


def test_nothing_stays_high_after_release_and_panic(rig: Callable[..., Rig]) -> None:
    r = rig(cv=("pitch 1", "gate 2", "pitch 2", "off"), gates=("gate 1", "gate 2", "gate 2", "trigger keys"))
    for stop in (r.output.release, r.output.panic):
        start_s = time.monotonic() + AHEAD_S
        r.output.send(NoteOn(KEYS, 48, 90), start_s)
        r.output.send(NoteOn(KEYS, 60, 90), start_s)
        wait_for(lambda: any(r.sim.at(lambda s: s.gates())), "gates")
        stop(time.monotonic())
        wait_for(lambda: not any(r.sim.at(lambda s: s.gates())) and r.codes(1)[-1][1] == 0, "silence")


def test_a_voltage_beats_the_clock(rig: Callable[..., Rig]) -> None:
    settings = {"cv": ("pitch 1", "clock", "reset"), "gates": ("gate 1", "off", "clock")}
    r = rig(**settings)
    clock = GateClock(r.output._board, BoardSettings(**settings), 24)  # type: ignore[arg-type]
    start_s = time.monotonic() + AHEAD_S
    clock.send(Transport("start", 0), start_s - 0.01)
    for tick in range(12):
        clock.send(Pulse(tick), start_s + tick / 50)
    wait_for(lambda: len(r.codes(1)) == 24 and len(r.gates(2)) == 24, "twelve pulses")
    begun = [ms for ms, code in r.codes(1) if code == 4000]
    ended = [ms for ms, code in r.codes(1) if code == 0]
    gates = [ms for ms, high in r.gates(2) if high]
    assert len(begun) == len(ended) == len(gates) == 12
    for high_ms, low_ms, gate_ms in zip(begun, ended, gates, strict=True):
        assert high_ms - gate_ms == pytest.approx(0, abs=LOADED_MS)
        assert low_ms - high_ms == pytest.approx(5, abs=LOADED_MS)
    assert [code for _, code in r.codes(2)] == [4000, 0]


def test_a_board_that_is_let_go_still_gets_what_was_due() -> None:
    with SimBoard() as sim:
        board = Board(sim.port, time.monotonic)
        assert board.wait_open(PATIENCE_S)
        wait_for(lambda: board.status().counts.frames_received > 60, "the clocks compared")
        settings = BoardSettings(cv=("gate 1",), gates=())
        output = CvOutput(board, settings, TABLE, time.monotonic)
        output.send(NoteOn(KEYS, 48, 90), time.monotonic())
        wait_for(lambda: sim.at(lambda s: [w.dac_code for w in s.dac_writes][-1:]) == [4000], "the note")
        output.close(time.monotonic())
        board.close()
        wait_for(lambda: sim.at(lambda s: s.dac_writes[-1].dac_code) == 0, "its end")
