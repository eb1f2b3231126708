"""The weights file: safetensors with a checked header. Read, check, write.

All that crosses from training to the box, so it is treated as hostile: nothing in it is believed before it
has been compared with what the header, the vocabulary and the kernels allow. docs/weights.md states every
field.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from model.conditioning import MAX_SOURCES, SIDE_ROWS
from model.errors import NoonsongError
from model.shape import Shape
from model.tokens import VOCABULARY_SIZE, vocabulary_hash

MAGIC = "noonsong-weights"
VERSION = 1
METADATA_KEY = "noonsong"
SCHEME = "int8-row"  # symmetric, one scale a row
LARGEST_QUANT_SCALE = 1000.0  # keeps every product of the step finite in float32 (docs/engine.md)
LARGEST_FILE = 1 << 30

Int8s = NDArray[np.int8]
Floats = NDArray[np.float32]
Tensors = Mapping[str, NDArray[Any]]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says about itself."""

    magic: str
    version: int
    vocabulary_hash: str
    shape: Shape
    rotary_turns: list[int]  # whole turns in `period` steps, one a pair of a head's numbers
    sources: Annotated[list[str], msgspec.Meta(max_length=MAX_SOURCES)]  # index = source row
    checkpoints: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=256)]  # oldest first
    card: dict[str, Any]
    quantization: dict[str, Any]


class Matrix(NamedTuple):
    """`q` [rows, columns] int8 times `quant_scales` [rows] is the matrix."""

    q: Int8s
    quant_scales: Floats


class LayerWeights(NamedTuple):
    """The four matrices of a layer, rows = outputs."""

    qkv: Matrix
    out: Matrix
    up: Matrix
    down: Matrix


class Weights(NamedTuple):
    """One checkpoint of a file, checked."""

    header: Header
    token_table: Matrix
    side_table: Matrix
    layers: tuple[LayerWeights, ...]
    final_gain: Floats  # [width]
    rotary_cos: Floats  # [period]
    rotary_sin: Floats


