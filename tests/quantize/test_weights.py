"""The weights file: what is written is read, and whatever else comes is refused with a sentence."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.conditioning import SIDE_ROWS
from model.errors import NoonsongError
from model.tokens import VOCABULARY_SIZE
from quantize.engine import Engine
from quantize.weights import METADATA_KEY, make_header, read_header, read_weights, write_weights
from tests.quantize.factory import SMALL, random_file, random_header, random_tensors


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_file(tmp_path_factory.mktemp("weights") / "small.safetensors", checkpoints=3, **SMALL)


def changed(path: Path, to: Path, header: dict[str, Any] | None = None, **shape: Any) -> Path:
    """A copy with other words in its header."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    outer = json.loads(data[8 : 8 + length])
    inner = json.loads(outer["__metadata__"][METADATA_KEY])
    inner |= header or {}
    inner["shape"] |= shape
    outer["__metadata__"][METADATA_KEY] = json.dumps(inner)
    text = json.dumps(outer).encode()
    to.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return to


def test_reads_what_was_written(tmp_path: Path) -> None:
    header = random_header(2, **SMALL)
    checkpoints = [random_tensors(header, seed) for seed in (1, 2)]
    write_weights(tmp_path / "new" / "w", header, checkpoints)
    assert read_header(tmp_path / "new" / "w") == header
    for k, tensors in enumerate(checkpoints):
        weights = read_weights(tmp_path / "new" / "w", k)
        np.testing.assert_array_equal(weights.token_table.q, tensors["token_table.q"])
        np.testing.assert_array_equal(weights.layers[1].down.quant_scales, tensors["layers.1.down.scale"])
        np.testing.assert_array_equal(weights.rotary_sin, tensors["rotary_sin"])
    newest = read_weights(tmp_path / "new" / "w").final_gain
    np.testing.assert_array_equal(newest, checkpoints[-1]["final_gain"])
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["w"]


def test_checkpoints_sound_different(path: Path) -> None:
    heard = []
    for checkpoint in range(3):
        engine = Engine.load(path, checkpoint)
        engine.step(0, [])
        heard.append(engine.logits(((0, VOCABULARY_SIZE),)).tolist())
    assert heard[0] != heard[1] != heard[2]
    with pytest.raises(NoonsongError, match="3 checkpoints, there is no number 3"):
        Engine.load(path, 3)


@pytest.mark.parametrize(
    ("header", "shape", "sentence"),
    [
        ({"magic": "tune"}, {}, "its magic is 'tune'"),
        ({"version": 2}, {}, "version 2; this noonsong reads version 1"),
        ({"version": "x"}, {}, "header is wrong"),
        ({"vocabulary_hash": "0" * 16}, {}, "its tokens mean other notes"),
        ({"rotary_turns": [1]}, {}, "rotary_turns are not 8 numbers"),
        ({"rotary_turns": [0] * 8}, {}, "rotary_turns are not 8 numbers"),
        ({"rotary_turns": [10**30] * 8}, {}, "rotary_turns are not 8 numbers"),
        ({"sources": ["s"] * 17}, {}, "header is wrong"),
        ({"checkpoints": []}, {}, "header is wrong"),
        ({"checkpoints": [{}] * 4}, {}, "is missing"),
        ({"checkpoints": [{}] * 2}, {}, "is not known"),
        ({"quantization": {"scheme": "int4"}}, {}, "scheme is 'int4'"),
        ({"surprise": 1}, {}, "unknown field"),
        ({}, {"width": 1 << 40}, "header is wrong"),
        ({}, {"width": -32}, "header is wrong"),
        ({}, {"width": 48}, "do not divide the width 48|has to be"),
        ({}, {"width": 64}, "rotary_turns are not 16 numbers"),
        ({}, {"width": 64, "heads": 4}, "has to be"),
        ({}, {"layers": 3}, "is missing"),
        ({}, {"heads": 4}, "into multiples of 16"),
        ({}, {"heads": 0}, "header is wrong"),
        ({}, {"window": 1 << 20}, "header is wrong"),
        ({}, {"window": 256}, "not a power of two over the window"),
        ({}, {"period": 384}, "not a power of two over the window"),
        ({}, {"period": 512}, "has to be F32"),
        ({}, {"vocabulary": 10}, f"has to have {VOCABULARY_SIZE} and {SIDE_ROWS}"),
        ({}, {"rotary_base": 1e999}, "header is wrong|not a number"),
    ],
)
def test_refuses_a_header(
    path: Path, tmp_path: Path, header: dict[str, Any], shape: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(NoonsongError, match=sentence):
        Engine.load(changed(path, tmp_path / "w", header, **shape))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("layers.1.up.scale", np.nan, "has values outside 0 to 1000"),
        ("layers.1.up.scale", np.inf, "has values outside 0 to 1000"),
        ("layers.0.down.scale", -1e-9, "has values outside 0 to 1000"),
        ("token_table.scale", 1e38, "has values outside 0 to 1000"),
        ("final_gain", np.nan, "has values outside -1000 to 1000"),
        ("rotary_cos", 1.5, "has values outside -1 to 1"),
        ("layers.0.qkv.q", -128, "holds -128"),
    ],
)
def test_refuses_values(tmp_path: Path, name: str, value: float, sentence: str) -> None:
    header = random_header(**SMALL)
    tensors = random_tensors(header)
    tensors[name] = tensors[name].copy()
    tensors[name].flat[-1] = value
    write_weights(tmp_path / "w", header, [tensors])
    with pytest.raises(NoonsongError, match=f"{name} {sentence}"):
        Engine.load(tmp_path / "w")


