"""Opens the piece: the journal that is there, or a new one when it cannot be gone on with."""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from host.journal import Identity, Journal, JournalRefusedError, Past
from host.playhead import Playhead
from model.errors import NoonsongError

CRASH_LOOP_STARTS = 3  # within a minute, from the same place


def default_path() -> Path:
    """Where the piece is kept when nobody says otherwise."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "noonsong" / "journal.sqlite"


class Piece:
    """The journal, its playhead and what can be gone on with. `begin_phrase`: rather not as it ended."""

    def __init__(
        self,
        path: Path,
        identity: Identity,
        memory_tokens: int,
        wall_s: float,
        say: Callable[[str], None],
        seed: int | None = None,
    ) -> None:
        """Open or begin the piece; a journal that is refused is kept aside, and `say` tells.

        Raises NoonsongError when another process plays it or the folder cannot be written.
        """
        try:
            self._open(path, identity, memory_tokens, wall_s, say, seed)
        except (OSError, sqlite3.Error) as error:
            raise NoonsongError(
                f"the piece cannot be kept in {path.parent} ({error}): make room there and allow writing, or name"
                " another place with --journal"
            ) from error

    def _open(
        self,
        path: Path,
        identity: Identity,
        memory_tokens: int,
        wall_s: float,
        say: Callable[[str], None],
        seed: int | None,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.playhead = Playhead(path.with_name(path.name + "-playhead"))
        new_seed = secrets.randbits(63) if seed is None else seed
        self.past: Past | None = None
        try:
            self.journal = Journal(path, identity, new_seed)
            self.past = self.journal.past(memory_tokens)
        except JournalRefusedError as refusal:
            aside = set_aside(path)
            say(f"{refusal}. It is kept as {aside}; a new piece begins.")
            self.journal = Journal(path, identity, new_seed)
        if self.past is None:
            self.playhead.set(0)
        elif seed is not None and seed != self.journal.seed:
            say(
                f"the piece in {path} goes on with its own seed {self.journal.seed}; --fresh begins a new one"
            )
        starts = self.journal.started(wall_s, self.playhead.position)
        self.begin_phrase = self.past is not None and starts >= CRASH_LOOP_STARTS
        if self.begin_phrase:
            say(f"start {starts} within a minute from the same place: a new phrase begins")

    def sync(self) -> None:
        """Bring everything to the disk."""
        self.journal.sync()
        self.playhead.sync()

    def close(self, how: str) -> None:
        """The run ended in order."""
        self.journal.ended(how)
        self.journal.sync()
        self.journal.close()
        self.playhead.close()


def set_aside(path: Path) -> Path:
    """Move a journal and what belongs to it out of the way; returns where it is now."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.stem}.{stamp}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.stem}.{stamp}-{number}{path.suffix}")
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    return aside
