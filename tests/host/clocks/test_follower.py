"""Jitter, ramps and jumps of tempo: how far the followed beats lie from the true ones."""

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.clocks.follower import PulseFollower

AHEAD_S = 0.015  # notes become final this long before they are due


def pulse_times(tempo_at: Callable[[float], float], seconds: float, ppqn: int = 24) -> list[float]:
    """True times of pulses under a tempo that changes with time."""
    times_s = np.arange(0.0, seconds, 1e-3)
    tempos = np.array([tempo_at(float(t_s)) for t_s in times_s])
    pulses = np.concatenate([[0.0], np.cumsum((tempos[1:] + tempos[:-1]) / 2 / 60 * ppqn * 1e-3)])
    return [float(t_s) for t_s in np.interp(np.arange(int(pulses[-1]) + 1), pulses, times_s)]


def ramp(ramp_s: float, low: float = 60.0, high: float = 180.0) -> Callable[[float], float]:
    """Steady, up, steady, down, steady."""

    def tempo_at(t_s: float) -> float:
        up, down = (t_s - 5) / ramp_s, (t_s - 10 - ramp_s) / ramp_s
        return low + (high - low) * (min(max(up, 0), 1) - min(max(down, 0), 1))

    return tempo_at


def errors_s(true: list[float], heard: list[float], ppqn: int = 24, warm: int = 48) -> list[float]:
    """At the moment each pulse's note becomes final: when it is believed to be due, less when it truly is."""
    follower, fed, out = PulseFollower(ppqn, 100.0), 0, []
    for number, due_s in enumerate(true):
        while fed < len(heard) and heard[fed] <= due_s - AHEAD_S:
            follower.pulse(heard[fed])
            fed += 1
        if number >= warm:
            now_s = due_s - AHEAD_S
            believed_s = now_s + (number - follower.pulses_at(now_s)) / follower.pulses_per_s(now_s)
            out.append(believed_s - due_s)
    return out


def p99(values: list[float]) -> float:
    return sorted(map(abs, values))[int(len(values) * 0.99)]


@pytest.mark.parametrize("ramp_s", [4.0, 8.0, 20.0])
@pytest.mark.parametrize("seed", range(3))
def test_ramps_with_two_ms_of_jitter(ramp_s: float, seed: int) -> None:
    rng = random.Random(seed)
    true = pulse_times(ramp(ramp_s), 15 + 2 * ramp_s)
    heard = sorted(t + rng.uniform(-0.002, 0.002) for t in true)
    found = errors_s(true, heard)
    print(f"ramp {ramp_s} s: p99 {p99(found) * 1e3:.2f} ms, worst {max(map(abs, found)) * 1e3:.2f} ms")
    assert p99(found) <= 0.003


def test_a_single_late_pulse_hardly_moves_the_beat() -> None:
    """A machine that stood still for 15 ms makes a pulse late; the next are right."""
    true = pulse_times(lambda _: 120.0, 30)
    rng = random.Random(1)
    heard = [t + rng.uniform(-0.001, 0.001) for t in true]
    for number in range(100, len(heard), 100):
        heard[number] += 0.015
    assert max(map(abs, errors_s(true, heard))) < 0.003


def test_a_clean_clock_is_followed_exactly() -> None:
    true = pulse_times(lambda _: 137.0, 10)
    assert max(map(abs, errors_s(true, true))) < 2e-4


@pytest.mark.parametrize("ppqn", [1, 2, 4, 8, 24, 48])
def test_every_pulse_rate(ppqn: int) -> None:
    true = pulse_times(lambda _: 93.0, 40, ppqn)
    rng = random.Random(ppqn)
    found = errors_s(true, sorted(t + rng.uniform(0, 5e-4) for t in true), ppqn, warm=4)
    assert p99(found) < 0.0025


@pytest.mark.parametrize("ppqn", [1, 4, 24])
@pytest.mark.parametrize("seed", range(8))
def test_after_a_jump_of_tempo_it_is_soon_there(ppqn: int, seed: int) -> None:
    """Within two beats; with a pulse a beat within five."""
    rng = random.Random(seed)
    before, after = rng.uniform(30, 280), rng.uniform(30, 280)
    true = pulse_times(lambda t_s: before if t_s < 10 else after, 10 + 8 * 60 / after, ppqn)
    follower = PulseFollower(ppqn, 120.0)
    for t_s in sorted(t + rng.uniform(-0.0005, 0.0005) for t in true):
        follower.pulse(t_s)
        if t_s > 10 + max(2 * 60 / after, 6 * 60 / after / ppqn):
            assert follower.tempo_bpm == pytest.approx(after, rel=0.06)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 0.6), min_size=2, max_size=80), st.sampled_from([1, 4, 24]))
def test_whatever_comes_each_pulse_counts_once(gaps: list[float], ppqn: int) -> None:
    follower = PulseFollower(ppqn, 120.0)
    t_s = 0.0
    for number, gap in enumerate(gaps):
        t_s += gap
        follower.pulse(t_s)
        assert follower.count == number
        assert 9.9 <= follower.tempo_bpm <= 601
        assert follower.pulses_per_s(t_s) > 0


def test_positions_grow_between_pulses() -> None:
    rng = random.Random(1)
    true = pulse_times(ramp(3.0), 20)
    follower = PulseFollower(24, 60.0)
    for now_s, next_s in itertools.pairwise(true):
        follower.pulse(now_s + rng.uniform(-0.002, 0.002))
        at = [follower.pulses_at(now_s + (next_s - now_s) * part / 8) for part in range(1, 9)]
        assert at == sorted(at)


def test_expected_pulse_is_taken_as_it_comes() -> None:
    follower = PulseFollower(24, 120.0)
    for number in range(50):
        follower.pulse(number / 48)
    follower.expect(0)
    follower.pulse(1.777)
    assert follower.count == 0
    assert follower.pulses_at(1.777) == pytest.approx(0.0, abs=1e-9)
    assert follower.tempo_bpm == pytest.approx(120.0, rel=1e-3)


def test_a_stalled_receiver_does_not_lose_count() -> None:
    """Pulses that waited 150 ms for us come in a bunch; soon after the position is right again."""
    true = pulse_times(lambda _: 120.0, 6)
    follower = PulseFollower(24, 120.0)
    for t_s in true:
        follower.pulse(max(t_s, 3.15) if 3.0 <= t_s <= 3.15 else t_s)
        if t_s > 4.0 and t_s < 5.9:
            assert abs(follower.pulses_at(t_s) - t_s * 48) < 0.1
    assert follower.count == len(true) - 1
