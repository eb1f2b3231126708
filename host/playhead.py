"""The position of the last note played, in shared memory: a killed process leaves it behind exactly."""

import fcntl
import mmap
import os
import struct
from pathlib import Path

from model.errors import NoonsongError

_POSITION = struct.Struct("<q")


class Playhead:
    """Eight bytes beside the journal. Whoever holds them is the one process that plays the piece."""

    def __init__(self, path: Path) -> None:
        """Raises NoonsongError when another process plays this piece."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise NoonsongError(
                f"another noonsong is playing the piece in {path.parent}; stop it, or give this one"
                " a piece of its own with --journal"
            ) from None
        os.ftruncate(self._file, _POSITION.size)
        self._memory = mmap.mmap(self._file, _POSITION.size)

    @property
    def position(self) -> int:
        """The last note played; 0 when none was."""
        return int(_POSITION.unpack_from(self._memory)[0])

    def set(self, position: int) -> None:
        """A note was played. Costs a memory write: for the scheduler's thread."""
        _POSITION.pack_into(self._memory, 0, position)

    def sync(self) -> None:
        """Wait until the disk has it."""
        self._memory.flush()

    def close(self) -> None:
        """Let another process play the piece."""
        self._memory.close()
        os.close(self._file)
