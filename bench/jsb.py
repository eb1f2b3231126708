"""python -m bench.jsb TRAIN EVALUATION: the network on Bach's chorales alone, for comparing with what others print.

A file holds {"train": chorales, "valid": chorales, ...} (Boulanger-Lewandowski et al. 2012, on a sixteenth
grid); a chorale is a list of steps, a step four pitches from soprano to bass, -1 for silence. TRAIN's "train"
is learnt, EVALUATION's "test" is measured, or its "valid" where there is no "test". Four tokens a step, in
the order of the file; nats a token over all of them, nothing told but the voice and the step's place.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from model.errors import NoonsongError
from model.muon import Muon
from model.shape import Shape
from model.tokens import END, FIRST_SHIFT, VOICE_NAMES, note_token
from model.transformer import Transformer

VOICES = 4
STEPS_PER_BAR = 16
KEYS_SHIFTED = range(-5, 7)
AT_START = 0.25  # of the stretches begin where a chorale begins, which is where every measurement begins
SILENCE = FIRST_SHIFT
KEYS = VOICE_NAMES.index("keys")
Chorale = NDArray[np.int64]  # [steps, VOICES]


def read_chorales(path: Path, *names: str) -> list[Chorale]:
    """The chorales under the first of these names that the file has. Raises NoonsongError."""
    try:
        parts = json.loads(path.read_text())
        name = next(name for name in names if parts.get(name))
        return [np.array(chorale, np.int64).reshape(-1, VOICES) for chorale in parts[name]]
    except (OSError, ValueError, AttributeError, StopIteration) as error:
        wanted = " or ".join(names)
        raise NoonsongError(f"{path} has no chorales under {wanted}: {error or 'nothing there'}") from None


def encode(chorale: Chorale, shift: int = 0) -> NDArray[np.int64]:
    """END and four tokens a step."""
    table = np.array([note_token(KEYS, pitch) for pitch in range(128)])
    pitches = chorale.reshape(-1)
    return np.concatenate([[END], np.where(pitches < 0, SILENCE, table[np.maximum(pitches + shift, 0)])])


def side_inputs(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows [count, 2] of what is next: which voice, and the step in the bar; weights of one."""
    place = torch.arange(first, first + count)
    rows = torch.stack([place % VOICES, VOICES + place // VOICES % STEPS_PER_BAR], dim=1)
    return rows, torch.ones_like(rows, dtype=torch.float32)


def nats_a_token(network: Transformer, chorales: list[Chorale]) -> float:
    """Over whole chorales, each from its start; END is no token of theirs."""
    total, count = 0.0, 0
    network.eval()
    with torch.inference_mode():
        for chorale in chorales:
            token = torch.from_numpy(encode(chorale))
            rows, weights = side_inputs(0, len(token) - 1)
            logits = network(token[None, :-1], rows[None], weights[None])[0]
            total += float(functional.cross_entropy(logits, token[1:], reduction="sum"))
            count += len(token) - 1
    network.train()
    return total / count


def drop_out(network: Transformer, share: float) -> None:
    """From now on a share of what each layer adds to the stream is left out while training."""
    for name, module in network.stack.named_modules():
        if name.endswith((".out", ".down")):
            module.register_forward_hook(lambda m, _, added: functional.dropout(added, share, m.training))


def _sequence(
    chorale: Chorale, length: int, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A stretch of a chorale in a key drawn at random (-1 after its end), with its side inputs."""
    token = encode(chorale, int(random.choice(KEYS_SHIFTED)))
    token = np.pad(token, (0, max(0, length + 1 - len(token))), constant_values=-1)
    first = int(random.integers(len(token) - length) // VOICES * VOICES)
    if random.random() < AT_START:
        first = 0
    return torch.from_numpy(token[first : first + length + 1]), *side_inputs(first, length)


def learn(args: argparse.Namespace, chorales: list[Chorale], held_out: list[Chorale]) -> dict[str, Any]:
    """Train, and measure along the way; the last figure is the result."""
    torch.manual_seed(args.seed)
    random = np.random.default_rng(args.seed)
    shape = Shape(width=args.width, layers=args.layers, heads=4, window=512)
    network = Transformer(shape)
    drop_out(network, args.dropout)
    matrices = list(network.stack.parameters())
    tables = [p for name, p in network.named_parameters() if not name.startswith("stack.")]
    optimisers = (
        Muon(matrices, lr=0.02, decay=args.decay),
        torch.optim.AdamW(tables, lr=3e-3, betas=(0.9, 0.95), weight_decay=args.decay, fused=True),
    )
    full = [group["lr"] for optimiser in optimisers for group in optimiser.param_groups]
    weight = np.array([len(chorale) for chorale in chorales], float)
    curve, begun = [], time.monotonic()
    for step in range(args.steps):
        rate = min(1.0, (step + 1) / 100, 2 * (args.steps - step) / args.steps)
        which = random.choice(len(chorales), args.batch, p=weight / weight.sum())
        drawn = [_sequence(chorales[int(i)], args.time, random) for i in which]
        token, rows, weights = (torch.stack(part) for part in zip(*drawn, strict=True))
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
            logits = network(token[:, :-1].clamp(min=0), rows, weights)
        loss = functional.cross_entropy(logits.float().flatten(0, 1), token[:, 1:].flatten(), ignore_index=-1)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimiser, highest in zip(optimisers, full, strict=True):
            optimiser.param_groups[0]["lr"] = highest * rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            nats = nats_a_token(network, held_out)
            curve.append({"step": step + 1, "train": float(loss.detach()), "held_out": nats})
            print(f"step {step + 1}: {nats:.4f} nats a token", file=sys.stderr, flush=True)
    return {
        "nats_per_token": curve[-1]["held_out"], "parameters": sum(p.numel() for p in network.parameters()),
        "uniform": math.log(shape.vocabulary), "seconds": time.monotonic() - begun,
        "tokens_read": args.steps * args.batch * args.time, "curve": curve,
    }  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `python -m bench.jsb`."""
    parser.add_argument("train", type=Path, help="file whose train part is learnt")
    parser.add_argument("evaluation", type=Path, help="file whose test (or valid) part is measured")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--time", type=int, default=512, help="tokens a sequence")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--decay", type=float, default=0.1, help="weight decay")
    parser.add_argument("--dropout", type=float, default=0.1, help="share left out of what a layer adds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=250, help="steps between measurements")
    parser.add_argument("--bfloat16", action="store_true", help="faster on processors that have it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Train, measure, print."""
    result = learn(args, read_chorales(args.train, "train"), read_chorales(args.evaluation, "test", "valid"))
    print(json.dumps(result) if args.json else f"{result['nats_per_token']:.4f} nats a token")
    return 0


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
