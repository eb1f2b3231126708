"""Whether the JACK server that we joined still lives: its clients are not told otherwise.

A message to a dead server waits in a ring buffer, and when that is full the sender waits for ever, so
ports must be let go of at once.
"""

import time

import jack

from model.errors import NoonsongError

FRAME_TIMES = 1 << 32  # after which JACK counts from nothing again
LONGEST_CYCLES_S = 1.0
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

    def let_pass(self, cycles: int) -> None:
        """Wait until the server has been round so many times; a second at most, and not for a dead one."""
        if not self.alive:
            return
        end_s = time.monotonic() + LONGEST_CYCLES_S
        first, frames = self._client.last_frame_time, cycles * self._client.blocksize
        while self.alive and time.monotonic() < end_s:
            if (self._client.last_frame_time - first) % FRAME_TIMES >= frames:
                return
            time.sleep(self._client.blocksize / self._client.samplerate)

    def close(self) -> None:
        """Leave it, or what is left of it."""
        self._client.close()

    def _ended(self, status: object, reason: str) -> None:
        self._ended_s = time.monotonic()
        self.alive = False
