"""Tells what came back from what was played: gear that repeats what it is sent must not play the box."""

from collections import OrderedDict

ECHO_S = 1.0
MAX_REMEMBERED = 4096


class Echoes:
    """What was sent of late. One thread may send while others hear."""

    def __init__(self) -> None:
        self._sent: OrderedDict[tuple[tuple[int, ...], int], float] = OrderedDict()
        self._number = 0

    def sent(self, message: tuple[int, ...], now_s: float) -> None:
        """A message left, whatever port it took."""
        self._number += 1
        self._sent[message, self._number] = now_s
        while len(self._sent) > MAX_REMEMBERED:
            self._sent.popitem(last=False)

    def is_echo(self, message: tuple[int, ...], now_s: float) -> bool:
        """Whether this is what was sent within the last second; each sending explains one hearing."""
        for key, sent_s in list(self._sent.items()):
            if now_s - sent_s > ECHO_S:
                self._sent.pop(key, None)
            elif key[0] == message:
                return self._sent.pop(key, None) is not None
        return False
