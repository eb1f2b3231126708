"""Trains the tests' small network in a process of its own: python -m tests.model.training_child DATA OUT."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import distributed

from model.dataset import read_split
from model.run_config import Config
from model.train import Run, train

SMALL = Config(
    tokens=120 * 256, width=32, layers=2, heads=2, window=32, stages=((32, 8, 0.5), (64, 4, 0.5)),
    warmup_steps=10, valid_every=40, valid_pieces=4, valid_time=64, checkpoints=6, save_seconds=0.2,
)  # fmt: skip


def small_run(data: Path, out: Path, **changes: object) -> Run:
    torch.set_num_threads(1)
    config = replace(SMALL, **changes)  # type: ignore[arg-type]
    return Run(config, read_split(data, "train"), read_split(data, "valid"), out)


if __name__ == "__main__":
    if "RENDEZVOUS" in os.environ:
        distributed.init_process_group(
            "gloo", init_method=f"file://{os.environ['RENDEZVOUS']}",
            rank=int(os.environ["RANK"]), world_size=int(os.environ["WORLD_SIZE"]),
        )  # fmt: skip
    run = small_run(Path(sys.argv[1]), Path(sys.argv[2]))
    run.load()
    finished = train(run, lambda row, loss: print(run.step, flush=True))
    if run.world > 1:
        distributed.destroy_process_group()
    sys.exit(0 if finished else 130)
