"""The network, read top to bottom: a small decoder-only transformer that can play for ever.

    x = token_table[token] + sum(weight * side_table[row])          one row in, width numbers
    each layer:  x += out(attention(rotary(qkv(norm(x)))))
                 x += down(relu(up(norm(x)))²)
    logits = token_table · (norm(x) * final_gain)

What makes it small and endless:
- Attention sees the last `window` positions only, also in training, so a ring of keys and values
  plays at constant cost without a seam.
- Rotary frequencies are whole turns in `period` steps, so positions wrap without a seam and one table
  of `period` sines and cosines serves all of them.
- Tokens that share a voice, a pitch, a velocity or a duration share rows: each embedding is the sum of
  its own row and those of its parts. `token_table()` folds them, so they cost nothing when playing.
- RMSNorm without gain (it would be absorbed by the next matrix), squared ReLU (So et al. 2021,
  arXiv:2109.08668), no biases, the output tied to the input.

Rotary positions: Su et al. 2021, arXiv:2104.09864. Sliding window: Beltagy et al. 2020, arXiv:2004.05150.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model import tokens
from model.conditioning import PHASE_ROW, PHASES
from model.shape import Shape, rotary_turns
from model.tokens import DURATIONS, PPQN, VELOCITIES, VOCABULARY_SIZE, VOICES


def part_rows() -> tuple[list[list[int]], int]:
    """For each token the shared rows it is made of, and the number of such rows."""
    pitch_row = len(VOICES)
    pitch_class_row = pitch_row + 128
    velocity_row = pitch_class_row + 12
    duration_row = velocity_row + len(VELOCITIES)
    rows: list[list[int]] = []
    for token in range(VOCABULARY_SIZE):
        if tokens.is_note(token):
            voice, pitch = tokens.note_of(token)
            pitched = [] if voice == tokens.DRUMS else [pitch_row + pitch, pitch_class_row + pitch % 12]
            rows.append([voice, *pitched])
        elif tokens.is_touch(token):
            velocity, duration = tokens.touch_of(token)
            rows.append([velocity_row + VELOCITIES.index(velocity), duration_row + DURATIONS.index(duration)])
        else:
            rows.append([])
    return rows, duration_row + len(DURATIONS)


def norm(x: Tensor) -> Tensor:
    """Root mean square norm over the last axis, without gain (Zhang & Sennrich 2019, arXiv:1910.07467)."""
    return functional.rms_norm(x, (x.size(-1),), eps=1e-5)


class Layer(nn.Module):
    """Attention, then two matrices with a squared ReLU between; each adds to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """x [batch, time, width] -> the same; cos, sin [time, head_width / 2]; mask [time, time] or causal."""
        batch, time, width = x.shape
        qkv = self.qkv(norm(x)).view(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = rotate(qkv[0], cos, sin), rotate(qkv[1], cos, sin), qkv[2]
        heard = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None
        )
        x = x + self.out(heard.transpose(1, 2).reshape(batch, time, width))
        x = x + self.down(functional.relu(self.up(norm(x))).square())
        return x


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (j, j + head_width / 2) of x [..., time, head_width] by its angle."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Transformer(nn.Module):
    """Tokens and side inputs in, logits out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        rows, part_count = part_rows()
        self.own = nn.Parameter(torch.empty(shape.vocabulary, shape.width))
        self.parts = nn.Parameter(torch.empty(part_count, shape.width))
        self.side_own = nn.Parameter(torch.empty(shape.side_rows, shape.width))
        self.side_beat = nn.Parameter(torch.empty(PPQN, shape.width))
        self.final_gain = nn.Parameter(torch.ones(shape.width))
        self.stack = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        membership = torch.zeros(shape.vocabulary, part_count)
        for token, parts in enumerate(rows):
            membership[token, parts] = 1.0
        self.register_buffer("membership", membership, persistent=False)
        angles = torch.arange(shape.period) * (2 * math.pi / shape.period)
        self.register_buffer("cos_table", angles.double().cos().float(), persistent=False)
        self.register_buffer("sin_table", angles.double().sin().float(), persistent=False)
        self.register_buffer("turns", torch.tensor(rotary_turns(shape)), persistent=False)
        self.initialise()

    membership: Tensor
    cos_table: Tensor
    sin_table: Tensor
    turns: Tensor

    def initialise(self) -> None:
        """Small tables; matrices by width; those that add to the stream begin at zero."""
        for table in (self.own, self.parts, self.side_own, self.side_beat):
            nn.init.normal_(table, std=0.02)
        for name, matrix in self.stack.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                nn.init.zeros_(matrix)
            else:
                nn.init.normal_(matrix, std=matrix.size(1) ** -0.5)

    def token_table(self) -> Tensor:
        """[vocabulary, width]: each token's own row plus the rows of its parts."""
        return self.own + self.membership @ self.parts

    def side_table(self) -> Tensor:
        """[side_rows, width]: each phase shares a row with the same tick of every other beat."""
        phases = self.side_own[PHASE_ROW : PHASE_ROW + PHASES] + self.side_beat.repeat(PHASES // PPQN, 1)
        return torch.cat([self.side_own[:PHASE_ROW], phases, self.side_own[PHASE_ROW + PHASES :]])

    def forward(self, token: Tensor, side_rows: Tensor, side_weights: Tensor) -> Tensor:
        """Logits [batch, time, vocabulary] of the next token.

        token [batch, time] ints; side_rows [batch, time, pairs] ints and side_weights the same shape,
        floats (0 where a pair is not used).
        """
        batch, time = token.shape
        pairs = side_rows.size(-1)
        table = self.token_table()
        side = functional.embedding_bag(
            side_rows.reshape(-1, pairs),
            self.side_table(),
            mode="sum",
            per_sample_weights=side_weights.reshape(-1, pairs),
        )
        x = functional.embedding(token, table) + side.view(batch, time, -1)
        steps = torch.arange(time, device=token.device)
        angle = (steps[:, None] * self.turns) % self.shape.period
        cos, sin = self.cos_table[angle], self.sin_table[angle]
        mask = window_mask(time, self.shape.window, token.device) if time > self.shape.window else None
        for layer in self.stack:
            x = layer(x, cos, sin, mask)
        return functional.linear(norm(x) * self.final_gain, table)


def window_mask(time: int, window: int, device: torch.device) -> Tensor:
    """[time, time] booleans: a step sees itself and the window - 1 steps before it."""
    steps = torch.arange(time, device=device)
    distance = steps[:, None] - steps[None, :]
    return (distance >= 0) & (distance < window)
