"""`noonsong train`: the loop. Everything it does is a function of the configuration and the step number,
so a run that was interrupted, by whatever means, goes on as if it had not been.

The learning rate warms up, stays, and falls linearly to zero over the last part (Hägele et al. 2024,
arXiv:2405.18392), so a run can be given more tokens until that part begins.
Under torchrun each process reads its share of every batch and gradients are averaged.
"""

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional

from model.batches import Batches, fixed_sequences
from model.dataset import Split
from model.errors import NoonsongError
from model.held_out import inputs, measure
from model.muon import Muon
from model.run_config import Config, parse_changes, read_config
from model.transformer import Transformer


class Run:
    """A training run in a folder: config.json, resume.pt, checkpoints/, metrics.jsonl, loss.png."""

    def __init__(self, config: Config, train: Split, valid: Split, out: Path) -> None:
        self.config, self.sources, self.out = config, train.sources, out
        self.rank = int(os.environ.get("RANK", "0"))
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = _device()
        torch.manual_seed(config.seed)
        self.network = Transformer(config.shape()).to(self.device)
        matrices = dict(self.network.stack.named_parameters())
        tables = [p for name, p in self.network.named_parameters() if not name.startswith("stack.")]
        self.optimisers: tuple[torch.optim.Optimizer, ...] = (
            Muon(matrices.values(), lr=config.matrix_rate, decay=config.matrix_decay),
            torch.optim.AdamW(tables, lr=config.table_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
        )
        self.step = 0
        self.metrics: list[dict[str, Any]] = []
        wanted = config.precision
        self.bfloat16 = wanted == "bfloat16" or (wanted == "auto" and self.device.type == "cuda")
        self.forward: Callable[..., Tensor] = self.network
        if config.compile:
            self.forward = torch.compile(self.network)
        self.stages = self._stages(train)
        self.valid = {
            name: fixed_sequences(valid, config.valid_pieces, config.valid_time, conditioned)
            for name, conditioned in (("off", False), ("on", True))
        }
        (out / "checkpoints").mkdir(parents=True, exist_ok=True)

    def _stages(self, train: Split) -> list[tuple[int, Batches]]:
        """(first step, batches) of each stage."""
        stages, share = [], 0.0
        total = sum(stage[2] for stage in self.config.stages)
        for i, (length, size, part) in enumerate(self.config.stages):
            if size % self.world:
                raise NoonsongError(f"a batch of {size} sequences cannot be shared by {self.world} processes")
            begins = round(self.config.steps * share / total)
            seed = self.config.seed * 101 + i
            stages.append((begins, Batches(train, size, length, seed, self.config.source_weights)))
            share += part
        return stages

    def load(self) -> bool:
        """Go on from resume.pt if there is one; whether there was."""
        path = self.out / "resume.pt"
        if not path.exists():
            return False
        saved = torch.load(path, map_location=self.device, weights_only=True)
        if saved["shape"] != self.config.shape().as_dict() or saved["sources"] != list(self.sources):
            raise NoonsongError(f"{path} is of another shape or other sources: choose another --out")
        self.network.load_state_dict(saved["model"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.step, self.metrics = saved["step"], saved["metrics"]
        return True

    def save(self, path: Path, resumable: bool) -> None:
        """Write the network, and all that resuming needs, so that the file is whole or the old one."""
        if self.rank:
            return
        state: dict[str, Any] = {
            "shape": self.config.shape().as_dict(), "model": self.network.state_dict(), "step": self.step,
            "tokens_seen": self.step * self.config.batch_tokens, "sources": list(self.sources),
            "metrics": self.metrics if resumable else self.metrics[-1:],
        }  # fmt: skip
        if resumable:
            state["optimisers"] = [optimiser.state_dict() for optimiser in self.optimisers]
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def update(self) -> float:
        """One step; the mean loss of its batch in nats a token."""
        begins, batches = next(stage for stage in reversed(self.stages) if stage[0] <= self.step)
        mine = batches.size // self.world
        batch = batches.batch(self.step - begins, self.rank * mine, mine)
        target = torch.from_numpy(batch.target).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.forward(*inputs(batch, self.device))
        loss = functional.cross_entropy(logits.float().flatten(0, 1), target.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = list(self.network.parameters())
        if self.world > 1:
            _average([p.grad for p in parameters if p.grad is not None])
        torch.nn.utils.clip_grad_norm_(parameters, self.config.clip)
        rate = self.config.rate(self.step)
        for optimiser, full in zip(
            self.optimisers, (self.config.matrix_rate, self.config.table_rate), strict=True
        ):
            optimiser.param_groups[0]["lr"] = full * rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())

    def validate(self, loss: float, seconds: float) -> dict[str, Any]:
        """Measure on the valid split, with side inputs and without, and keep the figures."""
        self.network.eval()
        figures = {name: asdict(measure(self.network, s, self.device)) for name, s in self.valid.items()}
        self.network.train()
        row = {
            "step": self.step, "tokens": self.step * self.config.batch_tokens,
            "loss": loss if math.isfinite(loss) else None,
            "seconds": seconds, **figures,
        }  # fmt: skip
        self.metrics.append(row)
        if self.rank == 0:
            lines = "".join(json.dumps(metric) + "\n" for metric in self.metrics)
            (self.out / "metrics.jsonl").write_text(lines)
        return row


def _average(gradients: list[Tensor]) -> None:
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Within, SIGINT and SIGTERM only set a flag, which the value tells."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(run: Run, report: Callable[[dict[str, Any] | None, float], None]) -> bool:
    """Run to the end or until a signal asks to stop; whether the end was reached.

    `report` is told after each step (None, loss) and after each validation (its row, loss).
    """
    config, kept = run.config, set(run.config.kept_steps())
    saved = time.monotonic()
    spent = run.metrics[-1]["seconds"] if run.metrics else 0.0
    begun, mean, weight = time.monotonic(), 0.0, 0.0
    with _stop_signals() as stop:
        while True:
            last = run.step >= config.steps
            if run.step % config.valid_every == 0 or last or run.step in kept:
                if not run.metrics or run.metrics[-1]["step"] != run.step:
                    average = mean / weight if weight else float("nan")
                    report(run.validate(average, spent + time.monotonic() - begun), average)
                if run.step in kept or last:
                    run.save(run.out / "checkpoints" / f"step-{run.step:08d}.pt", resumable=False)
            stopping = _any_process(stop(), run)
            if last or stopping or time.monotonic() - saved > config.save_seconds:
                run.save(run.out / "resume.pt", resumable=True)
                saved = time.monotonic()
            if last or stopping:
                return last
            loss = run.update()
            if not math.isfinite(loss):
                raise NoonsongError(
                    f"the loss became {loss} at step {run.step}: lower matrix_rate or table_rate"
                )
            mean, weight = 0.99 * mean + 0.01 * loss, 0.99 * weight + 0.01
            report(None, mean / weight)


def _any_process(flag: bool, run: Run) -> bool:
    if run.world == 1:
        return flag
    asked = torch.tensor([float(flag)], device=run.device)
    distributed.all_reduce(asked)
    return bool(asked.item())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong train`."""
    parser.add_argument(
        "--archive", type=Path, required=True, help="folder that `noonsong archive build` made"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; started again, it goes on"
    )
    parser.add_argument("--config", type=Path, help="TOML file with settings of the run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each validation")


def run(args: argparse.Namespace) -> int:
    """Train, or go on training; 0 when finished, 130 when stopped by a signal."""
    from model.arrays import arrays_of_archive
    from model.plots import loss_curve

    changes = parse_changes(args.set)
    saved_config = args.out / "config.json"
    if args.config is None and saved_config.exists():
        changes = json.loads(saved_config.read_text()) | changes
    config = read_config(args.config, changes)
    if "WORLD_SIZE" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    train_split, valid_split = (arrays_of_archive(args.archive, split) for split in ("train", "valid"))
    session = Run(config, train_split, valid_split, args.out)
    resumed = session.load()
    saved_config.write_text(json.dumps(asdict(config), indent=1))
    with _reporter(session, args.json, resumed) as report:
        finished = train(session, report)
    if session.rank == 0:
        loss_curve(session.metrics, args.out / "loss.png")
        if not finished:
            print(
                f"stopped at step {session.step} of {config.steps}; the same command goes on", file=sys.stderr
            )
    return 0 if finished else 130


@contextmanager
def _reporter(
    session: Run, as_json: bool, resumed: bool
) -> Iterator[Callable[[dict[str, Any] | None, float], None]]:
    """A progress bar, or lines of JSON."""
    if as_json or session.rank:

        def lines(row: dict[str, Any] | None, loss: float) -> None:
            if row is not None and session.rank == 0:
                print(json.dumps(row), flush=True)

        yield lines
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("step {task.completed} of {task.total}"), BarColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )  # fmt: skip
    with Progress(*columns, refresh_per_second=2) as bar:
        task = bar.add_task("train", total=session.config.steps, completed=session.step, figures="")
        bar.console.print(f"{'going on' if resumed else 'beginning'} at step {session.step}")

        def show(row: dict[str, Any] | None, loss: float) -> None:
            bar.update(task, completed=session.step)
            if row is not None:
                on, off = row["on"]["bits"], row["off"]["bits"]
                bar.update(task, figures=f"valid {on:.3f} bits a note ({off:.3f} without side inputs)")
                bar.console.print(f"step {row['step']}: {on:.3f} ({off:.3f}), loss {loss:.3f} nats a token")

        yield show


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description="train a network on an archive")
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
