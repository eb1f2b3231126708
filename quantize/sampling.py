"""Drawing a token: temperature, top-p and a counted random number. The truth for kernel/sample.c.

After one exponential each, all weights are whole numbers, so every sum is exact and every machine draws
the same token.

Temperature works within a class (shifts: rhythm, notes: pitch, touches: touch). Which class comes next,
time or another note, is a matter of rhythm: each class weighs what it would weigh if the rhythm's
temperature held for all. With equal temperatures this is the ordinary softmax.
"""

import numpy as np
from numpy.typing import NDArray

from model.tokens import FIRST_NOTE, FIRST_TOUCH, TokenRange

Floats = NDArray[np.float32]
Temperatures = tuple[
    float, float, float
]  # of rhythm (shifts), pitch (notes), touch; under 0.01 counts as 0.01

WEIGHT_ONE = np.float32(1 << 22)  # the weight of a class's likeliest token
LOWEST_TEMPERATURE = 0.01  # as good as always taking the likeliest
LOG2_E = np.float32(1.4426950408889634)
_ROUND = np.float32(12582912.0)  # 1.5 * 2**23: adding it rounds to the nearest whole number, ties to even
_LOWEST_POWER = np.float32(-64.0)
_ROUND_BITS = np.int32(0x4B400000)
# 2**f on [-1/2, 1/2], least maximal relative error (1e-7), constant term 1.
_EXP2 = tuple(
    np.float32(float.fromhex(c))
    for c in (
        "0x1.5bb9e6p-10",
        "0x1.3cea8cp-7",
        "0x1.c6b754p-5",
        "0x1.ebf9bcp-3",
        "0x1.62e42ap-1",
        "0x1p0",
    )
)


def whole(x: Floats) -> NDArray[np.int32]:
    """To the nearest whole number, ties to even; |x| below 2**22."""
    return (x + _ROUND).view(np.int32) - _ROUND_BITS


def exp2(x: Floats) -> Floats:
    """2**x for x up to 0, the same bits on every machine; nothing from -64 down."""
    sounding = x > _LOWEST_POWER
    x = np.maximum(x, _LOWEST_POWER)
    shifted = x + _ROUND
    fraction = x - (shifted - _ROUND)
    power = np.full_like(x, _EXP2[0])
    for c in _EXP2[1:]:
        power = power * fraction + c
    power = (power.view(np.int32) + ((shifted.view(np.int32) - _ROUND_BITS) << 23)).view(np.float32)
    return np.where(sounding, power, np.float32(0))


def random_bits(seed: int, count: int) -> int:
    """Number `count` of the stream `seed` of splitmix64 (Steele, Lea & Flood, OOPSLA 2014): 64 bits."""
    mask = (1 << 64) - 1
    z = (seed + (count + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def sample(
    logits: Floats,
    allowed: tuple[TokenRange, ...],
    temperatures: Temperatures,
    top_p: float,
    random: int,
) -> int:
    """A token of the `allowed` ranges, `logits` being theirs one range after the other.

    `top_p` in 0..1 keeps the likeliest tokens that together reach it (at least one; of equally likely
    ones the lower token first); `random` 64 random bits.
    """
    tokens = np.concatenate([np.arange(first, stop) for first, stop in allowed])
    weights = _weights(logits, tokens, temperatures)
    total = int(weights.sum())
    target = min(max(int(top_p * float(total)), 1), total)
    order = np.argsort(-weights, kind="stable")
    kept = order[: int(np.searchsorted(np.cumsum(weights[order]), target)) + 1]
    kept.sort()
    reached = np.cumsum(weights[kept])
    drawn = (random * int(reached[-1])) >> 64
    return int(tokens[kept[int(np.searchsorted(reached, drawn, side="right"))]])


def _weights(logits: Floats, tokens: NDArray[np.int64], temperatures: Temperatures) -> NDArray[np.int64]:
    inverse = [LOG2_E / np.float32(max(t, LOWEST_TEMPERATURE)) for t in temperatures]
    classes = (tokens >= FIRST_NOTE).astype(np.int64) + (tokens >= FIRST_TOUCH)
    present = np.unique(classes)
    if len(present) == 1:
        return _softmax_weights(logits, inverse[present[0]])
    weights = _softmax_weights(logits, inverse[0])
    for kind in present:
        if inverse[kind] != inverse[0]:
            members = classes == kind
            own = _softmax_weights(logits[members], inverse[kind])
            factor = float(weights[members].sum()) / float(own.sum())
            weights[members] = (own.astype(np.float64) * factor).astype(np.int64)
    return weights


def _softmax_weights(logits: Floats, inverse: np.float32) -> NDArray[np.int64]:
    return (exp2((logits - logits.max()) * inverse) * WEIGHT_ONE).astype(np.int64)
