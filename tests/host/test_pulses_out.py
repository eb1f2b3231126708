"""What followers count: pulses, and where they were told to begin."""

import pytest

from host.board_events import BoardEvent, CvLevel, GateLevel
from host.clock import Clock
from host.config import Board as BoardSettings
from host.events import Notice, Pulse, Transport
from host.outputs.gate_clock import PULSE_S, GateClock
from host.pulses_out import PulsesOut
from host.settings import Meter

BAR = Meter(0, 96)


class Stand:
    """A clock and its pulses in simulated time."""

    def __init__(self, tempo_bpm: float = 120.0, tick: float = -1.0) -> None:
        self.clock = Clock(tempo_bpm, tick, 0.0)
        self.events: list[tuple[float, Notice]] = []
        self.now_s = 0.0
        self.pulses = PulsesOut(self.clock, lambda event, due_s: self.events.append((due_s, event)))

    def run(self, seconds: float, meter: Meter = BAR) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.pulses.step(self.now_s, self.now_s + 0.03, meter)
            self.now_s += 0.01

    def follow(self) -> list[float]:
        """The ticks at which a follower believes each pulse to be, since it was told to go."""
        at: float | None = None
        believed = []
        for due_s, event in sorted(self.events, key=lambda pair: pair[0]):
            if isinstance(event, Transport):
                at = None if event.kind == "stop" else event.sixteenths * 6
            elif at is not None:
                believed.append(at - (self.clock.straight_at(due_s) if self.clock.running else 0))
                at += 1
        return believed


@pytest.mark.parametrize("tick", [0.0, 0.4, 7.0, 30.0, 95.9])
def test_a_follower_is_where_we_are_in_the_bar(tick: float) -> None:
    stand = Stand(tick=tick)
    stand.clock.run(0.0)
    stand.run(3.0)
    apart = [round(off % 96, 6) % 96 for off in stand.follow()]
    assert len(apart) > 100 and set(apart) == {0.0}


def test_a_start_at_the_bar_and_a_position_within_it() -> None:
    for tick, expected in ((90.0, Transport("start", 0)), (20.0, Transport("continue", 4))):
        stand = Stand(tick=tick)
        stand.clock.run(0.0)
        stand.run(0.5)
        said = next(event for _, event in stand.events if isinstance(event, Transport))
        assert said == expected
        due_s = next(due_s for due_s, event in stand.events if event == said)
        first_s = min(
            due_s for due_s, e in stand.events if isinstance(e, Pulse) and e.tick_in_bar is not None
        )
        assert 0.001 <= first_s - due_s < 0.02


def test_stopped_it_says_so_and_goes_on_telling_the_tempo() -> None:
    stand = Stand()
    stand.clock.run(0.0)
    stand.run(1.0)
    stand.clock.stop(stand.now_s)
    stand.events.clear()
    stand.run(2.0)
    assert [event for _, event in stand.events if isinstance(event, Transport)] == [Transport("stop", 0)]
    idle = [due_s for due_s, event in stand.events if event == Pulse(None)]
    assert len(idle) == pytest.approx(96, abs=3)
    stand.clock.run(stand.now_s)
    stand.run(1.0)
    assert [e.kind for _, e in stand.events if isinstance(e, Transport)] == ["stop", "continue"]


def test_another_place_is_told_anew() -> None:
    stand = Stand()
    stand.clock.run(0.0)
    stand.run(1.0)
    stand.clock.move_to(959.0, stand.now_s)
    stand.run(1.0)
    assert [e.kind for _, e in stand.events if isinstance(e, Transport)] == ["start", "stop", "start"]
    stand.run(1.0, Meter(30, 96))  # the bar line was put elsewhere
    assert len([e for _, e in stand.events if isinstance(e, Transport)]) == 5


def test_a_leader_that_waits_is_waited_for() -> None:
    """A place that is held, pulse after pulse arriving late, is no other place: nothing is told twice."""
    stand = Stand()
    stand.clock.run(0.0)
    stand.run(1.0)
    held = stand.clock.straight_at(stand.now_s)
    for pulse in range(20):
        for _ in range(12):  # a pulse of six ticks takes 0.125 s
            stand.clock.aim(held + 6 * pulse, 48.0, stand.now_s)
            stand.run(0.01)
    ticks = [e.tick_in_bar for _, e in stand.events if isinstance(e, Pulse) and e.tick_in_bar is not None]
    assert ticks == [tick % 96 for tick in range(len(ticks))]
    assert [e.kind for _, e in stand.events if isinstance(e, Transport)] == ["start"]


@pytest.mark.parametrize("tempo_bpm", [20.0, 300.0])
def test_tempo_changes_lose_no_pulse(tempo_bpm: float) -> None:
    stand = Stand()
    stand.clock.run(0.0)
    for bpm in (120.0, tempo_bpm, 90.0, tempo_bpm):
        stand.clock.set_tempo(bpm, stand.now_s)
        stand.run(2.0)
    ticks = [e.tick_in_bar for _, e in stand.events if isinstance(e, Pulse) and e.tick_in_bar is not None]
    assert ticks == [tick % 96 for tick in range(len(ticks))]
    assert [e.kind for _, e in stand.events if isinstance(e, Transport)] == ["start"]


class Gates:
    sessions = 1

    def __init__(self) -> None:
        self.events: list[tuple[float, BoardEvent]] = []

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        self.events.append((due_s, event))

    def release_all(self) -> None:
        pass


@pytest.mark.parametrize("pulses", [1, 2, 4, 8, 24])
def test_clock_and_reset_on_gates(pulses: int) -> None:
    stand, board = Stand(tick=20.0), Gates()
    stand.clock.run(0.0)
    stand.run(4.0)
    settings = BoardSettings(cv=("off", "clock"), gates=("gate 1", "clock", "off", "reset"), offset_ms=5.0)
    output = GateClock(board, settings, pulses)
    assert output.wanted and output.offset_s == 0.005
    for due_s, event in stand.events:
        output.send(event, due_s)
    clocks = [due_s for due_s, e in board.events if isinstance(e, GateLevel) and e.channel == 1]
    levels = [(due_s, e.volts) for due_s, e in board.events if isinstance(e, CvLevel) and e.channel == 1]
    assert levels == [x for due_s in clocks for x in ((due_s, 4.0), (due_s + PULSE_S, 0.0))]
    resets = [due_s for due_s, e in board.events if isinstance(e, GateLevel) and e.channel == 3]
    gaps = [b - a for a, b in zip(clocks, clocks[1:], strict=False)]
    assert gaps == pytest.approx([0.5 / pulses] * len(gaps), abs=1e-6) and len(gaps) >= 3
    assert resets == pytest.approx([76 / 48], abs=1e-6)  # the first bar line, once
    assert output.faults == 0