def tensor_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Every matrix of a checkpoint by name and its [rows, columns]; .q and .scale make its two tensors."""
    width = shape.width
    matrices = {"token_table": (shape.vocabulary, width), "side_table": (shape.side_rows, width)}
    for i in range(shape.layers):
        matrices |= {
            f"layers.{i}.qkv": (3 * width, width),
            f"layers.{i}.out": (width, width),
            f"layers.{i}.up": (shape.hidden, width),
            f"layers.{i}.down": (width, shape.hidden),
        }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (rows, columns) in matrices.items():
        shapes[name + ".q"] = (rows, columns)
        shapes[name + ".scale"] = (rows,)
    return shapes | {
        "final_gain": (width,),
        "rotary_cos": (shape.period,),
        "rotary_sin": (shape.period,),
    }


def read_header(path: str | os.PathLike[str]) -> Header:
    """The checked header alone. Raises NoonsongError."""
    with _opened(path) as file:
        return _checked_header(path, file.metadata())


def read_weights(path: str | os.PathLike[str], checkpoint: int = -1) -> Weights:
    """One checkpoint of a file (0 the youngest in training, -1 the finished one), every value checked.

    Raises NoonsongError naming what is wrong.
    """
    with _opened(path) as file:
        header = _checked_header(path, file.metadata())
        count = len(header.checkpoints)
        if not -count <= checkpoint < count:
            raise NoonsongError(f"{path} holds {count} checkpoints, there is no number {checkpoint}.")
        checkpoint %= count
        shapes = tensor_shapes(header.shape)
        expected = {f"checkpoint.{k}.{name}" for k in range(count) for name in shapes}
        found = set(file.keys())
        if found != expected:
            name = min(found ^ expected)
            raise _broken(path, f"tensor {name[:80]!r} is {'not known' if name in found else 'missing'}")
        tensors: dict[str, NDArray[Any]] = {}
        for name, shape in shapes.items():
            full_name = f"checkpoint.{checkpoint}.{name}"
            part = file.get_slice(full_name)
            dtype = "I8" if name.endswith(".q") else "F32"
            if tuple(part.get_shape()) != shape or part.get_dtype() != dtype:
                raise _broken(
                    path,
                    f"tensor {full_name} is {part.get_dtype()} {part.get_shape()}"
                    f" and has to be {dtype} {list(shape)}",
                )
            tensors[name] = file.get_tensor(full_name)
    for name, tensor in tensors.items():
        fault = _fault(name, tensor)
        if fault:
            raise _broken(path, f"tensor checkpoint.{checkpoint}.{name} {fault}")
    return _assembled(header, tensors)


def write_weights(path: str | os.PathLike[str], header: Header, checkpoints: Sequence[Tensors]) -> None:
    """Write `checkpoints` (oldest first; the names of `tensor_shapes`) so that it is whole or absent."""
    path = Path(path)
    tensors = {
        f"checkpoint.{k}.{name}": np.ascontiguousarray(tensor)
        for k, checkpoint in enumerate(checkpoints)
        for name, tensor in checkpoint.items()
    }
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, metadata={METADATA_KEY: json.dumps(msgspec.to_builtins(header))})
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise NoonsongError(f"{path} cannot be written: {error.strerror or error}.") from error


def make_header(
    shape: Mapping[str, Any],
    rotary_turns: Sequence[int],
    sources: Sequence[str],
    checkpoints: Sequence[Mapping[str, Any]],
    card: Mapping[str, Any],
) -> Header:
    """A header of this version for weights of a `shape` (the names of `Shape`). Raises NoonsongError."""
    header = {
        "magic": MAGIC,
        "version": VERSION,
        "vocabulary_hash": vocabulary_hash(),
        "shape": dict(shape),
        "rotary_turns": list(rotary_turns),
        "sources": list(sources),
        "checkpoints": [dict(c) for c in checkpoints],
        "card": dict(card),
        "quantization": {"scheme": SCHEME},
    }
    return _checked_header("the new file", {METADATA_KEY: json.dumps(header)})


def _broken(path: str | os.PathLike[str], fault: str) -> NoonsongError:
    return NoonsongError(
        f"{path} cannot be played: {fault}. Copy it again, or make it anew with `noonsong quantize`."
    )


def _opened(path: str | os.PathLike[str]) -> Any:
    try:
        size = Path(path).stat().st_size
        if size > LARGEST_FILE:
            raise _broken(path, f"it has {size} bytes, more than any weights file")
        return safe_open(path, framework="numpy")
    except OSError as error:
        raise NoonsongError(
            f"{path} cannot be opened: {error.strerror or error}. "
            " Name a weights file made by `noonsong quantize`."
        ) from error
    except SafetensorError as error:
        raise _broken(path, f"it is not a whole safetensors file ({error})") from error


class _Stamp(msgspec.Struct):
    magic: str = ""
    version: int = 0


def _checked_header(path: str | os.PathLike[str], metadata: Mapping[str, str] | None) -> Header:
    text = (metadata or {}).get(METADATA_KEY)
    if text is None:
        raise _broken(path, f"it is a safetensors file without the header {METADATA_KEY!r}")
    try:
        stamp = msgspec.json.decode(text, type=_Stamp)
        if stamp.magic != MAGIC:
            raise _broken(path, f"its magic is {stamp.magic[:40]!r} and has to be {MAGIC!r}")
        if stamp.version != VERSION:
            raise NoonsongError(
                f"{path} is a weights file of version {stamp.version}; this noonsong reads version {VERSION}."
                " Install the noonsong that made it, or make it anew with `noonsong quantize`."
            )
        header = msgspec.json.decode(text, type=Header)
    except msgspec.MsgspecError as error:
        raise _broken(path, f"its header is wrong: {error}") from error
    except RecursionError as error:
        raise _broken(path, "its header is nested too deep") from error
    fault = _header_fault(header)
    if fault:
        raise _broken(path, fault)
    return header


def _header_fault(header: Header) -> str | None:
    shape = header.shape
    if header.vocabulary_hash != vocabulary_hash():
        return (
            f"its vocabulary {header.vocabulary_hash[:40]!r} is not this noonsong's {vocabulary_hash()!r},"
            " so its tokens mean other notes"
        )
    if (shape.vocabulary, shape.side_rows) != (VOCABULARY_SIZE, SIDE_ROWS):
        return (
            f"it has {shape.vocabulary} tokens and {shape.side_rows} side rows,"
            f" and has to have {VOCABULARY_SIZE} and {SIDE_ROWS}"
        )
    if shape.width % shape.heads or shape.head_width % 16:
        return f"its {shape.heads} heads do not divide the width {shape.width} into multiples of 16"
    if shape.period & (shape.period - 1) or shape.period <= shape.window:
        return f"its period {shape.period} is not a power of two over the window {shape.window}"
    if not math.isfinite(shape.rotary_base):
        return "its rotary_base is not a number"
    turns = header.rotary_turns
    if len(turns) != shape.head_width // 2 or not all(1 <= t <= shape.period for t in turns):
        return f"its rotary_turns are not {shape.head_width // 2} numbers from 1 to {shape.period}"
    if header.quantization.get("scheme") != SCHEME:
        return f"its quantization scheme is {str(header.quantization.get('scheme'))[:40]!r}, not {SCHEME!r}"
    return None


def _fault(name: str, tensor: NDArray[Any]) -> str | None:
    if name.endswith(".q"):
        return "holds -128; -127 to 127 are allowed" if tensor.min() == -128 else None
    high = 1.0 if name.startswith("rotary") else LARGEST_QUANT_SCALE
    low = 0.0 if name.endswith(".scale") else -high
    # Written so that NaN fails too.
    return (
        None
        if bool(((tensor >= low) & (tensor <= high)).all())
        else f"has values outside {low:g} to {high:g}"
    )


def _assembled(header: Header, tensors: Tensors) -> Weights:
    def matrix(name: str) -> Matrix:
        return Matrix(tensors[name + ".q"], tensors[name + ".scale"])

    layers = tuple(
        LayerWeights(*(matrix(f"layers.{i}.{part}") for part in LayerWeights._fields))
        for i in range(header.shape.layers)
    )
    return Weights(
        header,
        matrix("token_table"),
        matrix("side_table"),
        layers,
        tensors["final_gain"],
        tensors["rotary_cos"],
        tensors["rotary_sin"],
    )
