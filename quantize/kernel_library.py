"""The C kernel behind the same calls as reference.Reference, through ctypes: no interpreter lock is held."""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int32, c_int64, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.conditioning import SideInput
from model.tokens import FIRST_NOTE, FIRST_TOUCH, TokenRange
from quantize.kernel import interface
from quantize.sampling import LOG2_E, Temperatures
from quantize.weights import Weights

LIBRARY = Path(__file__).with_name("_kernel.so")
_CHUNK = 64  # tokens a call
_MOST_PAIRS = 32  # side pairs a token
_TOKENS_PART = 4  # NS_TOKENS
_MASK = (1 << 64) - 1


_SIZES = ("width", "layers", "heads", "window", "period", "vocabulary", "side_rows", "capacity",
          "candidate_tokens", "first_note", "first_touch")  # fmt: skip


class _Shape(ctypes.Structure):
    _fields_ = [
        *((name, c_int32) for name in _SIZES),
        ("score_gain", c_float),
    ]


class _Input(ctypes.Structure):
    _fields_ = [
        ("count", c_int32),
        ("tokens", POINTER(c_int32)),
        ("pairs", POINTER(c_int32)),
        ("rows", POINTER(c_int32)),
        ("weights", POINTER(c_float)),
    ]


class _Ranges(ctypes.Structure):
    _fields_ = [("count", c_int32), ("bounds", POINTER(c_int32))]


