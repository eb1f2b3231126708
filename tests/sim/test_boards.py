"""Other boards than the Nano, each image run: the same music from other pins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from host.wire import GateIn, Knob, Note, Ping, Received
from tests.sim.conftest import Bench
from tests.sim.simulator import LockStepHost, Simulator

UP = (1, 0, 2, 3)  # the encoder's phases of one click


def booted(target: str) -> Iterator[Bench]:
    with Simulator(target=target) as sim:
        yield Bench(sim, LockStepHost(sim))


@pytest.fixture
def mega() -> Iterator[Bench]:
    yield from booted("megaatmega2560")


@pytest.fixture
def qcvg() -> Iterator[Bench]:
    yield from booted("qcvg")


def test_a_mega_plays_a_chord(mega: Bench) -> None:
    welcome = mega.open()
    assert (welcome.board, welcome.knobs, welcome.cv_inputs) == (3, 6, 2)
    due_us = mega.now_us + 20_000
    for channel in range(4):
        mega.host.send(Note(channel, 0, due_us, (channel + 1) * 8000, length_us=30_000))
    mega.host.run_us(40_000)
    assert mega.sim.gates() == (True,) * 4
    codes = {write.channel: write for write in mega.sim.dac_writes}
    assert [codes[channel].dac_code for channel in range(4)] == [500, 1000, 1500, 2000]
    rises = {pin.pin: pin.cycle for pin in mega.sim.pins if pin.high and pin.pin in range(4, 8)}
    for channel in range(4):
        assert codes[channel].cycle < rises[4 + channel], "voltage before gate"
        assert abs(mega.sim.board_us(rises[4 + channel]) - due_us) <= 50
    mega.host.run_us(30_000)
    assert mega.sim.gates() == (False,) * 4


def test_a_megas_inputs(mega: Bench) -> None:
    mega.open()
    mega.host.run_us(20_000)
    for index in range(8):
        mega.sim.set_adc(index, 100 * (index + 1))
    mega.sim.set_gate_in(1, True)
    got = mega.host.run_us(60_000)
    values = {r.message.index: r.message.value for r in got if isinstance(r.message, Knob)}
    assert values == {index: pytest.approx(100 * (index + 1), abs=6) for index in range(8)}
    assert any(isinstance(r.message, GateIn) and r.message.index == 1 and r.message.high for r in got)


def test_the_qcvgs_encoder_turns_the_first_knob(qcvg: Bench) -> None:
    qcvg.open()
    qcvg.sim.set_adc(0, 900)  # nothing is connected there: it is not to be heard
    qcvg.keep(100_000)
    settled = last_knob(qcvg.host.received)
    for _ in range(10):
        click(qcvg, UP)
    qcvg.keep(100_000)
    assert last_knob(qcvg.host.received) - settled == pytest.approx(120, abs=3)
    for _ in range(100):
        click(qcvg, (*reversed(UP[:-1]), UP[-1]))
    qcvg.keep(100_000)
    assert last_knob(qcvg.host.received) == 0


def test_the_qcvgs_button_is_a_gate(qcvg: Bench) -> None:
    assert qcvg.open().gate_inputs == 1
    qcvg.host.run_us(20_000)
    qcvg.sim.set_pin(12, False)
    got = qcvg.host.run_us(20_000)
    assert [(r.message.index, r.message.high) for r in got if isinstance(r.message, GateIn)] == [(0, 1)]


def click(bench: Bench, phases: tuple[int, ...]) -> None:
    """Turn by one, quickly; the host shows that it lives."""
    for phase in phases:
        bench.sim.set_pin(2, bool(phase & 2))
        bench.sim.set_pin(3, bool(phase & 1))
        bench.keep(500, Ping(1))


def last_knob(received: list[Received]) -> int:
    return [r.message.value for r in received if isinstance(r.message, Knob) and r.message.index == 0][-1]
