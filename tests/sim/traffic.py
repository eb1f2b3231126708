"""A host that keeps the simulated line full both ways while it plays: the worst the firmware must bear."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from host.wire import (
    MAX_PADDING,
    Ack,
    Configure,
    Cv,
    Hello,
    Message,
    Note,
    Ping,
    Pong,
    Refused,
    Status,
    Welcome,
    encode,
)
from tests.sim.simulator import CYCLES_PER_US, LockStepHost, Simulator

STEP_US = 250
# Pings under way: their answers fill the line back, what it must answer never fills its buffers.
PING_BYTES_UNDER_WAY = 64
LEAST_WAITING = 45


@dataclass
class Planned:
    """An event the board was asked for: its channel, code and due time."""

    channel: int
    dac_code: int
    due_us: int
    gate: bool


@dataclass
class Traffic:
    """Feeds one board; `planned` is what it was asked to play, the counters what became of the frames."""

    sim: Simulator
    rng: random.Random
    corrupt: Callable[[bytes], bytes] = lambda data: data
    planned: list[Planned] = field(default_factory=list)
    pings: dict[int, bytes] = field(default_factory=dict)
    pongs: int = 0
    wrong_pongs: int = 0
    refused: int = 0
    gaps: int = 0
    sent_frames: int = 0
    status: Status | None = None
    knobs: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.host = LockStepHost(self.sim)
        self._bytes_under_way = 0
        self._token = 0
        self._expected: int | None = None
        self._next_chord_us = 0.0

    def connect(self) -> None:
        """Wait for the board to start, open a session."""
        self.host.run_us(30_000)
        self.host.send(Hello())
        new = self.host.run_us(5_000)
        assert any(isinstance(r.message, Welcome) and r.message.session_open for r in new)
        self._next_chord_us = self.sim.board_us(self.sim.cycle) + 60_000

    def send(self, message: Message) -> None:
        """One frame on the line, through the corruption asked for."""
        self.sent_frames += 1
        self.sim.feed(self.corrupt(encode(message, self.host.sequence)))
        self.host.sequence = (self.host.sequence + 1) & 0xFF

    def fill(self) -> None:
        """Put frames on the line until enough wait: pings while their window is open, else settings."""
        while self.sim.line_waiting < LEAST_WAITING:
            padding = bytes(self.rng.choice((0, 0, 1, 255)) for _ in range(self.rng.randint(0, MAX_PADDING)))
            size = len(padding) + 8
            if self._bytes_under_way + size <= PING_BYTES_UNDER_WAY:
                self._token = (self._token + 1) & 0xFFFF
                self.pings[self._token] = padding
                self._bytes_under_way += size
                self.send(Ping(self._token, padding))
            else:
                self.send(Configure(4, 0, 40))

    def play(self, every_us: int, lead_us: int = 40_000) -> None:
        """Four-note chords, and CVs between them, ahead of their time."""
        now_us = self.sim.board_us(self.sim.cycle)
        while self._next_chord_us < now_us + lead_us:
            due = int(self._next_chord_us)
            voices = (
                range(4) if self.rng.random() < 0.7 else self.rng.sample(range(4), self.rng.randint(1, 3))
            )
            for channel in voices:
                code = self.rng.randint(0, 4095)
                length = self.rng.randint(1_000, every_us - 3_000)
                self.send(Note(channel, 0, due, code * 16, 0, length))
                self.planned.append(Planned(channel, code, due, True))
            channel, code = self.rng.randrange(4), self.rng.randint(0, 4095)
            due += every_us // 2 + self.rng.randint(-500, 500)
            self.send(Cv(channel, due, code * 16, 0))
            self.planned.append(Planned(channel, code, due, False))
            self._next_chord_us += every_us

    def step(self) -> None:
        """Let a quarter of a millisecond pass and read what the board said."""
        self.sim.run_us(STEP_US)
        for received in self.host.decoder.feed(self.sim.take_transmitted()):
            if self._expected is not None and received.sequence != self._expected:
                self.gaps += 1
            self._expected = (received.sequence + 1) & 0xFF
            self._take(received.message)

    def _take(self, message: Message) -> None:
        match message:
            case Pong(token=token, padding=padding):
                sent = self.pings.pop(token, None)
                if sent is None or sent != padding:
                    self.wrong_pongs += 1
                else:
                    self.pongs += 1
                    self._bytes_under_way -= len(sent) + 8
            case Refused():
                self.refused += 1
            case Status():
                self.status = message
            case Ack():
                pass
            case _ if hasattr(message, "value"):
                self.knobs.setdefault(message.index, []).append(message.value)  # type: ignore[attr-defined]

    def line_use(self, cycles: int, received: int, sent: int) -> tuple[float, float]:
        """Share of the line's capacity used to and from the board, given byte counts over `cycles`."""
        capacity = cycles / (20 * CYCLES_PER_US)
        return received / capacity, sent / capacity
