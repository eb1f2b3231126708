"""The gates fall when nobody holds them any more: silence, reset, a hung program."""

from __future__ import annotations

from host.wire import (
    CAPABILITIES,
    CONFIGURE_KEYS,
    FAILSAFE,
    LED_DARK,
    LED_LIT,
    LED_OWN,
    Configure,
    Cv,
    Hello,
    Note,
    Ping,
    Refused,
    Status,
    Welcome,
)
from tests.sim.conftest import Bench
from tests.sim.simulator import CYCLES_PER_US, GATE_PINS, LED_PIN, LockStepHost


def _hold(bench: Bench) -> None:
    bench.open()
    due = bench.now_us + 5_000
    for channel in range(4):
        bench.host.send(Note(channel, 0, due, 16_000 * (channel + 1) - 16_000))
    bench.host.run_us(15_000)
    assert bench.sim.gates() == (True,) * 4


def test_silence_of_the_host(bench: Bench) -> None:
    _hold(bench)
    writes = len(bench.sim.dac_writes)
    last = bench.sim.cycle
    got = bench.host.run_us(1_500_000)
    falls = [p.cycle for p in bench.sim.pins if p.pin in GATE_PINS and not p.high and p.cycle > last]
    assert len(falls) == 4 and len(set(falls)) == 1
    silent_us = (falls[0] - last) / CYCLES_PER_US
    print(f"\ngates fell {silent_us / 1e6:.3f} s after the last frame's end at the latest")
    assert silent_us <= 1_100_000
    assert len(bench.sim.dac_writes) == writes, "voltages are held"
    status = [r.message for r in got if isinstance(r.message, Status)]
    assert status[-1].flags & FAILSAFE and status[-1].gates_out == 0
    # And it says so: the LED blinks fast.
    blinks = [p for p in bench.sim.pins if p.pin == LED_PIN and p.cycle > falls[0]]
    assert len(blinks) >= 2


def test_a_dead_host_mid_frame_and_with_events_planned(bench: Bench) -> None:
    _hold(bench)
    bench.host.send(Note(0, 0, bench.now_us + 1_500_000, 1))
    bench.sim.feed(b"\x05\x12\x34")
    bench.host.run_us(1_200_000)
    assert bench.sim.gates() == (False,) * 4
    bench.host.run_us(1_000_000)
    assert bench.sim.gates() == (False,) * 4, "what was planned is forgotten"


def test_frames_without_a_session_are_refused(bench: Bench) -> None:
    bench.host.run_us(30_000)
    bench.host.send(Note(0, 0, bench.now_us + 3_000, 1))
    got = bench.host.run_us(20_000)
    assert [r.message for r in got if isinstance(r.message, Refused)] == [Refused(0, 5, Note.TYPE)]
    assert bench.sim.gates() == (False,) * 4


def test_reset_in_mid_note(bench: Bench) -> None:
    _hold(bench)
    bench.sim.reset()
    got = bench.host.run_us(50_000)
    welcomes = [r.message for r in got if isinstance(r.message, Welcome)]
    assert welcomes and not welcomes[0].session_open and welcomes[0].reset_cause & 2
    assert bench.sim.gates() == (False,) * 4
    bench.host.send(Cv(0, bench.now_us, 1))  # an old session's event does nothing
    got = bench.host.run_us(10_000)
    assert any(isinstance(r.message, Refused) for r in got)


def test_reset_while_a_byte_arrives(bench: Bench) -> None:
    bench.open()
    bench.host.send(Ping(1))
    bench.host.run_us(30)  # a byte takes 20
    bench.sim.reset()
    bench.host = LockStepHost(bench.sim)
    assert bench.open().reset_cause & 2


def test_a_hung_program_is_restarted_with_its_gates_low(bench: Bench) -> None:
    _hold(bench)
    # The main loop runs into a jump to itself; interrupts go on, as with a real endless loop.
    while bench.sim.read_flash(bench.sim.pc, 2) == b"\xff\xff":
        bench.sim.run_us(1)
    here = bench.sim.pc
    saved = bench.sim.read_flash(here, 2)
    bench.sim.write_flash(here, b"\xff\xcf")
    began = bench.sim.cycle
    bench.host.run_us(200_000)
    assert bench.sim.gates() == (True,) * 4
    bench.host.run_us(150_000)
    falls = [p.cycle for p in bench.sim.pins if p.pin in GATE_PINS and not p.high and p.cycle > began]
    assert len(falls) >= 4
    assert (max(falls[:4]) - began) / CYCLES_PER_US < 300_000
    bench.sim.write_flash(here, saved)
    bench.host = LockStepHost(bench.sim)
    assert bench.open().reset_cause == 8


def test_a_living_host_keeps_its_gates(bench: Bench) -> None:
    _hold(bench)
    for token in range(30):
        bench.host.send(Ping(token))
        bench.host.run_us(100_000)
    assert bench.sim.gates() == (True,) * 4


def test_the_led_tells_what_the_host_says_while_the_host_is_there(bench: Bench) -> None:
    welcome = bench.open()
    assert welcome.capabilities & CAPABILITIES["led"]

    def led() -> bool:
        bench.host.run_us(5_000)
        return bench.sim.levels.get(LED_PIN, False)

    key = CONFIGURE_KEYS["led"]
    assert led()  # playing
    for order, lit in (
        (LED_DARK, False),
        (LED_LIT, True),
        (LED_DARK, False),
        (LED_OWN, True),
        (LED_DARK, False),
    ):
        bench.host.send(Configure(key, 0, order))
        assert led() is lit
    bench.host.send(Configure(key, 0, 3))
    got = bench.host.run_us(5_000)
    assert [r.message.reason for r in got if isinstance(r.message, Refused)] == [3] and not led()
    bench.host.send(Hello())  # another host knows nothing of it
    assert led()
    bench.host.send(Configure(key, 0, LED_DARK))
    assert not led()
    began = bench.sim.cycle
    bench.host.run_us(1_800_000)  # silence: the board's own state counts again
    assert len([p for p in bench.sim.pins if p.pin == LED_PIN and p.cycle > began]) >= 2
