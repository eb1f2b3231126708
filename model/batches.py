"""What the network reads at each step of training: a pure function of (seed, step), so resuming is exact.

Sources take turns by weight; within a source every chunk of its stream is read once before any is read
again, each time cut at another place, in another order and in another key.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.dataset import PAIRS, TRANSPOSITIONS, Split, side_pairs, transposition_table
from model.tokens import END

DROP_EACH = 0.15  # so that each side input may be left out
DROP_ALL = 0.10  # and all of them
AT_START = 0.15  # of the sequences begin with a piece's END: there the sources have to tell it all
TEMPER = 0.6  # weight of a source = notes ** TEMPER: the small ones are heard, the large one still leads
GOLDEN = (5**0.5 - 1) / 2  # its multiples fill the unit interval evenly, whatever their number


@dataclass(frozen=True)
class Batch:
    """token and target [batch, time] int64; rows [batch, time, PAIRS] int32, weights the same, float32."""

    token: NDArray[np.int64]
    target: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: NDArray[np.float32]


class Batches:
    """Training batches of `size` sequences of `time` tokens from a split."""

    def __init__(
        self, split: Split, size: int, time: int, seed: int, weights: dict[str, float] | None = None
    ) -> None:
        self.split, self.size, self.time, self.seed = split, size, time, seed
        self.spans = split.spans()
        self.starts = split.pieces["start"].astype(np.int64)
        self.transposed = transposition_table()
        notes = np.bincount(split.pieces["source"], split.pieces["notes"], minlength=len(split.sources))
        share = notes**TEMPER
        for i, name in enumerate(split.sources):
            share[i] *= (weights or {}).get(name, 1.0)
            if self.spans[i][1] - self.spans[i][0] < time + 2:
                share[i] = 0.0
        self.shares = share / share.sum()
        self._orders: dict[tuple[int, int], tuple[int, NDArray[np.int64]]] = {}

    def sequence_sources(self, first: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(source, how many of that source came before) of the sequences first .. first + count."""
        position = (np.arange(first + count) * GOLDEN) % 1.0
        source = np.searchsorted(np.cumsum(self.shares), position, side="right").clip(
            max=len(self.shares) - 1
        )
        before = np.zeros(first + count, np.int64)
        for i in range(len(self.shares)):
            mine = source == i
            before[mine] = np.arange(mine.sum())
        return source[first:], before[first:]

    def batch(self, step: int, first: int = 0, count: int | None = None) -> Batch:
        """The batch of one step, or `count` of its sequences from `first` on (one process's share)."""
        count = self.size if count is None else count
        sources, turns = self.sequence_sources_cached(step)
        drawn = [
            self._sequence(step * self.size + i, int(sources[i]), int(turns[i]))
            for i in range(first, first + count)
        ]
        tokens_, rows, weights = (np.stack(part) for part in zip(*drawn, strict=True))
        return Batch(tokens_[:, :-1], tokens_[:, 1:], rows, weights)

    def sequence_sources_cached(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`sequence_sources` of one step, worked out for a thousand steps at a time."""
        block, within = divmod(step, 1000)
        if getattr(self, "_block", None) != block:
            self._block = block
            self._turns = self.sequence_sources(block * 1000 * self.size, 1000 * self.size)
        here = slice(within * self.size, (within + 1) * self.size)
        return self._turns[0][here], self._turns[1][here]

    def _chunk(self, source: int, turn: int) -> int:
        """Where the turn-th sequence of a source begins."""
        begin, end = self.spans[source]
        chunks = max(1, (end - begin - 2) // self.time - 1)
        epoch, which = divmod(turn, chunks)
        if (source, epoch) not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k[0] != source}
            random = np.random.default_rng([self.seed, source, epoch, self.time])
            spare = end - begin - 1 - chunks * self.time
            self._orders[source, epoch] = int(random.integers(spare)), random.permutation(chunks)
        offset, order = self._orders[source, epoch]
        return begin + offset + int(order[which]) * self.time

    def _piece_start(self, source: int, at: int) -> int:
        """Where the piece that holds step `at` begins, if a whole sequence fits from there on."""
        start = int(self.starts[np.searchsorted(self.starts, at, side="right") - 1])
        return start if start + self.time < self.spans[source][1] else at

    def _sequence(
        self, number: int, source: int, turn: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        random = np.random.default_rng([self.seed, 1, number])
        at = self._chunk(source, turn)
        if random.random() < AT_START:
            at = self._piece_start(source, at)
        steps = self.split.steps[at : at + self.time + 1]
        first_piece = int(np.searchsorted(self.starts, at, side="right")) - 1
        # Each piece in the sequence has its own key and its own choice of side inputs.
        piece = np.cumsum(steps["token"] == END) - int(steps["token"][0] == END)
        pieces = int(piece[-1]) + 1
        info = self.split.pieces[first_piece : first_piece + pieces]
        key = random.integers(info["down"], info["up"], endpoint=True) - TRANSPOSITIONS[0]
        kept = random.random((pieces, 5)) >= DROP_EACH
        kept[random.random(pieces) < DROP_ALL] = False
        token = self.transposed[key[piece], steps["token"]].astype(np.int64)
        sources = np.full(self.time, source)
        rows, weights = side_pairs(steps[:-1], sources, kept[piece[:-1]])
        return token, rows, weights


def fixed_sequences(split: Split, count: int, time: int, conditioned: bool, offset: int = 0) -> list[Batch]:
    """Held-out sequences that are always the same, spread over the pieces, each from its piece's start.

    Conditioned on everything known, or on nothing. Shorter pieces come as they are, one batch each.
    """
    chosen = np.unique(np.linspace(offset, len(split.pieces) - 1, min(count, len(split.pieces))).astype(int))
    batches = []
    for index in chosen:
        steps = split.piece_steps(int(index))[: time + 1]
        token = np.append(steps["token"].astype(np.int64), END)[: time + 1]
        steps = steps[: len(token) - 1]
        source = np.full(len(steps), int(split.pieces[index]["source"]))
        keep = np.full((len(steps), 5), conditioned)
        rows, weights = side_pairs(steps, source, keep)
        batches.append(Batch(token[None, :-1], token[None, 1:], rows[None], weights[None]))
    return batches


__all__ = ["PAIRS", "Batch", "Batches", "fixed_sequences"]
