"""A weights file -> the torch network with its numbers: to measure it without rounding, or to go on learning."""

import numpy as np
import torch

from model.transformer import Transformer
from quantize.weights import Matrix, Weights


def network_of(weights: Weights) -> Transformer:
    """The network whose rows are those of the file; what the rows once shared is folded into them."""
    network = Transformer(weights.header.shape).eval()
    with torch.no_grad():
        network.own.copy_(_tensor(weights.token_table))
        network.side_own.copy_(_tensor(weights.side_table))
        network.parts.zero_()
        network.side_beat.zero_()
        network.final_gain.copy_(torch.from_numpy(weights.final_gain))
        for layer, parts in zip(network.stack, weights.layers, strict=True):
            for name in parts._fields:
                getattr(layer, name).weight.copy_(_tensor(getattr(parts, name)))
    return network


def _tensor(matrix: Matrix) -> torch.Tensor:
    return torch.from_numpy(matrix.q.astype(np.float32) * matrix.quant_scales[:, None])
