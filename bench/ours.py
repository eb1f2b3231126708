"""Our engine as a contestant of `noonsong bench engine`."""

from pathlib import Path
from typing import Any

from model.tokens import VOCABULARY_SIZE
from quantize.engine import Engine

ALL = ((0, VOCABULARY_SIZE),)
SIDE = [(i, 0.5) for i in range(5)]


class Ours:
    """An engine, to be stepped at one position as often as wanted."""

    def __init__(self, path: Path, kernel: str) -> None:
        self.engine = Engine.load(path, kernel=kernel)
        self.batch: Any = None

    def at(self, position: int) -> None:
        """Stand where `position` tokens have been fed."""
        if self.engine.position != position:
            self.engine.reset()
            self.engine.prefill([i % 700 for i in range(position)], [SIDE] * position)

    def step(self, position: int) -> None:
        """A token in and a token drawn out of all."""
        self.bare_step(position)
        self.engine.sample(ALL, (1.0, 1.0, 1.0), 0.95, 1)

    def bare_step(self, position: int) -> None:
        """A token in."""
        self.engine.truncate(position)
        self.engine.step(5, SIDE)

    def prefill(self, count: int) -> None:
        """Many tokens in."""
        self.engine.reset()
        self.engine.prefill([i % 700 for i in range(count)], [SIDE] * count)

    def singles(self, count: int) -> None:
        """The same, one by one."""
        self.engine.reset()
        for i in range(count):
            self.engine.step(i % 700, SIDE)

    def batch_step(self, count: int) -> None:
        """A token into each of so many candidates."""
        if self.batch is None or self.batch.position - self.batch.fork >= 16:
            self.batch = self.engine.fork(count)
        self.batch.step([5] * count, [SIDE] * count)
