"""The position of the last note played: in memory that a killed process leaves behind, and on the disk."""

import fcntl
import mmap
import os
import secrets
import struct
from pathlib import Path

from model.errors import NoonsongError

SHARED = Path("/dev/shm")  # files here are memory, until the machine is switched off
_RECORD = struct.Struct("<qQ")  # position; the run, so that what is of another one is not believed


class Playhead:
    """A file beside the journal. Whoever holds it is the one process that plays the piece.

    The sender writes to shared memory, not to a map of this file: a file system with a log makes whoever writes to
    a page that is just being brought to the disk wait for the disk (Evan Jones, "The Four Month Bug: JVM statistics
    cause garbage collection pauses", 2015). Where there is no such memory, the file is mapped.
    """

    def __init__(self, path: Path) -> None:
        """Raises NoonsongError when another process plays this piece, OSError when the file cannot be written."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise NoonsongError(
                f"another noonsong is playing the piece in {path.parent}; stop it, or give this one"
                " a piece of its own with --journal"
            ) from None
        self._shared = shared_copy(path)
        position, run = _record(self._file)
        memory = _reserve(self._shared)
        left, of = _record(memory) if memory is not None else (0, 0)
        if run and of == run:
            position = left
        run = secrets.randbits(63) + 1  # never the 0 of files that know no runs
        # The disk first: what is in memory counts only together with it.
        os.pwrite(self._file, _RECORD.pack(position, run), 0)
        if memory is None:
            self._memory = mmap.mmap(self._file, _RECORD.size)
        else:
            os.pwrite(memory, _RECORD.pack(position, run), 0)
            self._memory = mmap.mmap(memory, _RECORD.size)
            os.close(memory)
        self._position = memoryview(self._memory)[:8].cast("q")

    @property
    def position(self) -> int:
        """The last note played; 0 when none was."""
        return self._position[0]

    def set(self, position: int) -> None:
        """A note was played. One store of eight bytes, for the scheduler's thread: no kill can come amidst it
        (struct's pack_into would set zeros first).
        """
        self._position[0] = position

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.pwrite(self._file, self._memory[:], 0)
        os.fsync(self._file)

    def close(self) -> None:
        """Bring it to the disk, and let another process play the piece."""
        self.sync()
        self._position.release()
        self._memory.close()
        self._shared.unlink(missing_ok=True)
        os.close(self._file)


def shared_copy(path: Path) -> Path:
    """Where the memory of a playhead's file is, as long as that is not closed in order."""
    there = path.stat()
    return SHARED / f"noonsong-playhead-{there.st_dev:x}-{there.st_ino:x}"


def _reserve(path: Path) -> int | None:
    """A file in shared memory with room for the record; None where there is none, or no room, or it is not ours."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        os.posix_fallocate(file, 0, _RECORD.size)
    except OSError:
        os.close(file)
        return None
    return file


def _record(file: int) -> tuple[int, int]:
    """What stands in a file, which may be too short or new."""
    position, run = _RECORD.unpack(os.pread(file, _RECORD.size, 0).ljust(_RECORD.size, b"\0"))
    return position, run
