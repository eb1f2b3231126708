"""The host's end against the real firmware in lock step: a clock offset, losses, restarts, other protocols."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from host import wire
from host.board_clock import BoardClock
from host.board_events import CvLevel, CvNote, GateLevel, pitch_to_volts
from host.board_session import OLDEST_STAMP_S, BoardSession
from model.errors import NoonsongError
from tests.sim.simulator import CYCLES_PER_US, GATE_PINS, Simulator

STEP_US = 500


class Rig:
    """A session and a board whose clock runs `drift_ppm` fast against the session's."""

    def __init__(self, drift_ppm: float = 0.0, damage: Callable[[bytes], bytes] = bytes) -> None:
        self.sim = Simulator()
        self.drift = 1 + drift_ppm * 1e-6
        self.damage = damage
        self.stood_s = 0.0
        self.knobs: list[tuple[int, float, float]] = []
        self.gates: list[tuple[int, bool, float]] = []
        self.said: list[str] = []
        self.session = BoardSession(
            lambda i, v, t: self.knobs.append((i, v, t)),
            lambda i, h, t: self.gates.append((i, h, t)),
            self.said.append,
        )
        self.session.connected("the test", self.now_s)

    @property
    def now_s(self) -> float:
        return 1000.0 + self.sim.cycle / 16e6 / self.drift + self.stood_s

    def at(self, cycle: int) -> float:
        return 1000.0 + cycle / 16e6 / self.drift

    def run(self, seconds: float) -> None:
        end = self.now_s + seconds
        while self.now_s < end:
            out = self.session.poll(self.now_s)
            if out:
                self.sim.feed(self.damage(out))
            self.sim.run_us(STEP_US)
            self.session.feed(self.damage(self.sim.take_transmitted()), self.now_s)

    def stand_still(self, seconds: float) -> None:
        """The host goes on, the board does not."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.sim.feed(self.damage(self.session.poll(self.now_s)))
            self.stood_s += STEP_US * 1e-6

    def rises(self, channel: int) -> list[float]:
        return [self.at(p.cycle) for p in self.sim.pins if p.pin == GATE_PINS[channel] and p.high]


def test_notes_land_on_our_clock_whatever_the_resonator() -> None:
    for drift in (0.0, 4000.0, -4000.0):
        rig = Rig(drift)
        rig.run(1.5)
        assert rig.session.open
        dues = [rig.now_s + 0.3 + i * 0.05 for i in range(20)]
        for due in dues:
            rig.session.schedule(CvNote(2, 1.25, 0.02), due)
        rig.run(1.6)
        errors = [rise - due for rise, due in zip(rig.rises(2), dues, strict=True)]
        assert rig.session.clock.drift_ppm == pytest.approx(drift, abs=150)
        # Half a lock step of one-way delay is not told apart from offset here.
        assert max(map(abs, errors)) < STEP_US * 1e-6
        spread = max(errors) - min(errors)
        assert spread < 150e-6, spread
        rig.sim.close()


def test_events_get_through_a_bad_line_and_gates_do_not_hang() -> None:
    rng = random.Random(9)

    def damage(data: bytes) -> bytes:
        return bytes(b ^ (1 << rng.randrange(8)) if rng.random() < 0.002 else b for b in data)

    rig = Rig(damage=damage)
    rig.run(1.0)
    base = rig.now_s + 0.3
    for i in range(100):
        rig.session.schedule(GateLevel(0, True), base + i * 0.02)
        rig.session.schedule(GateLevel(0, False), base + i * 0.02 + 0.01)
    rig.run(2.6)
    assert len(rig.rises(0)) == 100
    assert not any(rig.sim.gates())
    counts = rig.session.counts
    assert counts.sent_again > 0 and counts.bad_frames + counts.lost_from_board > 0
    rig.sim.close()


def test_knobs_and_gates_arrive_with_their_time() -> None:
    rig = Rig()
    rig.run(1.0)
    rig.knobs.clear()
    rig.gates.clear()
    set_s = rig.now_s
    rig.sim.set_adc(4, 1023)
    rig.sim.set_gate_in(1, True)
    rig.run(0.05)
    assert rig.knobs[-1][:2] == (4, 1.0)
    assert [(i, h) for i, h, _ in rig.gates] == [(1, True)]
    assert rig.gates[0][2] == pytest.approx(set_s, abs=STEP_US * 1e-6)
    rig.sim.close()


def test_a_lost_knob_message_is_asked_for_again() -> None:
    drop = False

    def damage(data: bytes) -> bytes:
        return b"" if drop else data

    rig = Rig(damage=damage)
    rig.run(1.0)
    drop = True
    rig.sim.set_adc(2, 512)
    rig.sim.set_gate_in(0, True)
    rig.run(0.03)
    drop = False
    rig.run(0.5)
    assert {i: v for i, v, _ in rig.knobs}[2] == pytest.approx(0.5, abs=0.01)
    assert rig.gates[-1][:2] == (0, True)
    assert rig.session.counts.lost_from_board > 0
    rig.sim.close()


def test_a_reset_in_mid_note_is_said_and_mended() -> None:
    rig = Rig()
    rig.run(1.0)
    rig.session.schedule(GateLevel(1, True), rig.now_s + 0.05)
    rig.run(0.2)
    assert rig.sim.gates()[1]
    rig.sim.reset()
    rig.run(0.6)
    assert not any(rig.sim.gates())
    assert rig.session.open and rig.session.counts.board_restarts == 1
    assert any("restarted" in sentence for sentence in rig.said)
    rig.session.schedule(GateLevel(1, True), rig.now_s + 0.3)
    rig.run(0.5)
    assert rig.sim.gates()[1]
    rig.sim.close()


def _is_open(rig: Rig) -> bool:
    return rig.session.open


def test_silence_is_noticed_and_the_link_comes_back() -> None:
    cut = False

    def damage(data: bytes) -> bytes:
        return b"" if cut else data

    rig = Rig(damage=damage)
    rig.run(1.0)
    rig.session.schedule(GateLevel(0, True), rig.now_s + 0.05)
    rig.run(0.2)
    cut = True
    rig.run(1.3)
    assert not _is_open(rig) and not any(rig.sim.gates())
    assert any("silent" in sentence for sentence in rig.said)
    cut = False
    rig.run(0.6)
    assert _is_open(rig)
    rig.sim.close()


def _welcome(lowest: int, highest: int) -> bytes:
    fields = (lowest, highest, 9, 8, 7, 1, 4, 4, 6, 2, 2, 32, 0, 1, 0, 0)
    return wire.encode(wire.Welcome(*fields, b"later fields"), 0)


@pytest.mark.parametrize(
    ("lowest", "highest", "newer"), [(2, 3, "board is newer"), (0, 0, "noonsong is newer")]
)
def test_another_protocol_gets_one_sentence_and_no_more_frames(lowest: int, highest: int, newer: str) -> None:
    said: list[str] = []
    session = BoardSession(on_state=said.append)
    session.connected("ttyX", 0.0)
    assert session.poll(0.0)
    for t in range(5):
        session.feed(_welcome(lowest, highest), 0.1 + t)
        assert session.poll(0.2 + t) == b""
    assert len(said) == 1 and newer in said[0] and "9.8.7" in said[0]


def test_a_flood_of_noise_opens_nothing() -> None:
    rng = random.Random(2)
    session = BoardSession()
    session.connected("noise", 0.0)
    for i in range(200):
        session.feed(rng.randbytes(1000), i * 0.01)
        session.poll(i * 0.01)
    assert not session.open


def test_a_full_board_queue_is_never_asked_for_more() -> None:
    rig = Rig()
    rig.run(1.0)
    base = rig.now_s + 0.2
    for i in range(300):
        rig.session.schedule(CvLevel(i % 4, (i % 40) / 10), base + i * 0.002)
    rig.run(1.2)
    assert rig.session.counts.refused == 0
    assert len(rig.sim.dac_writes) == 300
    rig.sim.close()


def test_what_a_board_that_was_behind_has_no_room_for_is_sent_again() -> None:
    rig = Rig()
    rig.run(1.0)
    base = rig.now_s + 0.2
    for i in range(300):
        rig.session.schedule(CvLevel(i % 3, (i % 40) / 10), base + i * 0.002)
    for i in range(20):
        rig.session.schedule(GateLevel(3, i % 2 == 0), base + i * 0.03)
    rig.run(0.4)
    rig.stand_still(0.12)
    rig.run(1.2)
    assert rig.session.counts.refused > 0
    assert rig.session.counts.stale_events == 0
    assert len(rig.sim.dac_writes) == 300
    assert not any(rig.sim.gates())
    rig.sim.close()


def test_what_was_refused_is_not_played_after_a_release() -> None:
    rig = Rig()
    rig.run(1.0)
    for i in range(200):
        rig.session.schedule(CvNote(0, 1.0, 0.001), rig.now_s + 0.2 + i * 0.004)
    rig.run(0.3)
    rig.stand_still(0.12)
    rig.session.release_all()
    rig.run(0.05)
    before = len(rig.rises(0))
    rig.run(1.0)
    assert rig.session.counts.refused > 0
    assert len(rig.rises(0)) == before and not any(rig.sim.gates())
    rig.sim.close()


def test_wrong_channels_and_volts_are_named() -> None:
    session = BoardSession()
    with pytest.raises(NoonsongError, match="channels 0 to 3, not 4"):
        session.schedule(CvLevel(4, 1.0), 0.0)
    with pytest.raises(NoonsongError, match=r"0 to 4\.095 V, not 5 V"):
        session.schedule(CvNote(0, 5.0), 0.0)
    assert pitch_to_volts(48) == 1.0


def test_clock_follows_drift_through_jitter_and_wraps() -> None:
    rng = random.Random(1)
    clock = BoardClock()
    drift, offset_us = 1 + 3000e-6, 2**32 - 3_000_000
    for i in range(300):
        sent = i * 0.1
        there, back = (rng.expovariate(5000) + 0.0003 for _ in range(2))
        if rng.random() < 0.2:
            back += 0.005
        read = round(offset_us + (sent + there) * 1e6 * drift) % 2**32
        clock.add(sent, read, (read + 20) % 2**32, sent + there + 20e-6 + back)
    due = 30.2
    true_us = (offset_us + due * 1e6 * drift) % 2**32
    assert clock.board_us(due) == pytest.approx(true_us, abs=200)
    assert clock.host_s(clock.board_us(due)) == pytest.approx(due, abs=2e-6)
    assert clock.drift_ppm == pytest.approx(3000, abs=60)
    assert CYCLES_PER_US == 16


@pytest.mark.parametrize("stood_s", [-0.3, 0.06, 3.0])
def test_a_clock_that_stood_still_is_found_again_at_once(stood_s: float) -> None:
    """The host was suspended (negative), or the board's time stood: within two quick pings times are right."""
    chance, clock = random.Random(3), BoardClock()

    def ping(at_s: float, stood: float) -> None:
        there, answered, back = chance.uniform(2e-4, 9e-4), 1e-4, chance.uniform(2e-4, 9e-4)
        received_us = round((at_s + there - stood) * 1.004e6) % (1 << 32)
        answered_us = (received_us + 100) % (1 << 32)
        clock.add(at_s, received_us, answered_us, at_s + there + answered + back)

    for number in range(200):
        ping(100.0 + number * 0.05, 0.0)
    for number in range(200, 203):
        ping(100.0 + number * 0.05, stood_s)
    now_s = 100.0 + 203 * 0.05
    there_us = round((now_s - stood_s) * 1.004e6) % (1 << 32)
    assert clock.host_s(there_us) == pytest.approx(now_s, abs=0.002)


@pytest.mark.parametrize("wrong_us", [0, 3_000_000, -3_000_000, 600_000_000, -600_000_000, 1 << 31])
def test_a_wild_time_of_an_edge_is_not_believed(wrong_us: int) -> None:
    rig = Rig()
    rig.run(0.5)
    told_us = (round(rig.sim.board_us(rig.sim.cycle)) - 2_000 + wrong_us) % (1 << 32)
    assert rig.session._expected is not None
    frame = wire.encode(wire.GateIn(0, 1, 1, told_us), rig.session._expected)
    rig.session.feed(frame, rig.now_s)
    (_, high, at_s), *_ = rig.gates[-1:]
    assert high
    if wrong_us == 0:
        assert rig.now_s - at_s == pytest.approx(0.002, abs=0.001)
    else:
        assert rig.now_s - OLDEST_STAMP_S <= at_s <= rig.now_s
