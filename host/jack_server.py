"""Whether the JACK server that we joined still lives: its clients are not told otherwise.

A message to a dead server waits in a ring buffer, and when that is full the sender waits for ever, so
ports must be let go of at once.
"""

import time

import jack

from model.errors import NoonsongError

BURIAL_S = 3.0  # after a server's death libjack is busy in threads of its own: whoever closes then crashes


class JackServer:
    """A client that does nothing but listen for the server's end."""

    def __init__(self) -> None:
        """Raises NoonsongError when there is no server."""
        self.alive = True
        self._ended_s = 0.0
        try:
            self._client = jack.Client("noonsong-watch", no_start_server=True)
            self._client.set_shutdown_callback(self._ended)
            self._client.activate()
        except jack.JackError as error:
            raise NoonsongError(f"no JACK server: {error}") from None

    @property
    def buried(self) -> bool:
        """Whether it died, and what we had open there can be closed."""
        return not self.alive and time.monotonic() - self._ended_s > BURIAL_S

    def close(self) -> None:
        """Leave it, or what is left of it."""
        self._client.close()

    def _ended(self, status: object, reason: str) -> None:
        self._ended_s = time.monotonic()
        self.alive = False
