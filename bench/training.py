"""Tokens a second of `noonsong train` against a plain loop of the same shape, in one run, in turns.

The plain loop is what one would write first: the same network, batches cut from the stream of tokens at random
and nothing else (no side inputs, no transposition, no turns of the sources), AdamW on everything, float32.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from model.arrays import arrays_of_archive
from model.dataset import PAIRS, Split
from model.run_config import read_config
from model.train import Run
from model.transformer import Transformer


class PlainLoop:
    """A few lines that learn."""

    def __init__(self, run: Run, train: Split) -> None:
        self.length, self.size, _ = run.config.stages[0]
        self.device = run.device
        self.network = Transformer(run.config.shape()).to(self.device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=3e-3)
        self.stream = train.steps["token"]
        self.random = np.random.default_rng(0)
        self.sides = (
            torch.zeros(self.size, self.length, PAIRS, dtype=torch.int32, device=self.device),
            torch.zeros(self.size, self.length, PAIRS, device=self.device),
        )

    def update(self) -> float:
        """One step."""
        at = self.random.integers(0, len(self.stream) - self.length - 1, self.size)
        rows = np.stack([self.stream[i : i + self.length + 1].astype(np.int64) for i in at])
        token = torch.from_numpy(rows).to(self.device)
        logits = self.network(token[:, :-1], *self.sides)
        loss = functional.cross_entropy(logits.flatten(0, 1), token[:, 1:].flatten())
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())


def measure(archive: Path, settings: dict[str, Any], steps: int, turns: int) -> dict[str, Any]:
    """Medians over turns of tokens a second of both, and the median of their ratios."""
    train, valid = (arrays_of_archive(archive, split) for split in ("train", "valid"))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(read_config(None, settings), train, valid, Path(folder))
        plain = PlainLoop(run, train)
        rates = np.zeros((turns, 2))
        for turn in range(turns + 1):  # the first warms up
            for which, update in enumerate((run.update, plain.update)):
                begun = time.perf_counter()
                for _ in range(steps):
                    update()
                if turn:
                    spent = time.perf_counter() - begun
                    rates[turn - 1, which] = steps * run.config.batch_tokens / spent
    return {
        "tokens_per_second": float(np.median(rates[:, 0])), "plain": float(np.median(rates[:, 1])),
        "ratio": float(np.median(rates[:, 0] / rates[:, 1])), "threads": torch.get_num_threads(),
        "device": str(run.device), "precision": run.config.precision, "compiled": run.config.compile,
    }  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=10, help="steps a turn")
    parser.add_argument("--turns", type=int, default=7)
    args = parser.parse_args()
    settings = {"precision": args.precision, "compile": args.compile}
    print(json.dumps(measure(args.archive, settings, args.steps, args.turns)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
