"""Weights files for tests: rounded from an untrained network with every matrix drawn at random."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.conditioning import SIDE_ROWS, SideInput
from model.tokens import VOCABULARY_SIZE
from quantize.weights import Header, make_header, tensor_shapes, write_weights

SMALL = {"width": 32, "layers": 2, "heads": 2, "window": 64, "period": 256}


def random_header(checkpoints: int = 1, **sizes: int) -> Header:
    """A header of a network of the default 0.8 M shape, or with other sizes."""
    sizes = {"width": 128, "layers": 4, "heads": 4, "window": 512, "period": 4096} | sizes
    pairs, period = sizes["width"] // sizes["heads"] // 2, sizes["period"]
    turns = [max(1, round(period / (2 * np.pi) * 1000.0 ** (-j / pairs))) for j in range(pairs)]
    shape = sizes | {"rotary_base": 1000.0, "vocabulary": VOCABULARY_SIZE, "side_rows": SIDE_ROWS}
    steps = [{"step": k, "tokens_seen": 0} for k in range(checkpoints)]
    return make_header(shape, turns, ["noise"], steps, {"title": "noise"})


def random_tensors(header: Header, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Every tensor of one checkpoint: heavy-tailed numbers, matrices that keep the stream's size."""
    rng = np.random.default_rng(seed)
    shape = header.shape
    angles = np.arange(shape.period) * (2 * np.pi / shape.period)
    tensors: dict[str, NDArray[Any]] = {
        "final_gain": rng.normal(1.0, 0.2, shape.width).astype(np.float32),
        "rotary_cos": np.cos(angles).astype(np.float32),
        "rotary_sin": np.sin(angles).astype(np.float32),
    }
    for name, size in tensor_shapes(shape).items():
        if name.endswith(".q"):
            matrix = rng.standard_t(5, size)
            largest = np.abs(matrix).max(axis=1)
            gain = 0.05 if "table" in name else 2.0 / np.sqrt(size[1])
            tensors[name] = np.rint(matrix * (127 / largest)[:, None]).astype(np.int8)
            tensors[name[:-2] + ".scale"] = (largest * gain / 127).astype(np.float32)
    return tensors


def random_file(path: Path, seed: int = 0, checkpoints: int = 1, **sizes: int) -> Path:
    """Write a weights file of random checkpoints."""
    header = random_header(checkpoints, **sizes)
    write_weights(path, header, [random_tensors(header, seed + k) for k in range(checkpoints)])
    return path


def random_sides(rng: np.random.Generator, count: int) -> list[SideInput]:
    """Side inputs with nought to four weighted rows each."""
    return [
        [(int(rng.integers(SIDE_ROWS)), float(rng.random())) for _ in range(rng.integers(5))]
        for _ in range(count)
    ]
