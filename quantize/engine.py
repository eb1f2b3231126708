"""The engine's Python face: feed tokens, draw tokens, roll back, weigh futures.

Checks what the player asks and keeps count of positions; the arithmetic is the C kernel's, or the numpy
reference's where there is no compiler. Both give the same bits.
"""

import logging
import os
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from model.conditioning import SideInput
from model.errors import NoonsongError
from model.shape import Shape
from model.tokens import TokenRange
from quantize.kernel_library import Kernel, kernels
from quantize.reference import Reference
from quantize.sampling import Temperatures
from quantize.weights import Header, Weights, read_weights

MAX_ROLLBACK = 512
MAX_CANDIDATES = 64
CANDIDATE_TOKENS = 1024  # room for what all candidates together play ahead: 16 times 64, or 64 times 16
KERNEL_VARIABLE = "NOONSONG_KERNEL"

_log = logging.getLogger(__name__)


class Engine:
    """A network that plays for ever: `step`, `sample`, `step` ... at constant cost.

    `position` counts the tokens fed since the music began. Not for two threads at once.
    """

    def __init__(self, weights: Weights, kernel: str | None = None) -> None:
        """`kernel` forces one, as the variable NOONSONG_KERNEL does; None takes the fastest.

        Raises NoonsongError when the kernel asked for cannot run here.
        """
        self.header: Header = weights.header
        self.shape: Shape = weights.header.shape
        self.max_rollback = MAX_ROLLBACK
        self.position = 0
        self._backend = _backend(weights, kernel or os.environ.get(KERNEL_VARIABLE) or None)
        self._start = 0  # nothing before it is seen
        self._floor = 0  # nothing before it can be rolled back to
        self._batch: Batch | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], checkpoint: int = -1, kernel: str | None = None) -> "Engine":
        """From a weights file; `checkpoint` 0 is the youngest in training, -1 the finished one.

        Raises NoonsongError naming what is wrong with the file or the kernel.
        """
        return cls(read_weights(path, checkpoint), kernel)

    @property
    def kernel(self) -> str:
        """The name of what does the arithmetic."""
        return self._backend.name

    @property
    def memory_tokens(self) -> int:
        """How many of the last tokens have a say in what comes next."""
        return self.shape.layers * self.shape.window

    @property
    def memory_bytes(self) -> int:
        """What the engine holds: packed weights, the ring, the candidates' room."""
        return self._backend.memory_bytes

    def step(self, token: int, side: SideInput) -> None:
        """Feed one token."""
        self.prefill((token,), (side,))

    def prefill(self, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        """Feed many tokens, faster than one by one and with the same result, bit for bit.

        Raises ValueError for a token or side row that does not exist, or when the lengths differ.
        """
        if len(tokens) != len(sides):
            raise ValueError(f"{len(tokens)} tokens and {len(sides)} side inputs")
        self._check(tokens, sides)
        self._batch = None
        self._backend.feed(self.position, self._start, tokens, sides)
        self.position += len(tokens)
        self._floor = max(self._floor, self.position - self.max_rollback)

    def truncate(self, position: int) -> None:
        """Go back to when `position` tokens had been fed; the logits are again those of that moment.

        Raises ValueError when that is further back than `max_rollback`, or ahead.
        """
        if not self._floor <= position <= self.position:
            raise ValueError(f"cannot go to {position}: {self._floor} to {self.position} are kept")
        self._batch = None
        self.position = position

    def reset(self, position: int = 0) -> None:
        """Forget everything and begin at an absolute position.

        Once the last layers * window tokens are fed again at their true positions, everything that
        follows is what it would have been without the break, bit for bit.
        """
        if position < 0:
            raise ValueError(f"position {position} is below 0")
        self._batch = None
        self.position = self._start = self._floor = position

    def logits(self, allowed: tuple[TokenRange, ...]) -> NDArray[np.float32]:
        """Logits of the next token for the allowed ranges, one after the other."""
        _check_ranges(allowed, self.shape.vocabulary)
        return self._backend.logits(self._slot(), allowed)

    def sample(
        self, allowed: tuple[TokenRange, ...], temperatures: Temperatures, top_p: float, seed: int
    ) -> int:
        """Draw the next token (it is not fed) out of ascending, separate, not empty ranges.

        The random number is number `position` of the stream `seed` (64 bits): nothing else is remembered,
        so the same seed at the same position draws the same token.
        """
        _check_ranges(allowed, self.shape.vocabulary)
        return self._backend.sample(self._slot(), allowed, temperatures, top_p, seed, self.position)

    def fork(self, count: int) -> "Batch":
        """`count` candidate futures that share the past as it is now; it ends when the engine moves."""
        if not 1 <= count <= MAX_CANDIDATES:
            raise ValueError(f"{count} candidates; 1 to {MAX_CANDIDATES} are possible")
        self._slot()
        self._batch = Batch(self, count)
        return self._batch

    def _slot(self) -> int:
        if self.position <= self._start:
            raise ValueError("no token has been fed yet: feed END to begin")
        return (self.position - 1) % (self.shape.window + self.max_rollback)

    def _check(self, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        for token in tokens:
            if not 0 <= token < self.shape.vocabulary:
                raise ValueError(f"token {token} is not one of {self.shape.vocabulary}")
        for side in sides:
            for row, _ in side:
                if not 0 <= row < self.shape.side_rows:
                    raise ValueError(f"side row {row} is not one of {self.shape.side_rows}")


class Batch:
    """Candidate futures of one engine, fed in lock step; then `keep` the best, or drop all."""

    def __init__(self, engine: Engine, count: int) -> None:
        """Made by `Engine.fork`."""
        self.count = count
        self.position = self.fork = engine.position
        self.depths = CANDIDATE_TOKENS // count // 16 * 16  # the most tokens a candidate can play ahead
        self._engine = engine

    def step(self, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        """Feed each candidate its token.

        Raises ValueError when the engine has moved since the fork, when `depths` tokens have been fed, or
        as `Engine.prefill` does.
        """
        if not len(tokens) == len(sides) == self.count:
            raise ValueError(f"{len(tokens)} tokens and {len(sides)} side inputs for {self.count} candidates")
        if self.position - self.fork == self.depths:
            raise ValueError(f"{self.count} candidates can play {self.depths} tokens ahead, not more")
        engine = self._alive()
        engine._check(tokens, sides)
        engine._backend.feed_candidates(self.position, engine._start, self.fork, self.depths, tokens, sides)
        self.position += 1

    def sample(
        self,
        allowed: Sequence[tuple[TokenRange, ...]],
        temperatures: Temperatures,
        top_p: float,
        seeds: Sequence[int],
    ) -> list[int]:
        """Draw each candidate's next token; as `Engine.sample`, a seed for each."""
        backend = self._alive()._backend
        return [
            backend.sample(self._slot(i, ranges), ranges, temperatures, top_p, seed, self.position)
            for i, (ranges, seed) in enumerate(zip(allowed, seeds, strict=True))
        ]

    def logits(self, candidate: int, allowed: tuple[TokenRange, ...]) -> NDArray[np.float32]:
        """Of a candidate's next token, as `Engine.logits`."""
        return self._alive()._backend.logits(self._slot(candidate, allowed), allowed)

    def keep(self, candidate: int) -> None:
        """Make a candidate's tokens the engine's; the batch ends."""
        if not 0 <= candidate < self.count:
            raise ValueError(f"candidate {candidate} is not one of {self.count}")
        engine = self._alive()
        engine._backend.keep(candidate, self.fork, self.depths, self.position)
        engine._batch = None
        engine.position = self.position
        engine._floor = max(engine._floor, engine.position - engine.max_rollback)

    def _slot(self, candidate: int, allowed: tuple[TokenRange, ...]) -> int:
        if not 0 <= candidate < self.count:
            raise ValueError(f"candidate {candidate} is not one of {self.count}")
        engine = self._engine
        _check_ranges(allowed, engine.shape.vocabulary)
        if self.position == self.fork:
            return engine._slot()
        ring = engine.shape.window + engine.max_rollback
        return ring + candidate * self.depths + self.position - self.fork - 1

    def _alive(self) -> Engine:
        if self._engine._batch is not self:
            raise ValueError("the engine has moved since this fork: fork again")
        return self._engine


@lru_cache(maxsize=4096)  # the grammar has few masks
def _check_ranges(allowed: tuple[TokenRange, ...], vocabulary: int) -> None:
    at = 0
    for first, stop in allowed:
        if not at <= first < stop <= vocabulary:
            raise ValueError(f"{allowed} are not ascending ranges of {vocabulary} tokens")
        at = stop
    if not allowed:
        raise ValueError("no token is allowed: name at least one range")


def _backend(weights: Weights, kernel: str | None) -> Reference | Kernel:
    compiled = list(kernels())
    name = kernel or (compiled[0] if compiled else _numpy_instead())
    if name == Reference.name:
        return Reference(weights, MAX_ROLLBACK, CANDIDATE_TOKENS)
    if name not in compiled:
        known = ", ".join([*compiled, Reference.name])
        raise NoonsongError(f"Kernel {name!r} cannot run here. {KERNEL_VARIABLE} may be one of: {known}.")
    return Kernel(weights, MAX_ROLLBACK, CANDIDATE_TOKENS, name)


@cache
def _numpy_instead() -> str:
    """Says once that the kernel is missing."""
    _log.warning(
        "The int8 kernel is not compiled, or not from these sources, so numpy plays: the same notes, slower."
        " Install a C compiler (build-essential) and install noonsong again."
    )
    return Reference.name
