"""What a player could install instead: the same network in torch and onnxruntime, keys and values kept.

Each is a `Rival`: `feed(position, batch)` computes one token's logits with `position` tokens remembered and
draws the next token by plain means, as often as wanted. One core each.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.shape import Shape, rotary_turns
from model.transformer import Transformer, norm, rotate

SIDE_PAIRS = 5


class Rival(NamedTuple):
    """`feed(position, batch)` computes a step of `batch` sequences; `prefill(count)` many tokens at once."""

    name: str
    feed: Callable[[int, int], None]
    prefill: Callable[[int], None] | None


class CachedStep(nn.Module):
    """One token through the network with its remembered keys and values; all tables folded beforehand."""

    normed: Callable[[Tensor], Tensor]

    def __init__(self, network: Transformer, norm: Callable[[Tensor], Tensor] = norm) -> None:
        super().__init__()
        self.normed = norm
        self.heads = network.shape.heads
        self.token = nn.Parameter(network.token_table().detach(), requires_grad=False)
        self.side = nn.Parameter(network.side_table().detach(), requires_grad=False)
        self.gain = network.final_gain
        self.stack = network.stack
        self.head = nn.Linear(network.shape.width, network.shape.vocabulary, bias=False)
        self.head.weight = self.token

    def forward(
        self, token: Tensor, rows: Tensor, weights: Tensor, cos: Tensor, sin: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        """token [batch]; rows, weights [batch, pairs]; cos, sin [head_width / 2]; past: for each layer keys
        and values [batch, heads, remembered, head_width] -> logits and the same with the token added.
        """
        batch = token.size(0)
        x = functional.embedding(token, self.token)
        x = x + (functional.embedding(rows, self.side) * weights.unsqueeze(-1)).sum(1)
        present: list[Tensor] = []
        layers: Any = self.stack
        for i, layer in enumerate(layers):
            qkv = layer.qkv(self.normed(x)).view(batch, 3, self.heads, 1, -1)
            query, key = rotate(qkv[:, 0], cos, sin), rotate(qkv[:, 1], cos, sin)
            keys = torch.cat([past[2 * i], key], 2)
            values = torch.cat([past[2 * i + 1], qkv[:, 2]], 2)
            present += [keys, values]
            chances = torch.softmax(query @ keys.transpose(2, 3) / keys.size(3) ** 0.5, -1)
            x = x + layer.out((chances @ values).view(batch, -1))
            x = x + layer.down(functional.relu(layer.up(self.normed(x))).square())
        return self.head(self.normed(x) * self.gain), *present


def random_network(sizes: dict[str, int]) -> Transformer:
    """Untrained, but with nothing zero."""
    torch.manual_seed(0)
    network = Transformer(Shape(**sizes)).eval()
    with torch.no_grad():
        for name, matrix in network.stack.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                matrix.normal_(std=matrix.size(1) ** -0.5)
    return network


def inputs(shape: Shape, position: int, batch: int) -> tuple[Tensor, ...]:
    """Of CachedStep, random."""
    generator = torch.Generator().manual_seed(position)
    angle = (position * torch.tensor(rotary_turns(shape))) % shape.period * (2 * np.pi / shape.period)
    remembered = (batch, shape.heads, position, shape.head_width)
    past = [torch.randn(remembered, generator=generator) for _ in range(2 * shape.layers)]
    rows = torch.arange(SIDE_PAIRS).expand(batch, -1).contiguous()
    return (
        torch.arange(batch) + 1,
        rows,
        torch.full((batch, SIDE_PAIRS), 0.5),
        angle.cos().float(),
        angle.sin().float(),
        *past,
    )


def torch_float(network: Transformer) -> Rival:
    """Eager float32."""
    return _torch("torch float32", CachedStep(network), network)


def torch_int8(network: Transformer) -> Rival:
    """torch's dynamic quantisation of all linear layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize: Any = torch.ao.quantization.quantize_dynamic
        step = quantize(CachedStep(network), {nn.Linear}, dtype=torch.qint8)
    return _torch("torch int8", step, network)._replace(prefill=None)


