"""What several commands share: finding the weights, the controls' start."""

import argparse
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from host.config import Config, load_config
from host.controls import Control, control_table, defaults, parse_assignments
from host.journal import Identity
from host.piece import default_path
from model.errors import NoonsongError
from model.tokens import vocabulary_hash
from quantize.engine import Engine


class Loaded(NamedTuple):
    """Configuration, network and controls, ready to be played."""

    config: Config
    engine: Engine
    identity: Identity
    table: dict[str, Control]
    controls: dict[str, float | None]  # defaults and the configuration's
    asked: dict[str, float | None]  # --control


def add_playing_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of everything that plays."""
    parser.add_argument("--config", type=Path, help="settings (default: noonsong.toml here, if there is one)")
    parser.add_argument("--weights", type=Path, help="a weights file (default: those that noonsong ships)")
    parser.add_argument(
        "--control",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="where a control stands at the start, e.g. temperature=0.9; may be repeated",
    )
    parser.add_argument("--seed", type=int, help="chance of a new piece (default: drawn)")


def load(arguments: argparse.Namespace) -> Loaded:
    """Read what the options name. Raises NoonsongError with a sentence."""
    config = load_config(arguments.config)
    path = arguments.weights or (Path(config.play.weights) if config.play.weights else released_weights())
    if not path.exists():
        raise NoonsongError(f"there are no weights at {path}; name some with --weights, or train your own")
    engine = Engine.load(path)
    table = control_table(engine.header.sources)
    configured = parse_assignments((f"{k}={_text(v)}" for k, v in config.controls.items()), table)
    identity = Identity(hashlib.sha256(path.read_bytes()).hexdigest()[:16], vocabulary_hash())
    asked = parse_assignments(arguments.control, table)
    return Loaded(config, engine, identity, table, {**defaults(table), **configured}, asked)


def load_journal_path(arguments: argparse.Namespace) -> Path:
    """Where the piece is: as asked (--journal), as configured (--config), or the usual place."""
    if arguments.journal:
        return Path(arguments.journal)
    configured = load_config(arguments.config).play.journal
    return Path(configured) if configured else default_path()


def released_weights() -> Path:
    """The weights that noonsong ships."""
    return Path(str(files("model") / "released" / "noonsong.safetensors"))


def _text(value: float | bool | str) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
