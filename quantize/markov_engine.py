"""The Markov model behind the network's interface: the honest baseline, as an engine that can be played.

It hears the last few tokens and no side inputs, so of the knobs it knows temperature, top-p and, through the
player's pace, density.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.conditioning import SideInput
from model.markov import Markov
from model.tokens import TokenRange
from quantize.engine import MAX_ROLLBACK
from quantize.sampling import Temperatures, random_bits, sample

SUFFIX = ".npz"  # a weights file that ends so is a Markov model
_IMPOSSIBLE = 1e-30


class MarkovHeader(NamedTuple):
    """What an engine's file says of itself."""

    sources: tuple[str, ...] = ()


class MarkovEngine:
    """As quantize.engine.Engine, for what a player needs of it. Not for two threads at once."""

    kernel = "markov"
    header = MarkovHeader()
    max_rollback = MAX_ROLLBACK

    def __init__(self, markov: Markov) -> None:
        self.markov = markov
        self.memory_tokens = len(markov.levels)  # no older token has a say
        self.reset()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "MarkovEngine":
        """From a file of `noonsong markov`. Raises NoonsongError when it is none."""
        return cls(Markov.load(Path(path)))

    def reset(self, position: int = 0) -> None:
        """Forget everything; the next token is number `position`."""
        if position < 0:
            raise ValueError(f"position {position} is below 0")
        self.position = position
        self._heard: list[int] = []

    def step(self, token: int, side: SideInput) -> None:
        """Read one token."""
        self.prefill((token,), (side,))

    def prefill(self, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        """Read many tokens."""
        if len(tokens) != len(sides):
            raise ValueError(f"{len(tokens)} tokens and {len(sides)} side inputs")
        self._heard += tokens
        self.position += len(tokens)
        self._probability: NDArray[np.float64] | None = None
        if len(self._heard) > 4 * (self.max_rollback + self.memory_tokens):
            del self._heard[: -(self.max_rollback + self.memory_tokens)]

    def truncate(self, position: int) -> None:
        """Forget the tokens from number `position` on. Raises ValueError when that is too far back, or ahead."""
        back = self.position - position
        if not 0 <= back <= min(self.max_rollback, len(self._heard)):
            raise ValueError(f"cannot go to {position} from {self.position}")
        del self._heard[len(self._heard) - back :]
        self.position = position
        self._probability = None

    def logits(self, allowed: tuple[TokenRange, ...]) -> NDArray[np.float32]:
        """Logarithms of the probabilities of the next token, for the allowed ranges, one after the other."""
        if not self._heard:
            raise ValueError("no token has been fed yet: feed END to begin")
        if self._probability is None:
            self._probability = self.markov.distribution(self._heard[-self.memory_tokens :])
        chances = np.concatenate([self._probability[first:stop] for first, stop in allowed])
        return np.log(np.maximum(chances, _IMPOSSIBLE)).astype(np.float32)

    def sample(
        self, allowed: tuple[TokenRange, ...], temperatures: Temperatures, top_p: float, seed: int
    ) -> int:
        """Choose the next token; the random number is number `position` of the stream `seed`."""
        logits = self.logits(allowed)
        return sample(logits, allowed, temperatures, top_p, random_bits(seed, self.position))
