"""Every pitch from 0 to 4 V on every channel, calibrated and not; the calibration's keeping."""

from __future__ import annotations

import pytest

from host.wire import (
    Ack,
    Calibration,
    Configure,
    Cv,
    Knob,
    Ping,
    ReadCalibration,
    SaveCalibration,
    Saved,
    WriteCalibration,
)
from tests.sim.conftest import Bench
from tests.sim.simulator import LockStepHost, Simulator

# Levels to add at 0 to 4 V: an offset, a gain, a bend, and the most that is taken.
TABLES = (
    (-160, -160, -160, -160, -160),
    (0, 80, 160, 240, 320),
    (0, 90, -40, 300, 17),
    (4000, -4000, 0, 4000, -4000),
)


def _ideal(level: int, table: tuple[int, ...]) -> float:
    octave = min(level // 16_000, 3)
    part = level / 16_000 - octave
    corrected = level + table[octave] + (table[octave + 1] - table[octave]) * part
    return min(max(corrected / 16, 0.0), 4095.0)


def _sweep(bench: Bench) -> dict[int, dict[int, int]]:
    """The code each channel gives for each level; every 1/192 octave (6.25 cents), and every millivolt."""
    levels = sorted({round(i * 16_000 / 192) for i in range(4 * 192 + 1)} | set(range(0, 65_536, 16)))
    found: dict[int, dict[int, int]] = {channel: {} for channel in range(4)}
    for first in range(0, len(levels), 3):
        asked = [(channel, level) for level in levels[first : first + 3] for channel in range(4)]
        bench.sim.dac_writes.clear()
        due = bench.now_us + 4_500
        for order, (channel, level) in enumerate(asked):
            bench.host.send(Cv(channel, due + order * 60, level))
        bench.host.run_us(5_600)
        assert len(bench.sim.dac_writes) == len(asked)
        for (channel, level), write in zip(asked, bench.sim.dac_writes, strict=True):
            assert write.channel == channel
            found[channel][level] = write.dac_code
    return found


@pytest.mark.parametrize("calibrated", [False, True])
def test_every_pitch_within_a_step(bench: Bench, calibrated: bool) -> None:
    bench.open()
    tables = TABLES if calibrated else ((0,) * 5,) * 4
    if calibrated:
        for channel, table in enumerate(tables):
            bench.host.send(WriteCalibration(channel, *table))
        bench.host.run_us(5_600)
    found = _sweep(bench)
    worst = 0.0
    for channel, codes in found.items():
        worst = max(worst, *(abs(code - _ideal(level, tables[channel])) for level, code in codes.items()))
        if not calibrated:
            assert sorted(set(codes.values())) == list(range(4096)), "every code of the DAC is reachable"
    print(f"\ncalibrated={calibrated}: worst {worst:.2f} steps over {len(found[0])} levels on 4 channels")
    assert worst <= 1


def test_calibration_survives_a_reset_and_damage_falls_back(bench: Bench) -> None:
    bench.open()
    bench.host.send(WriteCalibration(2, 1, -2, 3, -4, 5))
    bench.host.send(SaveCalibration(0))
    got = bench.keep(400_000, Ping(1))
    assert [r.message for r in got if isinstance(r.message, Saved)] == [Saved(1)]
    bench.sim.reset()
    bench.host = LockStepHost(bench.sim)
    assert bench.open().calibration == 1
    bench.host.send(ReadCalibration(2))
    got = bench.host.run_us(5_600)
    assert [r.message for r in got if isinstance(r.message, Calibration)] == [
        Calibration(2, 1, 1, -2, 3, -4, 5)
    ]

    stored = bench.sim.read_eeprom(46)
    bench.sim.write_eeprom(bytes([stored[20] ^ 4]), 20)
    bench.sim.reset()
    bench.host = LockStepHost(bench.sim)
    assert bench.open().calibration == 2
    bench.host.send(ReadCalibration(2))
    got = bench.host.run_us(5_600)
    assert [r.message for r in got if isinstance(r.message, Calibration)] == [
        Calibration(2, 2, 0, 0, 0, 0, 0)
    ]


def test_events_are_on_time_while_the_eeprom_is_written(bench: Bench) -> None:
    bench.open()
    for channel, table in enumerate(TABLES):
        bench.host.send(WriteCalibration(channel, *table))
    bench.host.send(SaveCalibration(0))
    bench.host.run_us(5_600)
    dues = []
    for i in range(20):
        due = bench.now_us + 5_000
        dues.append(due)
        bench.host.send(Cv(0, due, 16 * (500 + i)))
        got = bench.host.run_us(6_000)
        assert any(isinstance(r.message, Ack) for r in got)
    errors = [bench.sim.board_us(w.cycle) - due for w, due in zip(bench.sim.dac_writes, dues, strict=True)]
    assert max(map(abs, errors)) <= 30


def test_every_converter_code_of_the_knobs_is_read() -> None:
    """Without hysteresis the value is the code itself, stretched over the two steps cut off at each end."""
    with Simulator() as sim:
        bench = Bench(sim, LockStepHost(sim))
        bench.open()
        bench.host.send(Configure(4, 0, 0))
        seen: dict[int, int] = {}
        for code in range(0, 1024):
            sim.set_adc(3, code)
            if code % 50 == 0:
                bench.host.send(Ping(code))
            for received in bench.host.run_us(14_000 if code == 0 else 9_000):
                if isinstance(received.message, Knob) and received.message.index == 3:
                    seen[code] = received.message.value
        value = 0
        for code in range(1024):
            value = seen.get(code, value)
            ideal = min(max((code - 2) * 1023 / 1019, 0), 1023)
            assert abs(value - ideal) <= 1.1, code
