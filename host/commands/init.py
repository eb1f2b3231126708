"""Writes a commented configuration."""

import argparse
from importlib.resources import files
from pathlib import Path

from host.config import DEFAULT_FILE
from model.errors import NoonsongError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong init`."""
    parser.add_argument("path", type=Path, nargs="?", default=DEFAULT_FILE, help="default noonsong.toml")


def run(arguments: argparse.Namespace) -> int:
    """Write the file, never over another."""
    text = (files("host") / "noonsong.default.toml").read_text(encoding="utf-8")
    try:
        with arguments.path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise NoonsongError(f"{arguments.path} is there already; move it away to get a new one") from None
    except OSError as error:
        raise NoonsongError(f"cannot write {arguments.path}: {error.strerror}") from None
    print(f"{arguments.path} holds every setting with its default.")
    return 0
