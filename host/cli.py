"""The command line: a table of commands, each in a module of its own that is imported when it is called."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from model.errors import NoonsongError


class Command(NamedTuple):
    """A module with `add_arguments(parser)` and `run(arguments) -> exit status`."""

    module: str
    help: str
    extra: str = ""  # the optional dependencies it needs
    in_clone: bool = False  # not part of the installed package


COMMANDS = {
    "play": Command("host.commands.play", "play the endless piece"),
    "render": Command("host.commands.render", "play into a file, faster than real time"),
    "export": Command("host.commands.export", "write what was played as a MIDI file"),
    "learn": Command("host.commands.learn", "assign the next thing that moves to a control"),
    "controls": Command("host.commands.controls", "list the controls and what they may be"),
    "ports": Command("host.commands.ports", "list the MIDI and serial ports"),
    "doctor": Command("host.commands.doctor", "check everything a player could have wrong"),
    "init": Command("host.commands.init", "write a commented noonsong.toml"),
    "board": Command("host.board_command", "look at the board and try its outputs"),
    "calibrate": Command("host.calibrate", "make the volts right, with a multimeter"),
    "sim-board": Command("tests.sim.sim_board", "a simulated board to play with", "dev", True),
    "archive": Command("model.archive.command", "collect music to learn from", "train"),
    "train": Command("model.train", "learn from an archive", "train"),
    "evaluate": Command("model.evaluate", "measure weights on music they have not seen", "train"),
    "tune": Command("model.tune", "teach weights a new source from an archive of your own", "train"),
    "markov": Command("model.markov", "count a Markov model of an archive, to compare with or to play"),
    "quantize": Command("quantize.quantize", "make trained weights small and fast", "train"),
    "bench": Command("bench", "measure speed, as ratios", "train", True),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors a person can mend are one sentence, status 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="noonsong",
        usage="noonsong command [options] (noonsong command --help says which)",
        description="An endless piece of music, to play with.",
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command", help=argparse.SUPPRESS)
    parser.epilog = "commands:\n" + "\n".join(f"  {name:10} {c.help}" for name, c in COMMANDS.items())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    name = parser.parse_args(arguments[:1] or ["--help"]).command
    command = COMMANDS[name]
    root = Path(__file__).parents[1]
    if command.in_clone:
        if not (root / "pyproject.toml").exists():
            return _fail(f"`noonsong {name}` is not installed: call it from a clone of the repository")
        sys.path.insert(0, str(root))
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        if not command.extra:
            raise
        return _fail(
            f"`noonsong {name}` needs {error.name}, which is not installed:"
            f' pip install "noonsong[{command.extra}]" (from a clone: make dev)'
        )
    own = argparse.ArgumentParser(prog=f"noonsong {name}", description=command.help)
    module.add_arguments(own)
    try:
        return int(module.run(own.parse_args(arguments[1:])))
    except NoonsongError as error:
        return _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `noonsong ... | head`
        return 0
    except KeyboardInterrupt:
        return 130


def _fail(sentence: str) -> int:
    print(f"noonsong: {sentence}", file=sys.stderr)
    return 2