def _torch(name: str, step: nn.Module, network: Transformer) -> Rival:
    torch.set_num_threads(1)
    prepared: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def feed(position: int, batch: int) -> None:
        key = (position, batch)
        if key not in prepared:
            prepared[key] = inputs(network.shape, position, batch)
        with torch.inference_mode():
            logits = step(*prepared[key])[0]
            torch.multinomial(torch.softmax(logits, -1), 1)

    def prefill(count: int) -> None:
        rows = torch.arange(SIDE_PAIRS).expand(1, count, -1)
        with torch.inference_mode():
            network(torch.arange(count)[None], rows, torch.full((1, count, SIDE_PAIRS), 0.5))

    return Rival(name, feed, prefill)


def onnx_rivals(network: Transformer) -> list[Rival]:
    """onnxruntime in float32 and int8, exported from the network, with buffers bound beforehand."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        exact, rounded = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        _export(network, exact)
        logging.disable(logging.WARNING)  # it recommends a preparation that this graph does not need
        quantize_dynamic(exact, rounded, per_channel=True, weight_type=QuantType.QInt8)
        logging.disable(logging.NOTSET)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        sessions = [
            (name, onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
            for name, path in (("onnxruntime float32", exact), ("onnxruntime int8", rounded))
        ]
    return [_onnx(name, session, network.shape) for name, session in sessions]


def _names(shape: Shape, prefix: str) -> list[str]:
    return [f"{prefix}_{kind}_{i}" for i in range(shape.layers) for kind in ("keys", "values")]


def _spelt_norm(x: Tensor) -> Tensor:
    """In operations that the exporter knows."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)


def _export(network: Transformer, path: Path) -> None:
    shape = network.shape
    names = ["token", "rows", "weights", "cos", "sin", *_names(shape, "past")]
    outputs = ["logits", *_names(shape, "present")]
    axes: dict[str, dict[int, str]] = {n: {0: "batch"} for n in ("token", "rows", "weights", "logits")}
    axes |= {n: {0: "batch", 2: "remembered"} for n in (*_names(shape, "past"), *_names(shape, "present"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            CachedStep(network, _spelt_norm), inputs(shape, 7, 2), str(path), input_names=names,
            output_names=outputs, dynamic_axes=axes, dynamo=False, opset_version=18,
        )  # fmt: skip


def _onnx(name: str, session: Any, shape: Shape) -> Rival:
    bound: dict[tuple[int, int], Any] = {}

    def feed(position: int, batch: int) -> None:
        key = (position, batch)
        if key not in bound:
            bound[key] = _bind(session, shape, position, batch)
        session.run_with_iobinding(bound[key])
        logits = bound[key].get_outputs()[0].numpy()
        reached = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
        for one, share in zip(reached, random.random(batch), strict=True):
            one.searchsorted(share * one[-1])

    random = np.random.default_rng(0)
    return Rival(name, feed, None)


def _bind(session: Any, shape: Shape, position: int, batch: int) -> Any:
    from onnxruntime import OrtValue

    binding = session.io_binding()
    names = ["token", "rows", "weights", "cos", "sin", *_names(shape, "past")]
    values = [part.numpy() for part in inputs(shape, position, batch)]
    known = {each.name for each in session.get_inputs()}
    for name, value in zip(names, values, strict=True):
        if name in known:
            binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(value))
    sizes = [(batch, shape.vocabulary)]
    sizes += [(batch, shape.heads, position + 1, shape.head_width)] * (2 * shape.layers)  # type: ignore[list-item]
    for name, size in zip(["logits", *_names(shape, "present")], sizes, strict=True):
        binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(np.empty(size, np.float32)))
    return binding


def one_core() -> None:
    """Keep this process on the core it is on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
