"""The pairing code on the board's LED, for a box without a screen: one long light, then each digit as blinks."""

import threading
from collections.abc import Callable, Iterator

from host import wire
from host.board import Board

BLINK_S = 0.25  # lit, and as long dark
LONG_S = 2.0
PAUSE_S = 1.2  # between two digits, and round the long light
LASTS_S = 10.0  # after somebody asked last, once the digits that were begun have been told


def blinks(code: str) -> Iterator[tuple[bool, float]]:
    """(lit, seconds), one after the other: the long light, then so many blinks for each digit, ten for a zero."""
    yield True, LONG_S
    yield False, PAUSE_S
    for digit in code:
        for _ in range(int(digit) or 10):
            yield True, BLINK_S
            yield False, BLINK_S
        yield False, PAUSE_S - BLINK_S


class CodeLight:
    """Tells a code as long as somebody asks for it, on a board that can. Never waited for."""

    def __init__(self, board: Board | None, now_s: Callable[[], float], pace: float = 1.0) -> None:
        """`pace`: how much quicker than people like it."""
        self._board = board
        self._now_s = now_s
        self._pace = pace
        self._lock = threading.Lock()
        self._code = ""
        self._until_s = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, code: str) -> None:
        """Somebody asks for this code, now; an empty one: nobody needs it any more."""
        with self._lock:
            if code != self._code:
                self._end()
                self._code = code
            self._until_s = self._now_s() + LASTS_S / self._pace
            if code and (self._thread is None or not self._thread.is_alive()) and self._can_tell():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(code, self._stop), name="code light", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Tell nothing any more; the LED is the board's own."""
        self.tell("")

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, code: str, stop: threading.Event) -> None:
        while not stop.is_set() and self._now_s() < self._until_s:
            for lit, seconds in blinks(code):
                self._set(wire.LED_LIT if lit else wire.LED_DARK)
                if stop.wait(seconds / self._pace):
                    break
        self._set(wire.LED_OWN)

    def _set(self, order: int) -> None:
        if self._board is not None and self._can_tell():
            self._board.configure("led", order)

    def _can_tell(self) -> bool:
        """Whether there is a board whose firmware knows how."""
        status = self._board.status() if self._board is not None else None
        return bool(
            status and status.connected and status.welcome
            and status.welcome.capabilities & wire.CAPABILITIES["led"]
        )  # fmt: skip
