"""What we are compared with computes the same network, or the comparison would mean nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import engine, rivals
from model.transformer import Transformer

SIZES = {"width": 64, "layers": 2, "heads": 2, "window": 64, "period": 256}
TOKENS = 12


@pytest.fixture(scope="module")
def network() -> Transformer:
    return rivals.random_network(SIZES)


@pytest.fixture(scope="module")
def logits(network: Transformer) -> torch.Tensor:
    rows = torch.arange(rivals.SIDE_PAIRS).expand(1, TOKENS, -1)
    with torch.inference_mode():
        heard: torch.Tensor = network(torch.full((1, TOKENS), 1), rows, torch.full(rows.shape, 0.5))[0]
    return heard


def test_cached_step_is_the_network(network: Transformer, logits: torch.Tensor) -> None:
    step = rivals.CachedStep(network)
    past = rivals.inputs(network.shape, 0, 1)[5:]
    for position in range(TOKENS):
        with torch.inference_mode():
            heard, *past = step(*rivals.inputs(network.shape, position, 1)[:5], *past)
        torch.testing.assert_close(heard[0], logits[position], rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_onnx_is_the_network(network: Transformer, logits: torch.Tensor, tmp_path: Path) -> None:
    rivals.export(network, tmp_path)
    session = session_of(tmp_path, "step")
    names = ["token", "rows", "weights", "cos", "sin", *rivals._names(network.shape, "past")]
    past = [part.numpy() for part in rivals.inputs(network.shape, 0, 1)[5:]]
    known = {each.name for each in session.get_inputs()}
    for position in range(TOKENS):
        values = [part.numpy() for part in rivals.inputs(network.shape, position, 1)[:5]] + past
        heard, *past = session.run(None, {n: v for n, v in zip(names, values, strict=True) if n in known})
        np.testing.assert_allclose(heard[0], logits[position].numpy(), rtol=1e-3, atol=1e-3)


def session_of(folder: Path, what: str) -> Any:
    import onnxruntime

    path = folder / f"{rivals.ONNX[0]}.{what}.onnx"
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.filterwarnings("ignore")
def test_prefill_is_the_network(network: Transformer, logits: torch.Tensor, tmp_path: Path) -> None:
    given = (torch.full((TOKENS,), 1), *rivals.prefill_inputs(network.shape, TOKENS)[1:])
    with torch.inference_mode():
        heard = rivals.Prefill(rivals.CachedStep(network))(*given)[0]
    torch.testing.assert_close(heard[0], logits[-1], rtol=1e-3, atol=1e-3)
    rivals.export(network, tmp_path)
    names = ["token", "rows", "weights", "cos", "sin"]
    heard, *_ = session_of(tmp_path, "prefill").run(
        None, {n: v.numpy() for n, v in zip(names, given, strict=True)}
    )
    np.testing.assert_allclose(heard[0], logits[-1].numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_each_contestant_plays_alone(network: Transformer, tmp_path: Path) -> None:
    from bench import alone, rivals_onnx

    rivals.export(network, tmp_path)
    for name in rivals.ONNX:
        rival = rivals_onnx.load(name, tmp_path, network.shape)
        rival.feed(7, 1)
        rival.feed(7, 16)
        rival.prefill(TOKENS)
    torch.save(network, tmp_path / alone.NETWORK)
    alone.stepper("torch float32", tmp_path)()
    assert alone.resident_bytes() > 1_000_000


def test_the_table_shows_what_was_measured() -> None:
    rows = {
        "fast": {"us_at_511": 20.0, "bare_step_us": 16.0, "singles_512_us": 9.0, "prefill_512_us": 3.0,
                 "batch_16_us": 80.0, "memory_bytes": 3_000_000},
        "torch float32": {"us_at_511": 900.0},
    }  # fmt: skip
    limits = {"weights": 8.0, "weights and ring": 12.0}
    figures = {
        "shape": {"width": 64, "layers": 2, "window": 64}, "parameters": 7, "rows": rows,
        "read_limit_us": limits, "read_bytes": {"weights": 800, "weights and ring": 1200},
    }  # fmt: skip
    assert engine.ratios(figures) == {
        "times as fast as torch float32 at 511": 45.0,
        "fast: prefill of 512 / 512 steps": pytest.approx(1 / 3),
        "fast: batch of 16 / a step": 5.0,
        "share of the read limit at 511 (a bare step)": 0.75,
    }
    shown = engine.table(figures)
    assert "50000" in shown
    assert "45.00" in shown
    json.dumps(figures)
