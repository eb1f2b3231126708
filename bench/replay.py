"""replay.c's side in Python: the dump it reads, and the same game played by an Engine."""

from pathlib import Path

import numpy as np

from model.tokens import END, FIRST_NOTE, FIRST_SHIFT, FIRST_TOUCH, VOCABULARY_SIZE
from quantize.engine import CANDIDATE_TOKENS, MAX_ROLLBACK, Engine
from quantize.sampling import LOG2_E
from quantize.weights import read_weights

PROGRAM = Path(__file__).with_name("replay.c")


def dump(weights_file: Path, to: Path) -> Path:
    """Write a weights file as the plain arrays that replay.c reads."""
    weights = read_weights(weights_file)
    shape = weights.header.shape
    sizes: tuple[int, ...] = (
        shape.width,
        shape.layers,
        shape.heads,
        shape.window,
        shape.period,
        shape.vocabulary,
    )
    sizes += (shape.side_rows, shape.window + MAX_ROLLBACK, CANDIDATE_TOKENS, FIRST_NOTE, FIRST_TOUCH)
    parts = [np.array(sizes, np.int32), LOG2_E / np.sqrt(np.float32(shape.head_width))]
    parts += [
        *weights.token_table,
        *(array for layer in weights.layers for matrix in layer for array in matrix),
    ]
    parts += [*weights.side_table, weights.final_gain, weights.rotary_cos, weights.rotary_sin]
    parts += [np.array(weights.header.rotary_turns, np.int32)]
    to.write_bytes(b"".join(part.tobytes() for part in parts))
    return to


def play(engine: Engine, tokens: int) -> list[int]:
    """What replay.c draws with context 0."""
    token, drawn = END, []
    for i in range(tokens):
        rows = engine.shape.side_rows
        engine.step(token, [(i * 7 % rows, 0.75), (i * 13 % rows, 0.5)])
        onset = ((FIRST_SHIFT, FIRST_NOTE), (FIRST_NOTE + i % 100, FIRST_TOUCH))
        allowed = ((FIRST_TOUCH, VOCABULARY_SIZE),) if i % 2 else onset
        temperatures = (1.0, 0.75 if i % 3 else 1.0, 0.5)
        token = engine.sample(allowed, temperatures, 0.875 if i % 5 else 1.0, 1)
        drawn.append(token)
    return drawn
