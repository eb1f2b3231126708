"""Finds pieces that are the same music: MinHash over intervals and rhythm, so keys do not matter.

Broder, "On the resemblance and containment of documents" (1997), with the bands of Leskovec, Rajaraman and
Ullman, "Mining of Massive Datasets", chapter 3.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from model.archive.piece import Notes

HASHES = 64
BANDS = 16
ROWS = HASHES // BANDS
NGRAM = 6
LIKENESS = 0.4  # share of signature entries that duplicates have in common
_MIX = np.random.default_rng(20).integers(1, 2**63, size=(2, HASHES), dtype=np.uint64) | np.uint64(1)

Signature = NDArray[np.uint64]  # [HASHES]


def signature(notes: Notes) -> Signature:
    """MinHash of the top line's n-grams: intervals and ratios of the times between its onsets."""
    grams = _grams(notes)
    if len(grams) == 0:
        return np.zeros(HASHES, np.uint64)
    with np.errstate(over="ignore"):
        mixed = grams[:, None] * _MIX[0] + _MIX[1]
        mixed ^= mixed >> np.uint64(31)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
    result: Signature = mixed.min(axis=0)
    return result


def _grams(notes: Notes) -> NDArray[np.uint64]:
    ticks = notes["tick"]
    starts = np.flatnonzero(np.concatenate(([True], ticks[1:] != ticks[:-1])))
    top = np.maximum.reduceat(notes["pitch"].astype(np.int64), starts)
    onsets = ticks[starts].astype(np.int64)
    if len(top) < NGRAM + 2:
        return np.empty(0, np.uint64)
    intervals = np.diff(top)
    gaps = np.maximum(1, np.diff(onsets))
    ratios = np.clip(np.rint(2 * np.log2(gaps[1:] / gaps[:-1])), -8, 8).astype(np.int64)
    symbols = ((intervals[1:] + 128) * 32 + ratios + 16).astype(np.uint64)
    gram = np.zeros(len(symbols) - NGRAM + 1, np.uint64)
    with np.errstate(over="ignore"):
        for i in range(NGRAM):
            gram = gram * np.uint64(1_000_003) + symbols[i : i + len(gram)]
    return np.unique(gram)


def band_keys(sign: Signature) -> list[int]:
    """A key for each band: two pieces that share one are worth comparing. Signed 64-bit, for SQLite."""
    if not sign.any():
        return []
    return [
        int.from_bytes(
            hashlib.blake2b(bytes([band]) + part.tobytes(), digest_size=8).digest(), "big", signed=True
        )
        for band, part in enumerate(sign.reshape(BANDS, ROWS))
    ]


def likeness(a: Signature, b: Signature) -> float:
    """Estimated share of n-grams that two pieces have in common."""
    return float((a == b).mean())
