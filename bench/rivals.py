"""What a player could install instead: the same network in torch, and exported for onnxruntime, keys and
values kept.

Each is a `Rival`: `feed(position, batch)` computes one token's logits with `position` tokens remembered and
draws the next token by plain means, as often as wanted. One core each.
"""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.rival import Rival
from model.shape import Shape, rotary_turns
from model.transformer import Transformer, norm, rotate

SIDE_PAIRS = 5


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


class Prefill(nn.Module):
    """Many tokens at once from the beginning; as CachedStep."""

    def __init__(self, step: CachedStep) -> None:
        super().__init__()
        self.step = step

    def forward(
        self, token: Tensor, rows: Tensor, weights: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, ...]:
        """token [time]; rows, weights [time, pairs]; cos, sin [time, head_width / 2] -> logits after the last
        and for each layer keys and values [1, heads, time, head_width].
        """
        step, time = self.step, token.size(0)
        x = functional.embedding(token, step.token)
        x = x + (functional.embedding(rows, step.side) * weights.unsqueeze(-1)).sum(1)
        present: list[Tensor] = []
        layers: Any = step.stack
        for layer in layers:
            qkv = layer.qkv(step.normed(x)).view(1, time, 3, step.heads, -1).permute(2, 0, 3, 1, 4)
            query, key, value = rotate(qkv[0], cos, sin), rotate(qkv[1], cos, sin), qkv[2]
            present += [key, value]
            heard = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + layer.out(heard.transpose(1, 2).reshape(time, -1))
            x = x + layer.down(functional.relu(layer.up(step.normed(x))).square())
        return step.head(step.normed(x[-1:]) * step.gain), *present


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


def prefill_inputs(shape: Shape, count: int) -> tuple[Tensor, ...]:
    """Of Prefill."""
    positions = torch.arange(count)
    angles = (
        (positions[:, None] * torch.tensor(rotary_turns(shape))) % shape.period * (2 * np.pi / shape.period)
    )
    rows = torch.arange(SIDE_PAIRS).expand(count, -1).contiguous()
    weights = torch.full((count, SIDE_PAIRS), 0.5)
    return positions % shape.vocabulary, rows, weights, angles.cos().float(), angles.sin().float()


def torch_float(network: Transformer) -> Rival:
    """Eager float32."""
    step = CachedStep(network)
    return _torch("torch float32", step, Prefill(step), network.shape)


def torch_int8(network: Transformer) -> Rival:
    """torch's dynamic quantisation of all linear layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize: Any = torch.ao.quantization.quantize_dynamic
        step = quantize(CachedStep(network), {nn.Linear}, dtype=torch.qint8)
    return _torch("torch int8", step, Prefill(step), network.shape)


def _torch(name: str, step: nn.Module, many: nn.Module, shape: Shape) -> Rival:
    torch.set_num_threads(1)
    prepared: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def feed(position: int, batch: int) -> None:
        key = (position, batch)
        if key not in prepared:
            prepared[key] = inputs(shape, position, batch)
        with torch.inference_mode():
            logits = step(*prepared[key])[0]
            torch.multinomial(torch.softmax(logits, -1), 1)

    def prefill(count: int) -> None:
        if (count, 0) not in prepared:
            prepared[count, 0] = prefill_inputs(shape, count)
        with torch.inference_mode():
            many(*prepared[count, 0])

    return Rival(name, feed, prefill)


ONNX = ("onnxruntime float32", "onnxruntime int8")


def export(network: Transformer, folder: Path) -> None:
    """Write the graphs that rivals_onnx.load reads: a step and a prefill, in float32 and in int8."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    exact, rounded = ONNX
    step = CachedStep(network, _spelt_norm)
    _export_step(step, network.shape, folder / f"{exact}.step.onnx")
    _export_prefill(Prefill(step), network.shape, folder / f"{exact}.prefill.onnx")
    logging.disable(logging.WARNING)  # it recommends a preparation that these graphs do not need
    for what in ("step", "prefill"):
        quantize_dynamic(
            folder / f"{exact}.{what}.onnx", folder / f"{rounded}.{what}.onnx",
            per_channel=True, weight_type=QuantType.QInt8,
        )  # fmt: skip
    logging.disable(logging.NOTSET)


def _names(shape: Shape, prefix: str) -> list[str]:
    return [f"{prefix}_{kind}_{i}" for i in range(shape.layers) for kind in ("keys", "values")]


def _spelt_norm(x: Tensor) -> Tensor:
    """In operations that the exporter knows."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)


def _export_step(step: CachedStep, shape: Shape, path: Path) -> None:
    past, present = _names(shape, "past"), _names(shape, "present")
    axes: dict[str, dict[int, str]] = {n: {0: "batch"} for n in ("token", "rows", "weights", "logits")}
    axes |= {n: {0: "batch", 2: "remembered"} for n in (*past, *present)}
    _export(step, inputs(shape, 7, 2), path, past, present, axes)


def _export_prefill(many: Prefill, shape: Shape, path: Path) -> None:
    present = _names(shape, "present")
    axes: dict[str, dict[int, str]] = {n: {0: "time"} for n in ("token", "rows", "weights", "cos", "sin")}
    axes |= {n: {2: "time"} for n in present}
    _export(many, prefill_inputs(shape, 9), path, [], present, axes)


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    past: list[str],
    present: list[str],
    axes: dict[str, dict[int, str]],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, example, str(path), input_names=["token", "rows", "weights", "cos", "sin", *past],
            output_names=["logits", *present], dynamic_axes=axes, dynamo=False, opset_version=18,
        )  # fmt: skip
