"""A booted simulated board with an open session, for lock-step tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from host.wire import Hello, Message, Received, Welcome
from tests.sim.simulator import LockStepHost, Simulator


@dataclass
class Bench:
    """A board, and a host in step with it."""

    sim: Simulator
    host: LockStepHost

    @property
    def now_us(self) -> int:
        """The board's clock now."""
        return int(self.sim.board_us(self.sim.cycle))

    def open(self) -> Welcome:
        """Boot and shake hands."""
        self.host.run_us(30_000)
        self.host.send(Hello())
        new = self.host.run_us(8_000)
        welcomes = [r.message for r in new if isinstance(r.message, Welcome)]
        assert welcomes and welcomes[-1].session_open
        return welcomes[-1]

    def keep(self, us: float, alive: Message | None = None) -> list[Received]:
        """Let time pass while the host shows that it lives."""
        got: list[Received] = []
        while us > 0:
            if alive is not None:
                self.host.send(alive)
            got += self.host.run_us(min(us, 200_000))
            us -= 200_000
        return got


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Simulator() as sim:
        yield Bench(sim, LockStepHost(sim))