def test_refuses_other_types_and_sizes(tmp_path: Path) -> None:
    header = random_header(**SMALL)
    for name, array in (
        ("layers.0.qkv.q", np.zeros((96, 32), np.int16)),
        ("layers.0.qkv.q", np.zeros((32, 96), np.int8)),
        ("final_gain", np.zeros(32, np.float64)),
        ("final_gain", np.zeros((0,), np.float32)),
    ):
        write_weights(tmp_path / "w", header, [random_tensors(header) | {name: array}])
        with pytest.raises(NoonsongError, match="has to be"):
            Engine.load(tmp_path / "w")


def test_refuses_what_is_no_weights_file(tmp_path: Path) -> None:
    whole = random_file(tmp_path / "whole", **SMALL).read_bytes()
    for data in (b"", b"MThd", whole[:7], whole[:100], whole[:-1], whole + b"\0", b"\xff" * 64, bytes(4096)):
        (tmp_path / "w").write_bytes(data)
        with pytest.raises(NoonsongError, match="w cannot be played"):
            Engine.load(tmp_path / "w")
    with pytest.raises(NoonsongError, match="cannot be opened"):
        Engine.load(tmp_path / "nowhere")
    with pytest.raises(NoonsongError, match=r"cannot be (opened|played)"):
        Engine.load(tmp_path)
    deep = '{"__metadata__":{"noonsong":"' + "[" * 100_000 + '"}}'
    (tmp_path / "w").write_bytes(struct.pack("<Q", len(deep)) + deep.encode())
    with pytest.raises(NoonsongError, match="cannot be played"):
        Engine.load(tmp_path / "w")


def test_refuses_sizes_the_kernels_cannot_play() -> None:
    with pytest.raises(NoonsongError, match="the new file cannot be played"):
        make_header({"width": 100}, [], [], [{}], {})


def test_wild_but_allowed_weights_give_finite_logits_alike(tmp_path: Path) -> None:
    header = random_header(**SMALL)
    tensors = random_tensors(header)
    for name in tensors:
        if name.endswith(".scale"):
            tensors[name] = np.full_like(tensors[name], 1000.0)
    write_weights(tmp_path / "w", header, [tensors])
    heard = []
    for kernel in (None, "scalar", "numpy"):
        engine = Engine.load(tmp_path / "w", kernel=kernel)
        engine.prefill([0, 5, 9], [[(0, 1e30)], [], [(1, -1e30), (1, 1e30)]])
        heard.append(engine.logits(((0, VOCABULARY_SIZE),)))
    assert np.isfinite(heard[0]).all()
    np.testing.assert_array_equal(heard[0], heard[1])
    np.testing.assert_array_equal(heard[0], heard[2])


@pytest.mark.parametrize("seed", range(300))
def test_damaged_bytes_are_refused_or_played(path: Path, tmp_path: Path, seed: int) -> None:
    """Random damage, mostly in the header: a sentence, or a network that plays."""
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    reach = len(data) if seed % 3 == 0 else 6000
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(reach))
        kind = rng.integers(3)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + 4] = rng.integers(256, size=4).astype(np.uint8).tobytes()
        else:
            del data[at : at + int(rng.integers(1, 20))]
    (tmp_path / "w").write_bytes(data)
    try:
        engine = Engine.load(tmp_path / "w")
    except NoonsongError as error:
        assert str(tmp_path / "w") in str(error)
        return
    for token in range(20):
        engine.step(token, [(token, 0.5)])
    assert 0 < engine.sample(((1, VOCABULARY_SIZE),), (1.0, 1.0, 1.0), 0.95, seed) < VOCABULARY_SIZE
