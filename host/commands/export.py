"""Writes what was played, out of the journal, as a standard MIDI file."""

import argparse
import datetime
import json
import re
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from host.commands.common import load_journal_path
from host.history import History, Mark
from host.midi_file import write_piece
from model.errors import NoonsongError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong export`."""
    parser.add_argument("out", type=Path, help="the MIDI file to write")
    parser.add_argument("--config", type=Path, help="settings (default: noonsong.toml here, if there is one)")
    parser.add_argument("--journal", type=Path, help="the file that keeps the piece")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--day", help="one day, as 2026-11-21")
    which.add_argument("--last", help="the last while, as 90s, 10m, 2h or 3d")
    which.add_argument("--all", action="store_true", help="everything")
    parser.add_argument("--marks", type=Path, help="write the loved and disliked moments as JSON, too")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say how much is in it."""
    path = load_journal_path(arguments)
    if not path.exists():
        raise NoonsongError(f"there is no piece at {path} yet; `noonsong play` begins one")
    from_s, until_s = _span(arguments, time.time())
    try:
        history = History(path)
        excerpt = history.excerpt(from_s, until_s)
    except sqlite3.DatabaseError as error:
        raise NoonsongError(f"the journal {path} cannot be read: {error}") from None
    if not excerpt.notes:
        raise NoonsongError(f"nothing was played then; the piece in {path} goes from {history.span_text()}")
    write_piece(arguments.out, excerpt.notes, excerpt.tempos, excerpt.meters, excerpt.marks)
    if arguments.marks:
        _write_marks(arguments.marks, [m for m in history.marks() if from_s <= m.wall_s < until_s])
    figures = {"file": str(arguments.out), "notes": len(excerpt.notes), "beats": excerpt.beats}
    figures["marks"] = len(excerpt.marks)
    print(json.dumps(figures) if arguments.json else f"{arguments.out}: {len(excerpt.notes)} notes")
    return 0


def _write_marks(path: Path, marks: Sequence[Mark]) -> None:
    try:
        path.write_text(json.dumps([mark._asdict() for mark in marks], indent=1) + "\n")
    except OSError as error:
        raise NoonsongError(f"cannot write {path}: {error.strerror}") from None


def _span(arguments: argparse.Namespace, wall_s: float) -> tuple[float, float]:
    """Seconds since 1970: from, until. Raises NoonsongError when the text says no time."""
    if arguments.all:
        return float("-inf"), float("inf")
    if arguments.last:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", arguments.last)
        if not match:
            raise NoonsongError(f'--last cannot be "{arguments.last}": it may be like 90s, 10m, 2h or 3d')
        return wall_s - float(match[1]) * _UNITS_S[match[2]], float("inf")
    try:
        day = datetime.date.fromisoformat(arguments.day)
    except ValueError:
        raise NoonsongError(f'--day cannot be "{arguments.day}": it is written like 2026-11-21') from None
    start = datetime.datetime.combine(day, datetime.time())
    return start.timestamp(), (start + datetime.timedelta(days=1)).timestamp()
