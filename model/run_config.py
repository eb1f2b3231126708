"""What a training run is made from: a TOML file, settings given as KEY=VALUE, and defaults for the rest."""

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from model.errors import NoonsongError
from model.shape import Shape


@dataclass(frozen=True)
class Config:
    """What a run is made from; its TOML keys are these names."""

    tokens: int = 60_000_000
    seed: int = 1
    width: int = 128
    layers: int = 4
    heads: int = 4
    window: int = 512
    # (tokens a sequence, sequences a batch, share of the run): short ones first, they are cheaper.
    stages: tuple[tuple[int, int, float], ...] = ((256, 8, 0.5), (512, 4, 0.3), (1024, 2, 0.2))
    matrix_rate: float = 0.02
    table_rate: float = 3e-3
    matrix_decay: float = 0.01
    warmup_steps: int = 200
    decay_share: float = 0.35
    clip: float = 1.0
    precision: str = "auto"  # float32, bfloat16, or auto: bfloat16 on a GPU
    compile: bool = False
    valid_every: int = 500
    valid_pieces: int = 32
    valid_time: int = 512
    checkpoints: int = 12
    save_seconds: float = 120.0
    source_weights: dict[str, float] = field(default_factory=dict)

    @property
    def batch_tokens(self) -> int:
        """Tokens a step in the first stage; the others should have as many."""
        return self.stages[0][0] * self.stages[0][1]

    @property
    def steps(self) -> int:
        """Length of the run."""
        return max(1, self.tokens // self.batch_tokens)

    def shape(self) -> Shape:
        """Of the network."""
        return Shape(width=self.width, layers=self.layers, heads=self.heads, window=self.window)

    def rate(self, step: int) -> float:
        """Share of the full learning rate at a step."""
        decay_steps = max(1, round(self.steps * self.decay_share))
        return min(1.0, (step + 1) / self.warmup_steps, (self.steps - step) / decay_steps)

    def kept_steps(self) -> list[int]:
        """The steps whose network is kept: 0, then doubling up to the end."""
        kept = {round(self.steps / 2**k) for k in range(self.checkpoints - 1)}
        return sorted({0, *kept})


def read_config(path: Path | None, changes: dict[str, Any]) -> Config:
    """A configuration from a TOML file with changes on top.

    Raises NoonsongError that names the key which is unknown or of the wrong kind.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise NoonsongError(f"the training configuration {path} cannot be read: {error}") from None
    values |= changes
    defaults = Config()
    for key, value in values.items():
        if key not in {f.name for f in fields(Config)}:
            known = ", ".join(f.name for f in fields(Config))
            raise NoonsongError(f"unknown key '{key}' in the training configuration; known are: {known}")
        wanted = getattr(defaults, key)
        if isinstance(wanted, tuple):
            values[key] = tuple(tuple(stage) for stage in value)
        elif isinstance(wanted, float) and isinstance(value, int) and not isinstance(value, bool):
            values[key] = float(value)
        elif type(value) is not type(wanted):
            raise NoonsongError(f"'{key}' must be of type {type(wanted).__name__}, not {value!r}")
    config = replace(defaults, **values)
    if config.width % (2 * config.heads):
        raise NoonsongError(f"width {config.width} must be a multiple of twice the heads ({config.heads})")
    if config.precision not in ("auto", "float32", "bfloat16"):
        raise NoonsongError(f"precision must be auto, float32 or bfloat16, not '{config.precision}'")
    return config


def parse_changes(pairs: list[str]) -> dict[str, Any]:
    """Settings given as KEY=VALUE, the value as in TOML."""
    changes: dict[str, Any] = {}
    for pair in pairs:
        key, _, text = pair.partition("=")
        try:
            changes |= {key: tomllib.loads(f"value = {text}")["value"]}
        except tomllib.TOMLDecodeError:
            changes[key] = text
    return changes
