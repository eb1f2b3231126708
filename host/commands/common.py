"""What several commands share: finding the weights, the controls' start."""

import argparse
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from host.config import ENGINES, Config, load_config
from host.controls import Control, control_table, defaults, parse_assignments
from host.journal import Identity
from host.piece import default_path
from model.errors import NoonsongError
from model.tokens import vocabulary_hash
from quantize.engine import Engine
from quantize.markov_engine import SUFFIX, MarkovEngine


class Loaded(NamedTuple):
    """Configuration, network and controls, ready to be played."""

    config: Config
    engine: Engine | MarkovEngine
    identity: Identity
    table: dict[str, Control]
    controls: dict[str, float | None]  # defaults and the configuration's
    asked: dict[str, float | None]  # --control


def add_playing_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of everything that plays."""
    parser.add_argument("--config", type=Path, help="settings (default: noonsong.toml here, if there is one)")
    parser.add_argument("--weights", type=Path, help="a weights file (default: those that noonsong ships)")
    parser.add_argument("--engine", choices=ENGINES, help="what chooses the notes (default: network)")
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
    path = weights_path(arguments, config)
    if not path.exists():
        raise NoonsongError(f"there are no weights at {path}; name some with --weights, or train your own")
    engine = load_engine(path)
    table = control_table(engine.header.sources)
    configured = parse_assignments((f"{k}={as_text(v)}" for k, v in config.controls.items()), table)
    identity = Identity(hashlib.sha256(path.read_bytes()).hexdigest()[:16], vocabulary_hash())
    asked = parse_assignments(arguments.control, table)
    return Loaded(config, engine, identity, table, {**defaults(table), **configured}, asked)


def load_journal_path(arguments: argparse.Namespace) -> Path:
    """Where the piece is: as asked (--journal), as configured (--config), or the usual place."""
    if arguments.journal:
        return Path(arguments.journal)
    configured = load_config(arguments.config).play.journal
    return Path(configured) if configured else default_path()


def weights_path(arguments: argparse.Namespace, config: Config) -> Path:
    """The file that is played from: as asked, as configured, or one that noonsong ships."""
    chosen = arguments.weights or config.play.weights
    engine = getattr(arguments, "engine", None) or config.play.engine
    return Path(chosen) if chosen else released_weights(engine)


def load_engine(path: Path) -> Engine | MarkovEngine:
    """What plays from a file. Raises NoonsongError when it cannot."""
    return MarkovEngine.load(path) if path.suffix == SUFFIX else Engine.load(path)


def released_weights(engine: str = "network") -> Path:
    """The weights that noonsong ships."""
    name = "noonsong.safetensors" if engine == "network" else "markov" + SUFFIX
    return Path(str(files("model") / "released" / name))


def as_text(value: float | bool | str) -> str:
    """A value of the configuration as a person types it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
