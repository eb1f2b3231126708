"""Whether the JACK server that we joined still lives: its clients are not told otherwise.

A message to a dead server waits in a ring buffer, and when that is full the sender waits for ever, so
ports must be let go of at once.
"""

import jack

from model.errors import NoonsongError


class JackServer:
    """A client that does nothing but listen for the server's end."""

    def __init__(self) -> None:
        """Raises NoonsongError when there is no server."""
        self.alive = True
        try:
            self._client = jack.Client("noonsong-watch", no_start_server=True)
            self._client.set_shutdown_callback(self._ended)
            self._client.activate()
        except jack.JackError as error:
            raise NoonsongError(f"no JACK server: {error}") from None

    def close(self) -> None:
        """Leave it, or what is left of it."""
        self._client.close()

    def _ended(self, status: object, reason: str) -> None:
        self.alive = False
