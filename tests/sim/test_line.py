"""The serial line through the real firmware: full both ways, damaged, old and new protocols."""

from __future__ import annotations

import os
import random

import pytest

from host.wire import (
    PROTOCOL_HIGHEST,
    Ack,
    Hello,
    Note,
    Ping,
    Pong,
    Refused,
    Status,
    Welcome,
    encode,
)
from tests.sim.conftest import Bench
from tests.sim.simulator import CYCLES_PER_US, Simulator
from tests.sim.traffic import Traffic

# Ten minutes take a quarter of an hour here: python -m tests.sim.soak runs them.
SECONDS = float(os.environ.get("NOONSONG_LINE_SECONDS", "4"))


def test_full_rate_both_ways_loses_nothing() -> None:
    with Simulator() as sim:
        traffic = Traffic(sim, random.Random(11))
        traffic.connect()
        begin = sim.cycle, sim.received_bytes, sim.sent_bytes
        while sim.cycle - begin[0] < SECONDS * 16e6:
            traffic.play(every_us=50_000)
            traffic.fill()
            traffic.step()
        use = traffic.line_use(sim.cycle - begin[0], sim.received_bytes - begin[1], sim.sent_bytes - begin[2])
        print(f"\n{traffic.sent_frames} frames, {traffic.pongs} answers; {use[0]:.1%} and {use[1]:.1%} full")
        status = traffic.status
        assert status is not None
        assert (status.bad_frames, status.lost, status.overruns, status.late) == (0, 0, 0, 0)
        assert traffic.gaps == traffic.wrong_pongs == traffic.host.decoder.bad_frames == sim.overruns == 0
        assert use[0] > 0.99 and use[1] > 0.88


def test_random_bit_errors_are_never_believed(bench: Bench) -> None:
    """Pings with known padding through a noisy line: every pong is one that was asked for."""
    bench.open()
    rng = random.Random(5)
    asked: dict[int, bytes] = {}
    damaged = 0
    for token in range(3_000):
        padding = bytes(rng.choice((0, 1, 0xFF, 0x55)) for _ in range(rng.randint(0, 24)))
        frame = bytearray(encode(Ping(token, padding), bench.host.sequence))
        bench.host.sequence = (bench.host.sequence + 1) & 0xFF
        asked[token] = padding
        if rng.random() < 0.5:
            damaged += 1
            for _ in range(rng.choice((1, 1, 2, 5, 20))):
                frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
        bench.sim.feed(bytes(frame))
        for received in bench.host.run_us(1_200):
            if isinstance(received.message, Pong):
                assert asked.get(received.message.token) == received.message.padding
    got = bench.keep(120_000)
    status = [r.message for r in bench.host.received + got if isinstance(r.message, Status)][-1]
    print(f"\n{damaged} damaged frames, {status.bad_frames} noticed as such (some merged with the next)")
    assert status.bad_frames > damaged * 0.6


def test_the_link_is_back_within_twenty_milliseconds_of_clean_bytes(bench: Bench) -> None:
    bench.open()
    rng = random.Random(6)
    slowest = 0.0
    for token in range(40):
        bench.sim.feed(rng.randbytes(rng.randint(1, 400)))
        while bench.sim.line_waiting:
            bench.host.run_us(500)
        clean = bench.sim.cycle
        answered = False
        while not answered and bench.sim.cycle - clean < 50_000 * CYCLES_PER_US:
            bench.host.send(Ping(token))
            answered = any(
                isinstance(r.message, Pong) and r.message.token == token for r in bench.host.run_us(1_000)
            )
        assert answered
        slowest = max(slowest, (bench.sim.cycle - clean) / 16_000)
    print(f"\nslowest return of the link: {slowest:.1f} ms")
    assert slowest <= 20


def test_lost_frames_are_acknowledged_by_number_and_repeats_do_nothing_twice(bench: Bench) -> None:
    bench.open()
    due = bench.now_us + 30_000
    frame = encode(Note(0, 0, due, 16_000, 0, 1_000), bench.host.sequence)
    bench.host.sequence += 2  # the next one is lost
    bench.sim.feed(frame + frame + frame)
    bench.host.send(Note(1, 0, due, 16_000, 0, 1_000))
    got = bench.host.run_us(60_000)
    acks = [r.message for r in got if isinstance(r.message, Ack)]
    assert acks[-1].newest == bench.host.sequence - 1
    assert acks[-1].received & 0b111 == 0b101
    assert len([w for w in bench.sim.dac_writes if w.channel == 0]) == 1


@pytest.mark.parametrize(
    ("lowest", "highest", "opens"), [(1, 1, True), (1, 9, True), (2, 9, False), (0, 0, False)]
)
def test_other_protocols_agree_or_are_refused(bench: Bench, lowest: int, highest: int, opens: bool) -> None:
    assert PROTOCOL_HIGHEST == 1
    bench.host.run_us(30_000)
    bench.host.send(Hello(lowest, highest, b"what later protocols add"))
    got = [r.message for r in bench.host.run_us(10_000)]
    assert [m.session_open for m in got if isinstance(m, Welcome)][-1] == opens
    refused = [m for m in got if isinstance(m, Refused)]
    assert refused == ([] if opens else [Refused(0, 6, Hello.TYPE)])


def test_unknown_messages_and_wrong_values_are_refused_by_name(bench: Bench) -> None:
    bench.open()

    bench.sim.feed(encode_raw(0x1F, 100, b"abc"))
    bench.sim.feed(encode_raw(Note.TYPE, 101, b"short"))
    bench.sim.feed(encode(Note(9, 0, 0, 0), 102))
    bench.sim.feed(encode(Note(0, 0, bench.now_us + 90_000_000, 0), 103))
    bench.sim.feed(encode(Note(0, 0, bench.now_us, 0, 0, 5_000, 2, 10), 104))  # longer than its period
    got = bench.host.run_us(20_000)
    reasons = {m.refused_sequence: m.reason for r in got if isinstance(m := r.message, Refused)}
    assert reasons == {100: 1, 101: 2, 102: 3, 103: 3, 104: 3}


def test_a_full_queue_refuses_the_next(bench: Bench) -> None:
    welcome = bench.open()
    due = bench.now_us + 500_000
    for i in range(welcome.queue_size + 1):
        bench.host.send(Note(0, 0, due + i * 3_000, 0, 0, 1_000))
        bench.host.run_us(800)
    got = bench.host.run_us(20_000)
    refused = [r.message for r in bench.host.received if isinstance(r.message, Refused)]
    assert [m.reason for m in refused] == [4]
    assert [r.message.queue_free for r in got if isinstance(r.message, Ack)][-1:] in ([0], [])


def encode_raw(kind: int, sequence: int, payload: bytes) -> bytes:
    """A frame of any type, by the golden frames' own means."""
    from tests.golden.make_frames import frame

    return frame(kind, sequence, payload)
