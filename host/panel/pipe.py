"""Messages between the music's process and the panel's: four bytes of length, one of kind, then JSON.

The music never waits for the panel: what does not fit into the pipe is left out, whole messages at a time.
"""

import socket
import struct
from collections import deque
from collections.abc import Iterator

_HEADER = struct.Struct("<IB")
LARGEST_BYTES = 4 << 20
MAX_WAITING = 64

# From the music: what all pages see; what a page needs to begin; an answer to one of them.
FRAME, WHOLE, ANSWER = b"f", b"w", b"a"
# From the panel: it listens; somebody came or went; a page asks; a sentence for the player; an excerpt of the past to
# be played, and notes of it; a pairing code that somebody waits for, empty when nobody does.
UP, WATCHERS, ASK, NOTICE, EXCERPT, NOTES, CODE = b"u", b"n", b"q", b"s", b"e", b"m", b"c"


def pack(kind: bytes, body: bytes) -> bytes:
    """One message."""
    return _HEADER.pack(len(body), kind[0]) + body


class Unpacker:
    """Bytes as they come -> whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, body) of every message that is complete. Raises ValueError when it is no such stream."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self._buffer)
            if length > LARGEST_BYTES:
                raise ValueError(f"a message of {length} bytes")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield bytes((kind,)), body


class Outbox:
    """What waits to be sent on a socket that must never be waited for."""

    def __init__(self, connection: socket.socket) -> None:
        """`connection` is made non-blocking."""
        connection.setblocking(False)
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self.left_out = 0

    @property
    def empty(self) -> bool:
        """Whether everything has left."""
        return not self._waiting

    def put(self, kind: bytes, body: bytes) -> bool:
        """Send when there is room, now or at the next `flush`; False: left out, for want of room."""
        if len(self._waiting) >= MAX_WAITING:
            self.left_out += 1
            return False
        self._waiting.append(pack(kind, body))
        self.flush()
        return True

    def flush(self) -> None:
        """Send what the socket takes. Raises OSError when the other side is gone."""
        while self._waiting:
            data = self._waiting[0]
            try:
                sent = self._connection.send(data)
            except BlockingIOError:
                return
            if sent < len(data):
                self._waiting[0] = data[sent:]
            else:
                self._waiting.popleft()
