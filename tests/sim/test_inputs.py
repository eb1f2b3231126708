"""Knobs and gate inputs through the real firmware."""

from __future__ import annotations

import random

import pytest

from host.wire import Configure, GateIn, Knob, Ping, Received
from tests.sim.conftest import Bench


def _knobs(received: list[Received]) -> list[Knob]:
    return [r.message for r in received if isinstance(r.message, Knob)]


def test_all_knobs_swept_end_to_end(bench: Bench) -> None:
    """Monotone, complete, ten bits, the ends exact; all eight at once."""
    for index in range(8):
        bench.sim.set_adc(index, 0 if index % 2 == 0 else 1023)
    bench.open()
    bench.host.run_us(20_000)
    values: dict[int, list[int]] = {index: [0 if index % 2 == 0 else 1023] for index in range(8)}
    for code in range(1024):
        for index in range(8):
            bench.sim.set_adc(index, code if index % 2 == 0 else 1023 - code)
        if code % 100 == 0:
            bench.host.send(Ping(code))
        for knob in _knobs(bench.host.run_us(4_000)):
            values[knob.index].append(knob.value)
    bench.host.send(Ping(0))
    for knob in _knobs(bench.host.run_us(100_000)):
        values[knob.index].append(knob.value)
    for index, seen in values.items():
        expected = sorted(seen, reverse=index % 2 == 1)
        assert seen == expected, index
        assert {min(seen), max(seen)} == {0, 1023}
        assert len(set(seen)) > 1000, "ten bits are kept"


@pytest.mark.parametrize("code", [0, 2, 300, 512, 1021, 1023])
def test_a_still_knob_is_silent_under_two_steps_of_noise(bench: Bench, code: int) -> None:
    rng = random.Random(code)
    for index in range(8):
        bench.sim.set_adc(index, code)
    bench.open()
    bench.host.run_us(50_000)
    for step in range(1500):
        for index in range(8):
            bench.sim.set_adc(index, min(1023, max(0, code + rng.randint(-2, 2))))
        if step % 400 == 0:
            bench.host.send(Ping(step))
        assert not _knobs(bench.host.run_us(430))


def test_a_turned_knob_follows_within_ten_milliseconds(bench: Bench) -> None:
    bench.open()
    worst = 0.0
    level = 0
    for target in (512, 1023, 900, 100, 0, 1000):
        for index in range(8):
            bench.sim.set_adc(index, target)
        bench.host.send(Ping(1))
        begin = bench.sim.cycle
        reached: dict[int, float] = {}
        for _ in range(80):
            for knob in _knobs(bench.host.run_us(250)):
                # Within what the hysteresis leaves open.
                if abs(knob.value - target) <= 6 and knob.index not in reached:
                    reached[knob.index] = (bench.sim.cycle - begin) / 16_000
        assert len(reached) == 8, (target, reached, bench.host.received[-9:])
        worst = max(worst, *reached.values())
        level = target
    assert level == 1000
    print(f"\nslowest knob: {worst:.2f} ms from the step to the message read")
    assert worst < 10


def test_a_bouncing_button_is_one_press(bench: Bench) -> None:
    bench.open()
    bench.host.send(Configure(3, 1, 20_000))
    bench.host.run_us(5_000)
    pressed_us = bench.sim.board_us(bench.sim.cycle)
    for level in (True, False, True, False, True):
        bench.sim.set_gate_in(1, level)
        bench.host.run_us(400)
    got = bench.host.received[-20:] + bench.host.run_us(60_000)
    edges = [
        r.message for r in got if isinstance(r.message, GateIn) and r.message.index == 1 and r.message.count
    ]
    assert [(e.high, e.count) for e in edges] == [(1, 1)]
    assert edges[0].time_us == pytest.approx(pressed_us, abs=10)


def test_short_clock_pulses_all_arrive(bench: Bench) -> None:
    """48 pulses a beat at 300 a minute, one millisecond long."""
    bench.open()
    got: list[Received] = []
    rises: list[float] = []
    for pulse in range(200):
        if pulse % 50 == 0:
            bench.host.send(Ping(pulse))
        rises.append(bench.sim.board_us(bench.sim.cycle))
        bench.sim.set_gate_in(0, True)
        got += bench.host.run_us(1_000)
        bench.sim.set_gate_in(0, False)
        got += bench.host.run_us(3_167)
    edges = [r.message for r in got if isinstance(r.message, GateIn) and r.message.index == 0]
    assert [e.high for e in edges] == [1, 0] * 200
    assert max(abs(edge.time_us - us) for edge, us in zip(edges[::2], rises, strict=True)) <= 10


def test_a_turned_knob_is_told_once_and_soon(bench: Bench) -> None:
    """No step between the old position and the new one: each would have everything planned again."""
    bench.open()
    bench.keep(50_000)
    rng, position = random.Random(1), 512
    for _ in range(60):
        bench.host.run_us(rng.uniform(30_000, 40_000))
        bench.host.send(Ping(0))
        position = (position + rng.randint(200, 800)) % 1024
        bench.sim.set_adc(0, position)
        soon, later = _knobs(bench.host.run_us(2_500)), _knobs(bench.host.run_us(15_000))
        assert len(soon) == 1 and abs(soon[0].value - position) <= 6 and later == []
