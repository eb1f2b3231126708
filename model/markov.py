"""The honest baseline: a Markov model of variable order over the same tokens, with back-off.

Interpolated Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999, "An empirical study of smoothing
techniques for language modeling"): each order takes a discount off its counts and leaves it to the next
shorter context, whose counts are of distinct contexts, not of occurrences. Contexts are kept by a 64-bit
hash; with 10^8 of them a collision has odds of one in two thousand.
"""

import argparse
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import NoonsongError
from model.tokens import END, FIRST_TOUCH, VOCABULARY_SIZE, vocabulary_hash

ORDER = 8  # tokens of context, at most
DISCOUNT = 0.75
COMPRESSED_BELOW = 5_000_000

Tokens = NDArray[np.int64]
_RANDOM = np.random.default_rng(5).integers(1, 2**63, VOCABULARY_SIZE, np.uint64)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Level:
    """What follows the contexts of one length: contexts ascending by hash, their followers side by side."""

    contexts: NDArray[np.uint64]  # [contexts]
    first: NDArray[np.int64]  # [contexts + 1] into followers
    followers: NDArray[np.uint16]  # ascending within a context
    counts: NDArray[np.uint32]
    totals: NDArray[np.int64]  # [contexts] sums of counts, of followers that were left out too

    def left_over(self) -> NDArray[np.float64]:
        """What each context leaves to the next shorter one, [contexts], of its total."""
        if len(self.contexts) == 0:
            return np.zeros(0)
        kept = np.add.reduceat(self.counts.astype(np.int64), self.first[:-1])
        return self.totals - kept + DISCOUNT * np.diff(self.first)

    def without_rare(self, least: int) -> "Level":
        """Only the followers that were counted so often, and the contexts that have any."""
        kept = self.counts >= least
        kinds = np.add.reduceat(kept.astype(np.int64), self.first[:-1]) if len(self.contexts) else self.totals
        some = kinds > 0
        first = np.concatenate([[0], np.cumsum(kinds[some])])
        return Level(self.contexts[some], first, self.followers[kept], self.counts[kept], self.totals[some])

    def find(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(row, whether it is there) of each context."""
        if len(self.contexts) == 0:
            return np.zeros(hashes.shape, np.int64), np.zeros(hashes.shape, bool)
        row = np.minimum(np.searchsorted(self.contexts, hashes), len(self.contexts) - 1)
        return row, self.contexts[row] == hashes


class Markov:
    """Levels of context length 0 .. order."""

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels = tuple(levels)
        self._left_over = [level.left_over() for level in levels]

    @cached_property
    def _keys(self) -> list[Tokens]:
        """(row, follower) of every count as one number, by level: as large as the model, so only on demand."""
        return [_pair_keys(level) for level in self.levels]

    @classmethod
    def count(cls, tokens: Tokens, order: int = ORDER) -> "Markov":
        """From a stream of tokens in which pieces begin with END; no context reaches back over one."""
        if len(tokens) < 2:
            raise NoonsongError("there is nothing to count: the archive's train split is empty")
        age = _age(tokens)
        hashes = list(_context_hashes(tokens, order))
        where = np.arange(1, len(tokens))
        weight = np.ones(len(where), np.uint32)
        levels: list[Level] = []
        for length in range(order, -1, -1):
            # A context that would reach over the beginning is written out by the shorter one.
            whole = age[where] >= length
            level, firsts = _level(hashes[length][where[whole]], tokens[where[whole]], weight[whole])
            levels.append(level)
            where = np.concatenate([where[whole][firsts], where[~whole]])
            weight = np.ones(len(where), np.uint32)
        return cls(levels[::-1])

    def log2_likelihoods(self, tokens: Tokens) -> NDArray[np.float64]:
        """log2 of the probability of each token but the first, [len(tokens) - 1]; the first should be END."""
        target = tokens[1:]
        likelihood = np.full(len(target), 1.0 / VOCABULARY_SIZE)
        age = _age(tokens)[1:]
        for length, hashes in enumerate(_context_hashes(tokens, len(self.levels) - 1)):
            level, keys = self.levels[length], self._keys[length]
            row, known = level.find(hashes[1:])
            known &= age >= length
            key = row * VOCABULARY_SIZE + target
            at = np.minimum(np.searchsorted(keys, key), max(len(keys) - 1, 0))
            seen = known & (keys[at] == key)
            count = np.where(seen, level.counts[at], 0)
            mixed = (
                np.maximum(count - DISCOUNT, 0) + self._left_over[length][row] * likelihood
            ) / level.totals[row]
            likelihood = np.where(known, mixed, likelihood)
        return np.log2(likelihood)

    def distribution(self, past: Sequence[int]) -> NDArray[np.float64]:
        """Probability of each token after the past (END where music begins), [vocabulary]."""
        recent = np.array(past[-len(self.levels) :], np.int64)
        tokens = np.append(recent, END)
        age = int(_age(tokens)[-1])
        probability = np.full(VOCABULARY_SIZE, 1.0 / VOCABULARY_SIZE)
        for length, hashes in enumerate(_context_hashes(tokens, min(len(self.levels) - 1, len(recent)))):
            level = self.levels[length]
            row, known = level.find(hashes[-1:])
            if length > age:
                break
            if not known[0]:
                continue  # a longer context may be kept where a shorter one, seen in few places, was not
            here = slice(level.first[row[0]], level.first[row[0] + 1])
            mixed = self._left_over[length][row[0]] * probability
            mixed[level.followers[here]] += level.counts[here] - DISCOUNT
            probability = mixed / level.totals[row[0]]
        return probability

    def without_rare(self, least: int) -> "Markov":
        """A smaller model: what was counted less often is left to shorter contexts (single tokens stay)."""
        return Markov([self.levels[0], *(level.without_rare(least) for level in self.levels[1:])])

    def save(self, path: Path) -> None:
        """As an .npz file, compressed when it is small (hashes do not shrink, and it takes minutes)."""
        arrays = {
            f"{name}.{k}": getattr(level, name)
            for k, level in enumerate(self.levels)
            for name in ("contexts", "first", "followers", "counts", "totals")
        }
        small = sum(len(level.counts) for level in self.levels) < COMPRESSED_BELOW
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            (np.savez_compressed if small else np.savez)(
                file, vocabulary_hash=np.array(vocabulary_hash()), **arrays
            )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Markov":
        """From `save`. Raises NoonsongError when the file cannot be read or is of another vocabulary."""
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                if str(file["vocabulary_hash"]) != vocabulary_hash():
                    raise NoonsongError(f"{path} was counted with another vocabulary: count it again")
                names = ("contexts", "first", "followers", "counts", "totals")
                count = sum(name.startswith("contexts.") for name in file.files)
                return cls([Level(*(file[f"{name}.{k}"] for name in names)) for k in range(count)])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise NoonsongError(
                f"the Markov model {path} cannot be read ({error}): name a file made by `noonsong markov`"
            ) from None


def bits_a_note(markov: Markov, tokens: Tokens) -> float:
    """Of one piece (END first), its closing END included."""
    tokens = np.append(tokens, END)
    notes = int((tokens >= FIRST_TOUCH).sum())
    return float(-markov.log2_likelihoods(tokens).sum() / max(notes, 1))


def _age(tokens: Tokens) -> Tokens:
    """How many tokens of the same piece stand before each token; an END belongs to the piece it closes."""
    index = np.arange(len(tokens))
    begin = np.maximum.accumulate(np.where(tokens == END, index, 0))
    begin = np.concatenate([[0], begin[:-1]])
    return index - begin


def _context_hashes(tokens: Tokens, order: int) -> Iterator[NDArray[np.uint64]]:
    """For lengths 0 .. order: the hash of that many tokens before each token (wrapped round at the start)."""
    hashes = np.zeros(len(tokens), np.uint64)
    yield hashes
    rows = _RANDOM[tokens]
    power = np.uint64(1)
    with np.errstate(over="ignore"):
        for back in range(1, order + 1):
            power = power * _FACTOR
            term = np.roll(rows, back) * power
            hashes = hashes + (term ^ (term >> np.uint64(29)))
            yield hashes


def _level(
    contexts: NDArray[np.uint64], followers: Tokens, weight: NDArray[np.uint32]
) -> tuple[Level, NDArray[np.int64]]:
    """The level, and for each of its (context, follower) pairs the first place it came from."""
    order = np.lexsort((followers, contexts))
    context, follower = contexts[order], followers[order]
    new_context = np.ones(len(order), bool)
    new_context[1:] = context[1:] != context[:-1]
    new_pair = new_context.copy()
    new_pair[1:] |= follower[1:] != follower[:-1]
    pair_at = np.flatnonzero(new_pair)
    counts = np.add.reduceat(weight[order], pair_at) if len(order) else weight
    first = np.flatnonzero(new_context[pair_at])
    first = np.append(first, len(pair_at))
    running = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    totals = running[first[1:]] - running[first[:-1]]
    level = Level(
        context[np.flatnonzero(new_context)], first, follower[pair_at].astype(np.uint16),
        counts.astype(np.uint32), totals,
    )  # fmt: skip
    return level, order[pair_at]


def _pair_keys(level: Level) -> Tokens:
    rows = np.repeat(np.arange(len(level.contexts)), np.diff(level.first))
    return rows * VOCABULARY_SIZE + level.followers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong markov`."""
    parser.add_argument("--archive", type=Path, required=True, help="its train split is counted")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the model to write")
    parser.add_argument("--order", type=int, default=ORDER, help=f"tokens of context (default {ORDER})")
    parser.add_argument(
        "--least", type=int, default=1, help="leave out what was counted less often (default 1: keep all)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Count, and say how large it is."""
    from model.arrays import arrays_of_archive

    if not 1 <= args.order <= 16 or args.least < 1:
        raise NoonsongError("--order may be 1 to 16, --least 1 or more")
    train = arrays_of_archive(args.archive, "train")
    markov = Markov.count(train.steps["token"].astype(np.int64), args.order)
    if args.least > 1:
        markov = markov.without_rare(args.least)
    markov.save(args.out)
    figures = {
        "file": str(args.out), "bytes": args.out.stat().st_size, "order": args.order, "least": args.least,
        "tokens": len(train.steps), "contexts": sum(len(level.contexts) for level in markov.levels),
    }  # fmt: skip
    if args.json:
        print(json.dumps(figures))
    else:
        print(
            f"{args.out}: {figures['contexts']} contexts of {figures['tokens']} tokens, {figures['bytes']} bytes"
        )
    return 0
