"""The piece on disk: every token, setting and move, so that it goes on after any death of the process.

SQLite in WAL mode. Notes are written before they are played; a kill loses nothing that was written. Which of
them were played is kept beside it, in shared memory that the scheduler sets (`Playhead`).
A power cut can also lose what the operating system still held back: `sync` bounds that (host.instrument calls
it twice a second).

docs/journal.md describes the tables.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from host.events import Move, Spelled
from host.pace import ONSETS_KEPT
from host.player import Place
from host.settings import Meter, Settings
from model import tokens
from model.conditioning import SideInput
from model.errors import NoonsongError

FORMAT_VERSION = 3
CHECKPOINT_BYTES = 4 << 20

_TABLES = """
CREATE TABLE piece (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE spelled (
    position INTEGER PRIMARY KEY, tick INTEGER NOT NULL, settings INTEGER NOT NULL,
    wall_s REAL NOT NULL, tokens BLOB NOT NULL);
CREATE TABLE settings (
    number INTEGER PRIMARY KEY, floor_tick INTEGER NOT NULL, controls TEXT NOT NULL,
    meter_tick INTEGER NOT NULL, bar_ticks INTEGER NOT NULL);
CREATE TABLE moves (
    wall_s REAL NOT NULL, tick INTEGER NOT NULL, control TEXT NOT NULL, value REAL, who TEXT NOT NULL);
CREATE TABLE starts (wall_s REAL NOT NULL, position INTEGER NOT NULL, ended TEXT);
"""
# Since format 2. `tick` is what sounded, `wall_s` when the mark was made.
_MARKS = """
CREATE TABLE marks (
    wall_s REAL NOT NULL, tick INTEGER NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL)
"""
# Since format 3: which rows of `spelled` somebody else played.
_HEARD = "CREATE TABLE IF NOT EXISTS heard (position INTEGER PRIMARY KEY)"


class Identity(NamedTuple):
    """What must be the same for a piece to be gone on with."""

    weights_hash: str
    vocabulary_hash: str


class Past(NamedTuple):
    """All that a player and its performance need to go on."""

    tokens: list[int]
    sides: list[SideInput]
    place: Place
    settings: Settings
    controls: dict[str, float | None]
    spelled: list[Spelled]  # the last notes, so that those not yet played can be


class JournalRefusedError(NoonsongError):
    """This file cannot be gone on with; the message says why."""


class Journal:
    """One piece in one file. Writes come from one thread; sync from any."""

    def __init__(self, path: Path, identity: Identity, seed: int) -> None:
        """Open the piece at `path`, or begin one there with `seed`.

        Raises JournalRefusedError when the file is not a piece that can be gone on with: corrupt, of another
        model, or of a newer version. Nothing is changed then.
        """
        self.path = path
        self._checkpointer: sqlite3.Connection | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._open(identity, seed)
        except (sqlite3.DatabaseError, ValueError) as error:
            raise JournalRefusedError(f"the journal {path} is damaged ({error})") from None
        self.seed = int(self._piece()["seed"])

    def _open(self, identity: Identity, seed: int) -> None:
        db = self._db
        known = db.execute("SELECT name FROM sqlite_master").fetchall()
        if not known:
            db.execute("PRAGMA journal_mode = WAL")
            facts = {"format": FORMAT_VERSION, "seed": seed, **identity._asdict()}
            with self._transaction():
                for statement in (*_TABLES.split(";"), _MARKS, _HEARD):
                    db.execute(statement)
                db.executemany("INSERT INTO piece VALUES (?, ?)", [(k, str(v)) for k, v in facts.items()])
        piece = self._piece()
        if int(piece.get("format", "0")) > FORMAT_VERSION:
            raise JournalRefusedError(f"the journal {self.path} is from a newer noonsong")
        if any(piece.get(key) != value for key, value in identity._asdict().items()):
            raise JournalRefusedError(f"the journal {self.path} was played by another model")
        self._migrate(int(piece.get("format", "0")))
        # A commit is in the operating system's hands when it returns; sync() brings it to the disk.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA busy_timeout = 2000")

    def _migrate(self, version: int) -> None:
        """Bring a piece of an older noonsong up to date; what it holds stays."""
        if version < FORMAT_VERSION:
            with self._transaction() as db:
                for statement in (_MARKS, _HEARD)[version - 1 :]:
                    db.execute(statement)
                db.execute("UPDATE piece SET value = ? WHERE key = 'format'", (str(FORMAT_VERSION),))

    def _piece(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT key, value FROM piece").fetchall())

    def write(
        self, spelled: Iterable[Spelled], wall_times_s: Iterable[float], settings: Settings | None = None
    ) -> None:
        """Final notes, the times (seconds since 1970) when they are due, and settings if they changed."""
        spelled = list(spelled)
        heard = [(s.position,) for s in spelled if s.heard]
        rows = [
            (s.position, s.tick, s.settings, wall_s, np.array(s.tokens, dtype="<u2").tobytes())
            for s, wall_s in zip(spelled, wall_times_s, strict=True)
        ]
        with self._transaction() as db:
            db.executemany("INSERT INTO spelled VALUES (?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT INTO heard VALUES (?)", heard)
            if settings is not None:
                controls = json.dumps(settings.controls)
                db.execute(
                    "INSERT OR REPLACE INTO settings VALUES (?, ?, ?, ?, ?)",
                    (settings.number, settings.floor_tick, controls, *settings.meter),
                )

    def write_moves(self, moves: Iterable[Move], tick: int, wall_s: float) -> None:
        """Who moved which control, and when."""
        rows = [(wall_s, tick, move.control, move.value, move.who) for move in moves]
        with self._transaction() as db:
            db.executemany("INSERT INTO moves VALUES (?, ?, ?, ?, ?)", rows)

    def write_mark(self, kind: str, tick: int, wall_s: float, who: str) -> None:
        """Somebody marked the moment at a tick ("loved" or "disliked")."""
        self._db.execute("INSERT INTO marks VALUES (?, ?, ?, ?)", (wall_s, tick, kind, who))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is written inside, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def started(self, wall_s: float, position: int) -> int:
        """Note a start after the note at `position`.

        Returns how many starts of the last minute, this one too, came from there and were not ended in
        order: a run that dies in the same place again and again has met something it cannot play.
        """
        self._db.execute("INSERT INTO starts VALUES (?, ?, NULL)", (wall_s, position))
        query = "SELECT count(*) FROM starts WHERE ended IS NULL AND wall_s > ? AND position = ?"
        count: int = self._db.execute(query, (wall_s - 60.0, position)).fetchone()[0]
        return count

    def ended(self, how: str) -> None:
        """Note that this run ended in order."""
        self._db.execute("UPDATE starts SET ended = ? WHERE rowid = (SELECT max(rowid) FROM starts)", (how,))

    def past(self, memory_tokens: int) -> Past | None:
        """The end of what is written, with at least `memory_tokens` tokens where there are so many.

        None when nothing was written yet. Raises JournalRefusedError when the rows make no sense.
        """
        try:
            return self._past(memory_tokens)
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError, IndexError) as error:
            raise JournalRefusedError(f"the journal {self.path} is damaged ({error})") from None

    def _past(self, memory_tokens: int) -> Past | None:
        newest: list[Spelled] = []
        count = 0
        onsets: set[int] = set()
        for position, tick, number, blob, heard in self._db.execute(
            "SELECT position, tick, settings, tokens, position IN (SELECT position FROM heard) FROM spelled"
            " ORDER BY position DESC"
        ):
            newest.append(read_spelled(position, tick, number, blob)._replace(heard=bool(heard)))
            count += len(newest[-1].tokens)
            if not heard:
                onsets.add(tick)
            if count >= memory_tokens and len(onsets) >= ONSETS_KEPT:
                break
        if not newest:
            return None
        spelled = newest[::-1]
        oldest = self._settings_from(spelled[0].settings)
        last = spelled[-1]
        latest = oldest[max(oldest)]
        if (
            latest.number < last.settings
            or last.position - spelled[0].position + len(spelled[0].tokens) != count
        ):
            raise ValueError("notes are missing")
        past, sides = _reread(spelled, oldest, latest)
        cell = last.tokens[-2] if last.note is not None else tokens.END
        state = tokens.State(last.tick, 0, cell)
        place = Place(last.position, last.tokens[-1], state, tuple(sorted(onsets)[-ONSETS_KEPT:]))
        controls = dict(latest.controls)
        query = (
            "SELECT control, value FROM moves WHERE rowid IN (SELECT max(rowid) FROM moves GROUP BY control)"
        )
        controls |= dict(self._db.execute(query))
        return Past(past, sides, place, latest, controls, spelled)

    def _settings_from(self, number: int) -> dict[int, Settings]:
        query = "SELECT number, floor_tick, controls, meter_tick, bar_ticks FROM settings WHERE number >= ?"
        return {
            n: Settings(n, floor_tick, json.loads(controls), Meter(meter_tick, bar_ticks))
            for n, floor_tick, controls, meter_tick, bar_ticks in self._db.execute(query, (number,))
        }

    def sync(self) -> None:
        """Bring what was written to the disk. For one thread of its own: cards can take half a second."""
        # The writer never checkpoints, and waits for the disk only as it begins the log anew after a checkpoint
        # (SQLite then syncs the log's head). The log is synced through a descriptor
        # of our own, since SQLite's own ways to sync would hold the write lock meanwhile; closing it is safe:
        # the locks are on other files.
        if self._checkpointer is None:
            self._checkpointer = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        log = self.path.with_name(self.path.name + "-wal")
        descriptor = os.open(log, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            if os.fstat(descriptor).st_size > CHECKPOINT_BYTES:
                self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file."""
        if self._checkpointer is not None:
            self._checkpointer.close()
        self._db.close()


def read_spelled(position: int, tick: int, settings: int, blob: bytes) -> Spelled:
    """A row of the table `spelled`. Raises ValueError when it spells nothing."""
    spelled = tuple(int(t) for t in np.frombuffer(blob, dtype="<u2"))
    if spelled == (tokens.END,):
        return Spelled(None, position, tick, spelled, settings)
    shifted = sum(tokens.SHIFTS[t - tokens.FIRST_SHIFT] for t in spelled if tokens.is_shift(t))
    notes = list(tokens.decode(spelled, tokens.State(tick - shifted)))
    if len(notes) != 1 or max(spelled) >= tokens.VOCABULARY_SIZE:
        raise ValueError(f"the tokens at {position} spell no note")
    return Spelled(notes[0], position, tick, spelled, settings)


def _reread(
    spelled: Sequence[Spelled], settings: Mapping[int, Settings], latest: Settings
) -> tuple[list[int], list[SideInput]]:
    """Every token with the side input it was read with: by the settings under which the next was chosen."""
    past: list[int] = []
    sides: list[SideInput] = []
    following = [settings[s.settings] for s in spelled[1:]] + [latest]
    for row, next_settings in zip(spelled, following, strict=True):
        shifts = [tokens.SHIFTS[t - tokens.FIRST_SHIFT] if tokens.is_shift(t) else 0 for t in row.tokens]
        tick = row.tick - sum(shifts)
        for index, (token, shift) in enumerate(zip(row.tokens, shifts, strict=True)):
            tick += shift
            here = next_settings if index == len(row.tokens) - 1 else settings[row.settings]
            past.append(token)
            sides.append(here.side(tick))
    return past, sides
