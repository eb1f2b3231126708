"""The archive on disk: one SQLite file that a build appends to while others read.

Pieces of one cluster (near duplicates, and parts or prints of one work) are in one split. A cluster is named
by its oldest piece and its split follows from that piece alone, so an archive that grows moves nothing
unless a newcomer shows that two old clusters are one.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.archive.duplicates import LIKENESS, Signature, band_keys, likeness
from model.archive.piece import NOTE_DTYPE, Notes, Piece, Provenance
from model.archive.sources import Item
from model.errors import NoonsongError

FILE_NAME = "archive.sqlite"
SPLITS = ("train", "valid", "test")
FORMAT = 1
_BLOCK = 20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pieces(
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL,
    reader TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', content_hash TEXT NOT NULL,
    title TEXT, composer TEXT, work TEXT, date TEXT, genre TEXT, instruments TEXT, licence TEXT,
    source TEXT, performed INTEGER, has_dynamics INTEGER, tempo_bpm REAL, note_count INTEGER DEFAULT 0,
    bars TEXT, notes BLOB, signature BLOB, records TEXT, cluster INTEGER, split TEXT,
    UNIQUE(collection, path));
CREATE INDEX IF NOT EXISTS by_cluster ON pieces(cluster);
CREATE INDEX IF NOT EXISTS by_content ON pieces(content_hash);
CREATE TABLE IF NOT EXISTS bands(key INTEGER PRIMARY KEY, piece INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS founded(kind TEXT PRIMARY KEY, clusters INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS works(key TEXT PRIMARY KEY, piece INTEGER NOT NULL);
"""
_COLUMNS = (
    "notes, bars, tempo_bpm, source, has_dynamics, performed, split, "
    "collection, path, title, composer, work, date, genre, instruments, licence, content_hash"
)


@dataclass(frozen=True)
class Parsed:
    """What came of one item: a piece with its signature, or the reason why there is none."""

    item: Item
    reader: str
    content_hash: str
    reason: str = ""
    piece: Piece | None = None
    signature: Signature | None = None
    records: dict[str, str] | None = None


def pack_notes(notes: Notes) -> bytes:
    """Notes as bytes, column by column with onsets as steps, since that is what packs well."""
    steps = np.diff(notes["tick"], prepend=np.int32(0)).astype("<i4")
    columns = [steps, *(np.ascontiguousarray(notes[name]) for name in NOTE_DTYPE.names[1:])]  # type: ignore[index]
    return zlib.compress(b"".join(column.tobytes() for column in columns), 6)


def unpack_notes(data: bytes) -> Notes:
    """The inverse of pack_notes."""
    raw = zlib.decompress(data)
    count = len(raw) // NOTE_DTYPE.itemsize
    notes = np.empty(count, NOTE_DTYPE)
    at = 0
    for name in NOTE_DTYPE.names or ():
        kind = NOTE_DTYPE[name]
        notes[name] = np.frombuffer(raw, kind, count, at)
        at += count * kind.itemsize
    notes["tick"] = np.cumsum(notes["tick"])
    return notes


def split_of(kind: str, number: int) -> str:
    """The split of the cluster that came as `number` (from 0) of its kind of music.

    Of every 20 one is for valid and one for test, drawn by hash, so that kinds with few pieces are heard
    there too; of the first 20 these are among the first ten.
    """
    block, place = divmod(number, _BLOCK)
    choices = list(range(2, 10)) if block == 0 else list(range(_BLOCK))
    draw = hashlib.sha256(f"{kind} {block}".encode()).digest()
    valid = choices.pop(draw[0] % len(choices))
    test = choices.pop(draw[1] % len(choices))
    return {valid: "valid", test: "test"}.get(place, "train")


