"""Bits a note of a network over held-out sequences, and what each part of a note costs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.batches import Batch
from model.tokens import DURATIONS, FIRST_NOTE, FIRST_TOUCH, VELOCITIES
from model.transformer import Transformer

LOG2 = math.log(2)


@dataclass(frozen=True)
class Measure:
    """Bits a note: all of it, and what time, pitch (with voice), duration and velocity cost."""

    bits: float
    time: float
    pitch: float
    duration: float
    velocity: float


def measure(network: Transformer, sequences: list[Batch], device: torch.device) -> Measure:
    """Bits a note over held-out sequences. Time includes ends; the parts add up to the whole."""
    sums = torch.zeros(4, dtype=torch.float64)
    notes = 0
    with torch.inference_mode():
        for batch in sequences:
            target = torch.from_numpy(batch.target).to(device).view(-1)
            logits = network(*inputs(batch, device)).float().view(len(target), -1)
            loss = functional.cross_entropy(logits, target, reduction="none").cpu().double()
            target = target.cpu()
            touched, pitched = target >= FIRST_TOUCH, (target >= FIRST_NOTE) & (target < FIRST_TOUCH)
            velocity = _velocity_loss(logits.cpu()[touched], target[touched])
            parts = [loss[~touched & ~pitched], loss[pitched], loss[touched] - velocity, velocity]
            # Choosing the kind of token (let time pass or sound another note) is the business of time.
            kind = _kind_loss(logits.cpu()[pitched])
            parts[0], parts[1] = torch.cat([parts[0], kind]), parts[1] - kind
            sums += torch.stack([part.sum() for part in parts])
            notes += int(touched.sum())
    each = (sums / LOG2 / max(notes, 1)).tolist()
    return Measure(sum(each), *each)


def _kind_loss(logits: Tensor) -> Tensor:
    """-log of the probability that the next token is a note, [n] nats, where it was one."""
    return -(logits[:, FIRST_NOTE:FIRST_TOUCH].logsumexp(-1) - logits.logsumexp(-1)).double()


def _velocity_loss(logits: Tensor, target: Tensor) -> Tensor:
    """-log of the probability of a touch's velocity, whatever its duration, [n] nats."""
    level = torch.div(target - FIRST_TOUCH, len(DURATIONS), rounding_mode="floor")
    levels = logits[:, FIRST_TOUCH:].view(len(target), len(VELOCITIES), len(DURATIONS)).logsumexp(-1)
    chosen = levels.gather(1, level[:, None])[:, 0]
    return (logits.logsumexp(-1) - chosen).double()


def inputs(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What the network reads of a batch: token [batch, time], rows and weights [batch, time, PAIRS]."""
    return (
        torch.from_numpy(batch.token).to(device),
        torch.from_numpy(batch.rows).to(device),
        torch.from_numpy(batch.weights).to(device),
    )
