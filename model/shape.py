"""Sizes of a network, on which training, the weights file and the engine agree. No torch."""

import math
from typing import Annotated, Any

import msgspec

from model.conditioning import SIDE_ROWS
from model.tokens import VOCABULARY_SIZE


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes that the kernels can play; `window` and `period` in tokens. Bounds are checked when it is read."""

    width: Annotated[int, msgspec.Meta(ge=16, le=1024, multiple_of=16)]
    layers: Annotated[int, msgspec.Meta(ge=1, le=32)]
    heads: Annotated[int, msgspec.Meta(ge=1, le=64)]
    window: Annotated[int, msgspec.Meta(ge=16, le=2048, multiple_of=16)]
    period: Annotated[int, msgspec.Meta(ge=32, le=1 << 16)] = 4096  # a power of two, well over the window
    rotary_base: float = 1000.0
    vocabulary: int = VOCABULARY_SIZE
    side_rows: int = SIDE_ROWS

    @property
    def hidden(self) -> int:
        """Width of the layer between `up` and `down`."""
        return 4 * self.width

    @property
    def head_width(self) -> int:
        """Numbers a head."""
        return self.width // self.heads

    def as_dict(self) -> dict[str, Any]:
        """For checkpoints and the weights file's header."""
        return msgspec.structs.asdict(self)


def rotary_turns(shape: Shape) -> list[int]:
    """Whole turns in `period` steps for each pair of a head's numbers: [head_width / 2], at least 1."""
    pairs = shape.head_width // 2
    turns = [shape.period / (2 * math.pi) * shape.rotary_base ** (-j / pairs) for j in range(pairs)]
    return [max(1, round(t)) for t in turns]