class Archive:
    """Reads the archive in a folder, also while a build is writing it.

    Raises NoonsongError when there is none, or one of another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder).expanduser() / FILE_NAME
        if not self.path.is_file():
            raise NoonsongError(
                f"there is no archive in {folder}: `noonsong archive build --out {folder}` makes one"
            )
        with self._open() as db:
            check_format(db, self.path)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as db:
            try:
                yield db
            except sqlite3.DatabaseError as error:
                raise NoonsongError(
                    f"{self.path} cannot be read ({error}): if it is damaged, move it away and build again"
                ) from error

    def pieces(self, split: str | None = None, collection: str | None = None) -> Iterator[Piece]:
        """Pieces in the order in which they came, one at a time; of one split, or of all with None."""
        conditions, values = ["status = 'ok'"], []
        for column, value in (("split", split), ("collection", collection)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        with self._open() as db:
            # By id in stretches: a reader that holds one query open for an hour would keep the log growing.
            last = 0
            where = " AND ".join(["id > ?", *conditions])
            query = f"SELECT id, {_COLUMNS} FROM pieces WHERE {where} ORDER BY id LIMIT 64"
            while rows := db.execute(query, (last, *values)).fetchall():
                for row in rows:
                    yield _piece(row[1:])
                last = rows[-1][0]

    def counts(self) -> dict[str, Any]:
        """Pieces and notes by collection, split and source, clusters, and rejections by reason."""
        with self._open() as db:

            def table(column: str) -> dict[str, dict[str, int]]:
                rows = db.execute(
                    f"SELECT {column}, COUNT(*), SUM(note_count) FROM pieces WHERE status = 'ok' "
                    f"GROUP BY {column} ORDER BY SUM(note_count) DESC"
                )
                return {name: {"pieces": pieces, "notes": notes} for name, pieces, notes in rows}

            by_status = dict(db.execute("SELECT status, COUNT(*) FROM pieces GROUP BY status").fetchall())
            total = db.execute(
                "SELECT COUNT(DISTINCT cluster), SUM(note_count), SUM(has_dynamics), SUM(performed),"
                " SUM(bars != '[]') FROM pieces WHERE status = 'ok'"
            ).fetchone()
            return {
                "pieces": by_status.get("ok", 0),
                "notes": total[1] or 0,
                "clusters": total[0],
                "duplicates": by_status.get("duplicate", 0),
                "rejected": by_status.get("rejected", 0),
                "with_dynamics": total[2] or 0,
                "performed": total[3] or 0,
                "with_metre": total[4] or 0,
                "collections": table("collection"),
                "splits": table("split"),
                "sources": table("source"),
                "licences": table("licence"),
            }

    def rejected(self) -> Iterator[tuple[str, str, str]]:
        """(collection, path, reason) of every file that gave no piece of its own."""
        with self._open() as db:
            yield from db.execute(
                "SELECT collection, path, reason FROM pieces WHERE status != 'ok' ORDER BY collection, path"
            )


def check_format(db: sqlite3.Connection, path: Path) -> None:
    """Raises NoonsongError when the file is not an archive that this version reads."""
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise NoonsongError(f"{path} is not an archive ({error}); move it away and build again") from error
    if version != FORMAT:
        raise NoonsongError(
            f"{path} is an archive of version {version}, this noonsong reads {FORMAT}: build it again"
        )


def _piece(row: tuple[Any, ...]) -> Piece:
    notes, bars, tempo_bpm, source, has_dynamics, performed, split, *where = row
    return Piece(
        notes=unpack_notes(notes),
        bars=tuple((tick, bar) for tick, bar in json.loads(bars)),
        tempo_bpm=tempo_bpm,
        source=source,
        provenance=Provenance(*where),
        has_dynamics=bool(has_dynamics),
        performed=bool(performed),
        split=split,
    )


class Writer:
    """The one process that writes an archive. Use as a context; every commit is a state to resume from.

    Raises NoonsongError when the folder cannot be written or another build is at work in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder).expanduser() / FILE_NAME
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not self.path.exists()
            self.db = sqlite3.connect(self.path, timeout=1, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise NoonsongError(f"no archive can be written in {folder} ({error})") from error
        with self._closed_on_failure():
            if fresh:
                self.db.execute(f"PRAGMA user_version = {FORMAT}")
            check_format(self.db, self.path)
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
            self.db.executescript(_SCHEMA)

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            self.db.close()
            if "locked" in str(error):
                raise NoonsongError(
                    f"another build is writing {self.path}: wait for it, or stop it"
                ) from error
            raise NoonsongError(f"no archive can be written at {self.path} ({error})") from error
        except BaseException:
            self.db.close()
            raise

    def __enter__(self) -> "Writer":
        with self._closed_on_failure():
            self._begin()
        return self

    def _begin(self) -> None:
        # Taken at once and kept, so that a second build learns of the first before it has done any work.
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        with closing(self.db):
            if self.db.in_transaction:
                self.db.execute("COMMIT")

    def commit(self) -> None:
        """Make what was added durable."""
        self.db.execute("COMMIT")
        self._begin()

    def has(self, item: Item, reader: str) -> bool:
        """Whether this very file was already read by this version of its reader."""
        row = self.db.execute(
            "SELECT stamp, reader FROM pieces WHERE collection = ? AND path = ?", (item.collection, item.path)
        ).fetchone()
        return bool(row == (item.stamp, reader))

    def add(self, parsed: Parsed) -> str:
        """Record what came of an item; returns its status: ok, duplicate or rejected."""
        self.db.execute("SAVEPOINT piece")
        try:
            status = self._add(parsed)
        except BaseException:  # an interrupt may come at any line, and half a piece must not stay
            self.db.execute("ROLLBACK TO piece")
            raise
        self.db.execute("RELEASE piece")
        return status

    def _add(self, parsed: Parsed) -> str:
        row: dict[str, Any] = {
            "collection": parsed.item.collection, "path": parsed.item.path, "stamp": parsed.item.stamp,
            "reader": parsed.reader, "content_hash": parsed.content_hash, "reason": parsed.reason,
            "status": "rejected", "records": json.dumps(parsed.records or {}, ensure_ascii=False),
            "note_count": 0, "notes": None, "signature": None, "bars": "[]", "split": "",
        }  # fmt: skip
        if parsed.piece is not None:
            piece = parsed.piece
            row |= asdict(piece.provenance)
            row |= {
                "status": "ok", "source": piece.source, "performed": int(piece.performed),
                "has_dynamics": int(piece.has_dynamics), "tempo_bpm": piece.tempo_bpm,
                "note_count": len(piece.notes), "bars": json.dumps(piece.bars),
                "notes": pack_notes(piece.notes),
                "signature": None if parsed.signature is None else parsed.signature.tobytes(),
            }  # fmt: skip
            self._mark_duplicate(row)
        known = self.db.execute(
            "SELECT id, cluster FROM pieces WHERE collection = ? AND path = ?",
            (row["collection"], row["path"]),
        ).fetchone()
        if known is None:
            names = ", ".join(row)
            self.db.execute(
                f"INSERT INTO pieces({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
            )
            number = self.db.execute("SELECT last_insert_rowid()").fetchone()[0]
        else:
            number = known[0]
            row.pop("split")
            assignments = ", ".join(f"{name} = ?" for name in row)
            self.db.execute(f"UPDATE pieces SET {assignments} WHERE id = ?", (*row.values(), number))
        if row["status"] != "rejected":
            self._place(number, parsed, known is not None and known[1] is not None)
        return str(row["status"])

    def _mark_duplicate(self, row: dict[str, Any]) -> None:
        same = self.db.execute(
            "SELECT collection, path FROM pieces WHERE content_hash = ? AND status = 'ok'"
            " AND NOT (collection = ? AND path = ?) ORDER BY id LIMIT 1",
            (row["content_hash"], row["collection"], row["path"]),
        ).fetchone()
        if same is not None:
            row["status"] = "duplicate"
            row["reason"] = f"it is the same file as {same[1]} in {same[0]}, which is kept"

    def _place(self, number: int, parsed: Parsed, placed: bool) -> None:
        """Put a piece into the cluster of those it is like or belongs with, else let it found one."""
        assert parsed.piece is not None
        relatives = list(self._relatives(number, parsed))
        if not placed:
            home = min((self._home(other) for other in relatives), default=None)
            cluster, split = home or (number, self._found(parsed.piece))
            self.db.execute("UPDATE pieces SET cluster = ?, split = ? WHERE id = ?", (cluster, split, number))
        for other in relatives:
            self._join(number, other)

    def _found(self, piece: Piece) -> str:
        kind = f"{piece.provenance.collection} {piece.source}"
        row = self.db.execute("SELECT clusters FROM founded WHERE kind = ?", (kind,)).fetchone()
        count = row[0] if row else 0
        self.db.execute("INSERT OR REPLACE INTO founded(kind, clusters) VALUES (?, ?)", (kind, count + 1))
        return split_of(kind, count)

    def _home(self, number: int) -> tuple[int, str]:
        """(cluster, split) of a placed piece."""
        row = self.db.execute("SELECT cluster, split FROM pieces WHERE id = ?", (number,)).fetchone()
        return row[0], row[1]

    def _relatives(self, number: int, parsed: Parsed) -> Iterator[int]:
        assert parsed.piece is not None
        yield from (
            row[0]
            for row in self.db.execute(
                "SELECT id FROM pieces WHERE content_hash = ? AND status = 'ok' AND id != ? LIMIT 1",
                (parsed.content_hash, number),
            ).fetchall()
        )
        if work := parsed.piece.provenance.work:
            other = self._first("works", work, number)
            if other != number:
                yield other
        if parsed.signature is None:
            return
        # Only the first piece of each band is kept: the table grows with what is new, and looks up one row.
        seen = set()
        for key in band_keys(parsed.signature):
            other = self._first("bands", key, number)
            if other == number or other in seen:
                continue
            seen.add(other)
            stored = self.db.execute("SELECT signature FROM pieces WHERE id = ?", (other,)).fetchone()
            if (
                stored
                and stored[0]
                and likeness(parsed.signature, np.frombuffer(stored[0], np.uint64)) >= LIKENESS
            ):
                yield other

    def _first(self, table: str, key: str | int, number: int) -> int:
        self.db.execute(f"INSERT OR IGNORE INTO {table}(key, piece) VALUES (?, ?)", (key, number))
        return int(self.db.execute(f"SELECT piece FROM {table} WHERE key = ?", (key,)).fetchone()[0])

    def _join(self, a: int, b: int) -> None:
        elder, younger = sorted((self._home(a), self._home(b)))
        if elder[0] != younger[0]:
            self.db.execute(
                "UPDATE pieces SET cluster = ?, split = ? WHERE cluster = ?", (*elder, younger[0])
            )
