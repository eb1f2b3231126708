"""The step in numpy: the truth the C kernels are held to, bit for bit, and what plays without a compiler.

Why any machine gives the same bits:
- vectors are rounded to int8 before every product, so all sums of products are of whole numbers, exact
  in any order (here they run as floats of a type wide enough to hold them exactly);
- attention rounds its softmax weights too, to 14 bits, so its sums over positions are exact as well and
  it does not matter where in the ring a position lies;
- the one float sum left, the norm's, adds 16 lanes in a fixed tree;
- everything else is single float32 operations, which IEEE 754 defines to the last bit, and 2**x is our own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.conditioning import SideInput
from model.tokens import TokenRange
from quantize.sampling import LOG2_E, Temperatures, exp2, random_bits, sample, whole
from quantize.weights import Matrix, Weights

Floats = NDArray[np.float32]

EPSILON = np.float32(1e-5)  # of the norm
LANES = 16
SMALLEST = np.float32(1e-30)  # a vector with no number above this counts as zero
DENOMINATOR_ONE = np.float32(1 << 20)
ATTENTION_ONE = np.float32(16383.0)  # the largest attention weight: two digits of 7 bits
_Q_MAX = np.float32(127.0)


class Reference:
    """A network with its ring of keys and values. `Engine` keeps count of positions and calls this."""

    name = "numpy"

    def __init__(self, weights: Weights, max_rollback: int, candidate_tokens: int) -> None:
        shape = self.shape = weights.header.shape
        self.weights = weights
        self.capacity = shape.window + max_rollback
        self.turns = np.array(weights.header.rotary_turns, dtype=np.int64)
        self.score_gain = LOG2_E / np.sqrt(np.float32(shape.head_width))
        self.token_table = _Product(weights.token_table)
        self.layers = [tuple(_Product(matrix) for matrix in layer) for layer in weights.layers]
        # Behind the ring, candidates' own tokens: candidate c at depth t in slot capacity + c * depths + t.
        self.trace: list[Floats] | None = None  # the stream after each layer of each token, if wanted
        slots = self.capacity + candidate_tokens
        cache = (shape.layers, shape.heads, slots)
        self.keys = np.zeros((*cache, shape.head_width), np.int8)
        self.values = np.zeros((*cache, shape.head_width), np.int8)
        self.key_scales = np.zeros(cache, np.float32)
        self.value_scales = np.zeros(cache, np.float32)
        self.last = np.zeros((slots, shape.width), np.int8)  # what the logits are made of, kept for rollback
        self.last_scales = np.zeros(slots, np.float32)

    @property
    def memory_bytes(self) -> int:
        """All arrays, the unpacked weights included."""
        own = (self.keys, self.values, self.key_scales, self.value_scales, self.last, self.last_scales)
        products = [self.token_table, *(p for layer in self.layers for p in layer)]
        return sum(a.nbytes for a in own) + sum(p.numbers.nbytes for p in products)

    def feed(self, position: int, start: int, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        """Feed consecutive tokens, the first at `position`; nothing before `start` is seen."""
        for at, (token, side) in enumerate(zip(tokens, sides, strict=True), position):
            first = max(start, at - self.shape.window + 1)
            self._feed(at, at % self.capacity, np.arange(first, at + 1) % self.capacity, token, side)

    def feed_candidates(
        self,
        position: int,
        start: int,
        fork: int,
        depths: int,
        tokens: Sequence[int],
        sides: Sequence[SideInput],
    ) -> None:
        """Feed each candidate its token at `position`; what lies before `fork` is shared."""
        first = max(start, position - self.shape.window + 1)
        shared = np.arange(first, fork) % self.capacity
        for candidate, (token, side) in enumerate(zip(tokens, sides, strict=True)):
            base = self.capacity + candidate * depths - fork
            own = np.arange(base + max(first, fork), base + position + 1)
            self._feed(position, base + position, np.concatenate([shared, own]), token, side)

    def keep(self, candidate: int, fork: int, depths: int, position: int) -> None:
        """Make a candidate's tokens from `fork` up to `position` (exclusive) part of the ring."""
        own = self.capacity + candidate * depths + np.arange(position - fork)
        ring = np.arange(fork, position) % self.capacity
        for cache in (self.keys, self.values, self.key_scales, self.value_scales):
            cache[:, :, ring] = cache[:, :, own]
        self.last[ring], self.last_scales[ring] = self.last[own], self.last_scales[own]

    def logits(self, slot: int, allowed: tuple[TokenRange, ...]) -> Floats:
        """Of the allowed ranges one after the other, after the token in `slot`."""
        q, scale = self.last[slot], self.last_scales[slot]
        return np.concatenate([self.token_table.times(q, scale, first, stop) for first, stop in allowed])

    def sample(
        self,
        slot: int,
        allowed: tuple[TokenRange, ...],
        temperatures: Temperatures,
        top_p: float,
        seed: int,
        count: int,
    ) -> int:
        """Draw the token that follows the one in `slot` with random number `count` of stream `seed`."""
        logits = self.logits(slot, allowed)
        return sample(logits, allowed, temperatures, top_p, random_bits(seed, count))

    def _feed(self, position: int, slot: int, seen: NDArray[np.int64], token: int, side: SideInput) -> None:
        with np.errstate(over="ignore"):  # hostile quant_scales may reach infinity, as they do in C
            self._compute(position, slot, seen, self._embed(token, side))

    def _compute(self, position: int, slot: int, seen: NDArray[np.int64], x: Floats) -> None:
        angle = position % self.shape.period * self.turns % self.shape.period
        cos, sin = self.weights.rotary_cos[angle], self.weights.rotary_sin[angle]
        for i, (qkv, out, up, down) in enumerate(self.layers):
            query, key, value = qkv.times(*_normed(x)).reshape(3, self.shape.heads, -1)
            query, key = _rotated(query, cos, sin), _rotated(key, cos, sin)
            self.keys[i, :, slot], self.key_scales[i, :, slot] = quantize_rows(key)
            self.values[i, :, slot], self.value_scales[i, :, slot] = quantize_rows(value)
            heard = self._attend(i, query, seen)
            x = x + out.times(*quantize_rows(heard.reshape(-1)))
            hidden = np.maximum(up.times(*_normed(x)), np.float32(0))
            x = x + down.times(*quantize_rows(hidden * hidden))
            if self.trace is not None:
                self.trace.append(x)
        self.last[slot], self.last_scales[slot] = _normed(x, self.weights.final_gain)

    def _embed(self, token: int, side: SideInput) -> Floats:
        table, side_table = self.weights.token_table, self.weights.side_table
        x: Floats = table.q[token].astype(np.float32) * table.quant_scales[token]
        for row, weight in side:
            x = x + side_table.q[row].astype(np.float32) * (np.float32(weight) * side_table.quant_scales[row])
        return x

    def _attend(self, layer: int, query: Floats, seen: NDArray[np.int64]) -> Floats:
        """query [heads, head_width] -> what is heard, the same shape."""
        q, q_scales = quantize_rows(query)
        exact = _exact_type(len(seen))
        dots = (self.keys[layer][:, seen].astype(np.float32) @ q.astype(np.float32)[:, :, None])[:, :, 0]
        scores = dots * (self.key_scales[layer][:, seen] * (q_scales * self.score_gain)[:, None])
        chances = exp2(scores - scores.max(axis=1, keepdims=True))
        total = whole(chances * DENOMINATOR_ONE).sum(axis=1, dtype=np.int64).astype(np.float32)
        chances = chances * self.value_scales[layer][:, seen]
        largest = chances.max(axis=1)
        heard_at_all = largest > SMALLEST
        gain = np.divide(ATTENTION_ONE, largest, where=heard_at_all, out=np.zeros_like(largest))
        digits = whole(chances * gain[:, None])
        values = self.values[layer][:, seen].astype(exact)
        high = ((digits >> 7).astype(exact)[:, None, :] @ values)[:, 0].astype(np.float32)
        low = ((digits & 127).astype(exact)[:, None, :] @ values)[:, 0].astype(np.float32)
        unit = (largest / ATTENTION_ONE) * (DENOMINATOR_ONE / total)
        heard: Floats = (high * np.float32(128.0) + low) * np.where(heard_at_all, unit, np.float32(0))[
            :, None
        ]
        return heard


