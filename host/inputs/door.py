"""A door for other processes of this user: `noonsong learn` asks the box that plays to learn.

One line of JSON in, {"learn": CONTROL}; lines out, {"says": SENTENCE} and at last {"learnt": SENTENCE} or
{"error": SENTENCE}. Whoever leaves before that has changed their mind.
"""

import contextlib
import json
import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from host.inputs.inputs import Inputs
from model.errors import NoonsongError

_LOOK_S = 0.2
_LONGEST_LINE = 4096


class Door:
    """Listens on a socket beside the journal until closed."""

    def __init__(self, journal: Path, inputs: Inputs) -> None:
        """Raises NoonsongError when the socket cannot be made."""
        self._inputs = inputs
        self._folder = _Folder(journal)
        self._stop = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._folder.path.unlink(missing_ok=True)  # of a process that was killed: we hold the piece now
            old = os.umask(0o077)
            try:
                self._socket.bind(str(self._folder.reachable))
            finally:
                os.umask(old)
        except OSError as error:
            self._socket.close()
            raise NoonsongError(f"`noonsong learn` cannot reach this box: {error}") from None
        self._socket.listen(4)
        self._socket.settimeout(_LOOK_S)
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._socket.close()
        self._folder.path.unlink(missing_ok=True)
        self._folder.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError, OSError, ValueError):
                connection, _ = self._socket.accept()
                with connection:
                    connection.settimeout(_LOOK_S)
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        asked = json.loads(connection.recv(_LONGEST_LINE) or b"{}")
        done: queue.Queue[str] = queue.Queue()
        try:
            self._inputs.learn(str(asked.get("learn")), done.put)
        except NoonsongError as error:
            return _say(connection, "error", str(error))
        try:
            _say(connection, "says", "the box that plays listens: move something")
            while not self._stop.is_set():
                with contextlib.suppress(queue.Empty):
                    return _say(connection, "learnt", done.get_nowait())
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1):
                        return None
        finally:
            self._inputs.cancel_learning()


def ask_to_learn(journal: Path, control: str, timeout_s: float) -> Iterator[str]:
    """What the box that plays this piece says, until it has learnt. Nothing when no box plays it.

    Raises NoonsongError with its refusal, or when nothing moved in time.
    """
    folder = _Folder(journal)
    with contextlib.closing(folder), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        try:
            door.connect(str(folder.reachable))
        except OSError:
            return
        door.settimeout(timeout_s)
        door.sendall(json.dumps({"learn": control}).encode())
        with door.makefile() as lines:
            try:
                for line in lines:
                    ((kind, sentence),) = json.loads(line).items()
                    if kind == "error":
                        raise NoonsongError(sentence)
                    yield sentence
                    if kind == "learnt":
                        return
            except TimeoutError:
                raise NoonsongError(f"nothing moved for {timeout_s:g} seconds: nothing was learnt") from None
    raise NoonsongError("the box that plays has stopped: nothing was learnt")


def _say(connection: socket.socket, kind: str, sentence: str) -> None:
    connection.sendall(json.dumps({kind: sentence}).encode() + b"\n")


class _Folder:
    """Where the socket is. Its path may be longer than sockets can have; a descriptor's never is."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_name(journal.name + "-door")
        self._descriptor: int | None = None
        self.reachable = self.path
        if len(str(self.path)) > 100 and Path("/proc/self/fd").exists() and self.path.parent.exists():
            self._descriptor = os.open(self.path.parent, os.O_RDONLY)
            self.reachable = Path(f"/proc/self/fd/{self._descriptor}/{self.path.name}")

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
