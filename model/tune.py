"""`noonsong tune`: a new source out of a player's own archive, without forgetting the rest.

The old archive is not at hand on a player's laptop, so the network is its own memory: it plays for a while,
under all its sources, and what it foretold there is to stay as it was (distillation of the old network into
the new one on music that the old one makes; Shin et al. 2017, arXiv:1705.08690, call it generative replay).
The new music is always told by the new source's row. A part of it is held out; learning stops when that part
has not become likelier for a while, and the best network so far is kept.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model import tokens
from model.batches import Batch, Batches
from model.conditioning import (
    DENSITIES,
    MAX_PAIRS,
    MAX_SOURCES,
    SOURCE_ROW,
    density_pairs,
    meter_pair,
    phase_pair,
    source_pairs,
)
from model.dataset import PAIRS, Split, read_split, side_pairs
from model.errors import NoonsongError
from model.from_weights import network_of
from model.tokens import END, FIRST_TOUCH
from model.transformer import Transformer
from quantize.engine import Engine
from quantize.quantize import tensors_of
from quantize.weights import make_header, read_weights, write_weights

LONGEST_SEQUENCE = 256
BATCH = 4
MEMORIES = 64  # sequences that the old network plays
RATE, ROW_RATE = 5e-4, 1e-2
MEMORY_WEIGHT = 2.0
CHECK_EVERY = 20
PATIENCE = 6  # checks without a better one
FEWEST_TOKENS = 64
HELD_OUT_SHARE = 0.2  # of each piece, where the archive is too small to hold out whole pieces
MAX_HELD_OUT = 16


@dataclass(frozen=True)
class Corpus:
    """The new music: a split to learn and sequences to check, and how the two were parted."""

    learnt: Split
    held_out: list[Batch]
    parted: str


def read_corpus(archive: Path, source: int, sources: tuple[str, ...]) -> Corpus:
    """All of an archive as one source. Raises NoonsongError when there is too little."""
    from model.arrays import make_arrays

    folder = make_arrays(archive)
    parts = {name: read_split(folder, name) for name in ("train", "valid", "test")}
    train = parts["train"]
    whole = [parts[name].piece_steps(i) for name in ("valid", "test") for i in range(len(parts[name].pieces))]
    if sum(len(steps) for steps in (*whole, train.steps)) < FEWEST_TOKENS:
        raise NoonsongError(f"{archive} has too little music to learn from: some minutes of it are needed")
    pieces = [train.piece_steps(i) for i in range(len(train.pieces))]
    rows = train.pieces.copy()
    if whole and pieces:
        parted = f"{len(pieces)} pieces learnt, {len(whole)} others held out"
    else:
        if not pieces:  # all of it fell into the small splits
            pieces, whole = whole, []
            rows = np.concatenate([parts[name].pieces for name in ("valid", "test")])
        cuts = [max(1, round(len(steps) * (1 - HELD_OUT_SHARE))) for steps in pieces]
        whole = [steps[cut:] for steps, cut in zip(pieces, cuts, strict=True)]
        pieces = [steps[:cut] for steps, cut in zip(pieces, cuts, strict=True)]
        parted = (
            f"the first {1 - HELD_OUT_SHARE:.0%} of {len(pieces)} pieces learnt, the rest of each held out"
        )
    lengths = [len(steps) for steps in pieces]
    rows["start"], rows["length"] = np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths
    rows["source"] = source
    learnt = Split(np.concatenate(pieces), rows, sources, train.collections)
    checked = [_checked(steps[: LONGEST_SEQUENCE + 1], source) for steps in whole[:MAX_HELD_OUT]]
    return Corpus(learnt, [batch for batch in checked if batch.target.size], parted)


def _checked(steps: np.ndarray[Any, Any], source: int) -> Batch:
    rows, weights = side_pairs(
        steps[:-1], np.full(len(steps) - 1, source), np.ones((len(steps) - 1, 5), bool)
    )
    token = steps["token"].astype(np.int64)
    return Batch(token[None, :-1], token[None, 1:], rows[None], weights[None])


def told(batch: Batch, source: int) -> Batch:
    """The batch with its source always told: what is new belongs to the new name alone."""
    batch.rows[..., PAIRS - 1], batch.weights[..., PAIRS - 1] = SOURCE_ROW + source, 1.0
    return batch


def memories(engine: Engine, count: int, length: int, seed: int) -> list[Batch]:
    """What the engine plays under each of its sources and under none, with the side inputs it was told."""
    random = np.random.default_rng(seed)
    played = []
    choices = [None, *range(len(engine.header.sources))]
    for number in range(count):
        source = choices[number % len(choices)]
        bar = int(random.choice([72, 96]))
        fixed = meter_pair(bar) if random.random() < 0.8 else []
        if random.random() < 0.7:
            fixed = fixed + density_pairs(float(random.choice(DENSITIES[1:-2])))
        if source is not None:
            fixed = fixed + source_pairs({source: 1.0})
        phased = random.random() < 0.9
        engine.reset()
        state, token = tokens.START, END
        heard, rows, weights = (
            [],
            np.zeros((length, MAX_PAIRS), np.int32),
            np.zeros((length, MAX_PAIRS), np.float32),
        )
        for step in range(length):
            side = (phase_pair(state.tick % bar) if phased else []) + fixed
            engine.step(token, side)
            heard.append(token)
            for column, (row, weight) in enumerate(side):
                rows[step, column], weights[step, column] = row, weight
            token = engine.sample(tokens.allowed(state), (1.0, 1.0, 1.0), 1.0, seed * 1000 + number)
            state, _ = tokens.advance(state, token)
        token_row = np.array(heard, np.int64)[None]
        played.append(Batch(token_row, np.roll(token_row, -1, 1), rows[None], weights[None]))
    return played


def _inputs(batches: list[Batch]) -> tuple[Tensor, Tensor, Tensor]:
    parts = ([getattr(b, name) for b in batches] for name in ("token", "rows", "weights"))
    token, rows, weights = (torch.from_numpy(np.concatenate(part)) for part in parts)
    return token, rows, weights


def bits_a_note(network: Transformer, sequences: list[Batch]) -> float:
    """Of held-out sequences, each from its start."""
    nats, notes = 0.0, 0
    with torch.inference_mode():
        for batch in sequences:
            logits = network(*_inputs([batch]))[0]
            nats += float(
                functional.cross_entropy(logits, torch.from_numpy(batch.target[0]), reduction="sum")
            )
            notes += int((batch.target >= FIRST_TOUCH).sum())
    return nats / np.log(2) / max(notes, 1)


class Tuning:
    """A network that learns a corpus while it keeps to what its older self foretold."""

    def __init__(
        self, network: Transformer, corpus: Corpus, memory: list[Batch], source: int, seed: int
    ) -> None:
        self.network, self.corpus, self.memory, self.source = network, corpus, memory, source
        with torch.inference_mode():
            self.foretold = [functional.log_softmax(network(*_inputs([m])), -1).half() for m in memory]
        with torch.no_grad():  # the new row begins in the middle of the others
            first = SOURCE_ROW
            network.side_own[first + source] = (
                network.side_own[first : first + source].mean(0) if source else 0.0
            )
        span = len(corpus.learnt.steps)
        length = min(LONGEST_SEQUENCE, max(16, span // 2 - 2))
        self.batches = Batches(corpus.learnt, BATCH, length, seed)
        # The side table is learnt in one row alone: what the knobs mean stays.
        others = [p for name, p in network.named_parameters() if not name.startswith("side_")]
        self.optimiser = torch.optim.AdamW(
            [{"params": others, "lr": RATE}, {"params": [network.side_own], "lr": ROW_RATE}],
            betas=(0.9, 0.95), weight_decay=0.0,
        )  # fmt: skip
        self._only_new_row = torch.zeros(network.side_own.size(0), 1)
        self._only_new_row[SOURCE_ROW + source] = 1.0

    def update(self, step: int, steps: int) -> float:
        """One step; nats a token on the new music."""
        batch = told(self.batches.batch(step), self.source)
        which = [(step * BATCH + i) % len(self.memory) for i in range(BATCH)]
        logits = self.network(*_inputs([batch]))
        new = functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch.target).flatten())
        remembered = self.network(*_inputs([self.memory[i] for i in which]))
        before = torch.cat([self.foretold[i] for i in which]).float()
        after = functional.log_softmax(remembered, -1)
        forgotten = functional.kl_div(after, before, reduction="none", log_target=True).sum(-1).mean()
        (new + MEMORY_WEIGHT * forgotten).backward()  # type: ignore[no-untyped-call]
        side = self.network.side_own.grad
        assert side is not None
        side *= self._only_new_row
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        rate = min(1.0, (step + 1) / 20, 4 * (steps - step) / steps)
        for group, full in zip(self.optimiser.param_groups, (RATE, ROW_RATE), strict=True):
            group["lr"] = full * rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return float(new.detach())

    def forgotten_percent(self) -> float:
        """How much worse the network foretells what its older self plays, in % of the nats."""
        before = after = 0.0
        with torch.inference_mode():
            for batch, foretold in zip(self.memory, self.foretold, strict=True):
                chance = foretold.float().exp()
                before -= float((chance * foretold.float()).sum())
                after -= float((chance * functional.log_softmax(self.network(*_inputs([batch])), -1)).sum())
        return 100 * (after / before - 1)

    def run(
        self, steps: int, seconds: float, now_s: Callable[[], float], tell: Callable[[str], None]
    ) -> dict[str, Any]:
        """Learn until the held-out part no longer gains, the steps are done or the time is over."""
        begun_s = now_s()
        best = first = bits_a_note(self.network, self.corpus.held_out)
        kept, kept_step, step = copy.deepcopy(self.network.state_dict()), 0, 0
        tell(f"before: {first:.3f} bits a note on what is held out")
        why = "all steps were done"
        while step < steps:
            nats = self.update(step, steps)
            step += 1
            if step % CHECK_EVERY and step < steps:
                continue
            bits = bits_a_note(self.network, self.corpus.held_out)
            tell(f"step {step}: {bits:.3f} bits a note held out, {nats:.3f} nats a token learning")
            if bits < best:
                best, kept, kept_step = bits, copy.deepcopy(self.network.state_dict()), step
            elif step - kept_step >= PATIENCE * CHECK_EVERY:
                why = "what is held out gained no more: to go on would be learning by heart"
                break
            if now_s() - begun_s > seconds:
                why = "the time was over"
                break
        self.network.load_state_dict(kept)
        return {
            "bits_before": first, "bits_after": best, "kept_step": kept_step, "steps": step, "stopped": why,
            "seconds": now_s() - begun_s, "forgotten_percent": self.forgotten_percent(),
        }  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong tune`."""
    parser.add_argument("--weights", type=Path, required=True, help="the weights to begin with")
    parser.add_argument("--archive", type=Path, required=True, help="folder of `noonsong archive build`")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the weights file to write")
    parser.add_argument("--name", help="what the new source is called (default: the archive's folder)")
    parser.add_argument("--steps", type=int, default=600, help="at most so many (default 600)")
    parser.add_argument("--minutes", type=float, default=15.0, help="at most so long (default 15)")
    parser.add_argument("--old-archive", type=Path, help="measure on its valid split what was forgotten, too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Tune, write, and say what was gained and lost."""
    old = read_weights(args.weights)
    name = args.name or args.archive.resolve().name
    sources = list(old.header.sources)
    if name in sources:
        raise NoonsongError(f'{args.weights} has a source "{name}" already: choose another --name')
    if len(sources) == MAX_SOURCES:
        raise NoonsongError(f"{args.weights} has {MAX_SOURCES} sources, and no more can be told apart")
    if args.steps < 1 or args.minutes <= 0:
        raise NoonsongError("--steps must be at least 1 and --minutes above 0")
    torch.manual_seed(args.seed)
    source = len(sources)
    corpus = read_corpus(args.archive, source, (*sources, name))
    network = network_of(old)
    memory = memories(Engine(old), MEMORIES, LONGEST_SEQUENCE, args.seed)
    old_valid = _old_valid(args.old_archive)
    before = bits_a_note(network, old_valid) if old_valid else None
    tuning = Tuning(network, corpus, memory, source, args.seed)
    figures = tuning.run(
        args.steps, args.minutes * 60, time.monotonic, lambda line: print(line, file=sys.stderr)
    )
    figures |= {"source": name, "parted": corpus.parted, "file": str(args.out)}
    if before is not None:
        after = bits_a_note(network, old_valid)
        figures |= {
            "old_bits_before": before,
            "old_bits_after": after,
            "old_worse_percent": 100 * (after / before - 1),
        }
    _write(args.out, old.header, network, [*sources, name], figures, args.archive)
    print(json.dumps(figures) if args.json else sentences(figures))
    return 0


def _old_valid(archive: Path | None) -> list[Batch]:
    if archive is None:
        return []
    from model.arrays import arrays_of_archive
    from model.batches import fixed_sequences

    valid = arrays_of_archive(archive, "valid")
    return [batch for on in (False, True) for batch in fixed_sequences(valid, 32, 512, on)]


def _write(
    out: Path, header: Any, network: Transformer, sources: list[str], figures: dict[str, Any], archive: Path
) -> None:
    from model.archive.store import Archive

    counts = Archive(archive).counts()
    tuned = {
        "source": figures["source"], "pieces": counts["pieces"], "notes": counts["notes"],
        "licences": counts["licences"], "bits_before": figures["bits_before"],
        "bits_after": figures["bits_after"], "forgotten_percent": figures["forgotten_percent"],
    }  # fmt: skip
    card = {**header.card, "tuned": [*header.card.get("tuned", []), tuned]}
    last = dict(header.checkpoints[-1])
    turns, shape = header.rotary_turns, network.shape.as_dict()
    write_weights(out, make_header(shape, turns, sources, [last], card), [tensors_of(network)])


def sentences(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f'{figures["file"]}: the source "{figures["source"]}" is new; {figures["parted"]}.',
        f"Held out: {figures['bits_before']:.2f} bits a note before, {figures['bits_after']:.2f} after"
        f" {figures['kept_step']} steps ({figures['seconds']:.0f} s); {figures['stopped']}.",
        f"What it played before, it foretells {figures['forgotten_percent']:+.1f} % worse.",
    ]
    if "old_worse_percent" in figures:
        lines.append(
            f"Old valid split: {figures['old_bits_before']:.3f} to {figures['old_bits_after']:.3f} bits a note"
            f" ({figures['old_worse_percent']:+.1f} %)."
        )
    if figures["kept_step"] == 0:
        lines.append("Nothing was gained: the weights are the old ones with a new row. More music is needed.")
    return "\n".join(lines)