class _Product:
    """A matrix ready for exact products with int8 vectors."""

    def __init__(self, matrix: Matrix) -> None:
        self.numbers = matrix.q.astype(_exact_type(matrix.q.shape[1]))
        self.quant_scales = matrix.quant_scales

    def times(
        self, q: NDArray[np.int8], scale: np.float32, first: int = 0, stop: int | None = None
    ) -> Floats:
        """Rows first..stop of the matrix times the vector q * scale."""
        sums: Floats = (self.numbers[first:stop] @ q.astype(self.numbers.dtype)).astype(np.float32)
        product: Floats = sums * (self.quant_scales[first:stop] * scale)
        return product


def quantize_rows(x: Floats) -> tuple[NDArray[np.int8], Any]:
    """x [..., n] -> int8 [..., n] and the quant_scales [...] that give x back: the largest becomes 127."""
    largest = np.abs(x).max(axis=-1)
    sounding = largest > SMALLEST
    gain = np.divide(_Q_MAX, largest, where=sounding, out=np.zeros_like(largest))
    quant_scales = np.where(sounding, largest / _Q_MAX, np.float32(0))
    return whole(x * gain[..., None]).astype(np.int8), quant_scales


def _normed(x: Floats, gain: Floats | None = None) -> tuple[NDArray[np.int8], np.float32]:
    """x over its root mean square, as int8 and quant_scale."""
    lanes = np.zeros(LANES, np.float32)
    for part in x.reshape(-1, LANES):
        lanes = lanes + part * part
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    root = np.sqrt(lanes[0] / np.float32(len(x)) + EPSILON)
    q, scale = quantize_rows(x if gain is None else x * gain)
    return q, np.float32(scale / root)


def _rotated(x: Floats, cos: Floats, sin: Floats) -> Floats:
    half = x.shape[1] // 2
    a, b = x[:, :half], x[:, half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=1)


def _exact_type(terms: int) -> type[np.float32] | type[np.float64]:
    """The float type in which a sum of so many products of int8 numbers is exact in any order."""
    return np.float32 if terms * 127 * 127 < 1 << 24 else np.float64
