"""Muon: momentum whose matrices are made orthogonal before they are applied.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"
(https://kellerjordan.github.io/posts/muon/); the quintic Newton-Schulz iteration is theirs.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearly orthogonal matrices [n, rows, columns] nearest to the given ones (singular values near 1)."""
    a, b, c = COEFFICIENTS
    tall = matrices.size(-2) > matrices.size(-1)
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(Optimizer):
    """For weight matrices alone; matrices of one shape are made orthogonal together."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.0):
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients that are there."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in shapes.items():
                momenta = [self.state[m].setdefault("momentum", torch.zeros_like(m)) for m in matrices]
                gradients = torch.stack([m.grad for m in matrices if m.grad is not None])
                mixed = torch.stack(momenta).lerp_(gradients, 1 - group["momentum"])
                for momentum, new in zip(momenta, mixed, strict=True):
                    momentum.copy_(new)
                update = orthogonal(gradients.lerp(mixed, group["momentum"]))
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for matrix, change in zip(matrices, update, strict=True):
                    matrix.mul_(1 - group["lr"] * group["decay"]).add_(change, alpha=-group["lr"] * scale)