# Results and arguments of every function of step.h.
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "ns_interface": (c_char_p, ()),
    "ns_kernel_name": (c_char_p, (c_int32,)),
    "ns_kernel_runs": (c_int32, (c_int32,)),
    "ns_memory": (c_int64, (POINTER(_Shape),)),
    "ns_start": (c_void_p, (c_void_p, POINTER(_Shape), c_int32)),
    "ns_set_matrix": (None, (c_void_p, c_int32, c_int32, c_void_p, c_void_p)),
    "ns_set_tables": (None, (c_void_p,) * 7),
    "ns_feed": (c_int32, (c_void_p, c_int64, c_int64, POINTER(_Input))),
    "ns_feed_candidates": (c_int32, (c_void_p, c_int64, c_int64, c_int64, c_int32, POINTER(_Input))),
    "ns_keep": (None, (c_void_p, c_int32, c_int64, c_int32, c_int64)),
    "ns_logits": (None, (c_void_p, c_int32, POINTER(_Ranges), c_void_p)),
    "ns_sample": (
        c_int32,
        (c_void_p, c_int32, POINTER(_Ranges), *(c_float,) * 3, c_double, *(c_uint64,) * 2),
    ),
}


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None when none was compiled for this machine, or from another step.h."""
    try:
        loaded = ctypes.CDLL(str(LIBRARY))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        return None
    return loaded if loaded.ns_interface().decode() == interface() else None


def kernels() -> dict[str, int]:
    """Names of the kernels that this processor runs -> their numbers, the fastest first."""
    loaded = library()
    names: dict[str, int] = {}
    number = 0
    while loaded and (name := loaded.ns_kernel_name(number)):
        if loaded.ns_kernel_runs(number):
            names[name.decode()] = number
        number += 1
    return names


class Kernel:
    """As Reference, bit for bit; one arena, allocated here."""

    def __init__(self, weights: Weights, max_rollback: int, candidate_tokens: int, name: str) -> None:
        loaded = library()
        assert loaded is not None
        self.name = name
        self._c = loaded
        shape = weights.header.shape
        self._capacity = shape.window + max_rollback
        gain = LOG2_E / np.sqrt(np.float32(shape.head_width))
        sizes = _Shape(
            *(shape.width, shape.layers, shape.heads, shape.window, shape.period, shape.vocabulary),
            *(shape.side_rows, self._capacity, candidate_tokens, FIRST_NOTE, FIRST_TOUCH, gain),
        )
        self._memory = np.zeros(self._c.ns_memory(byref(sizes)) + 64, np.uint8)
        self._start(weights, sizes)
        self._tokens, self._pairs = (c_int32 * _CHUNK)(), (c_int32 * _CHUNK)()
        self._rows, self._weights = (c_int32 * (_CHUNK * _MOST_PAIRS))(), (c_float * (_CHUNK * _MOST_PAIRS))()
        self._input = _Input(0, self._tokens, self._pairs, self._rows, self._weights)
        self._input_ref = byref(self._input)
        self._ranges: dict[tuple[TokenRange, ...], Any] = {}

    @property
    def memory_bytes(self) -> int:
        """The arena."""
        return self._memory.nbytes

    def feed(self, position: int, start: int, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        """Feed consecutive tokens, the first at `position`; nothing before `start` is seen."""
        for i in range(0, len(tokens), _CHUNK):
            self._fill(tokens[i : i + _CHUNK], sides[i : i + _CHUNK])
            self._c.ns_feed(self._engine, position + i, start, self._input_ref)

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
        self._fill(tokens, sides)
        self._c.ns_feed_candidates(self._engine, position, start, fork, depths, self._input_ref)

    def keep(self, candidate: int, fork: int, depths: int, position: int) -> None:
        """Make a candidate's tokens from `fork` up to `position` (exclusive) part of the ring."""
        self._c.ns_keep(self._engine, candidate, fork, depths, position)

    def logits(self, slot: int, allowed: tuple[TokenRange, ...]) -> NDArray[np.float32]:
        """Of the allowed ranges one after the other, after the token in `slot`."""
        logits = np.empty(sum(stop - first for first, stop in allowed), np.float32)
        self._c.ns_logits(self._engine, slot, self._allowed(allowed), logits.ctypes.data)
        return logits

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
        ranges = self._allowed(allowed)
        token: int = self._c.ns_sample(self._engine, slot, ranges, *temperatures, top_p, seed & _MASK, count)
        return token

    def _start(self, weights: Weights, sizes: _Shape) -> None:
        arena = -(-self._memory.ctypes.data // 64) * 64
        self._engine = self._c.ns_start(arena, byref(sizes), kernels()[self.name])
        table = weights.token_table
        parts = [(0, _TOKENS_PART, table)]
        parts += [(i, part, m) for i, layer in enumerate(weights.layers) for part, m in enumerate(layer)]
        for layer_number, part, m in parts:
            q, scales = np.ascontiguousarray(m.q), np.ascontiguousarray(m.quant_scales)
            self._c.ns_set_matrix(self._engine, layer_number, part, q.ctypes.data, scales.ctypes.data)
        turns = np.array(weights.header.rotary_turns, np.int32)
        tables = (*weights.side_table, weights.final_gain, weights.rotary_cos, weights.rotary_sin, turns)
        held = [np.ascontiguousarray(t) for t in tables]
        self._c.ns_set_tables(self._engine, *(t.ctypes.data for t in held))

    def _fill(self, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        count = len(tokens)
        self._tokens[:count] = list(tokens)
        self._pairs[:count] = [len(side) for side in sides]
        self._input.count = count
        if count == 1:  # the way it is while playing: quicker than slices
            at, rows, weights = 0, self._rows, self._weights
            for rows[at], weights[at] in sides[0]:
                at += 1
            return
        flat = [pair for side in sides for pair in side]
        self._rows[: len(flat)] = [row for row, _ in flat]
        self._weights[: len(flat)] = [weight for _, weight in flat]

    def _allowed(self, allowed: tuple[TokenRange, ...]) -> Any:
        known = self._ranges.get(allowed)
        if known is None:
            if len(self._ranges) > 4096:
                self._ranges.clear()
            bounds = [bound for pair in allowed for bound in pair]
            known = self._ranges[allowed] = byref(_Ranges(len(allowed), (c_int32 * len(bounds))(*bounds)))
        return known
