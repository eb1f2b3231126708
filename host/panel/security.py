"""Who may come in: names and origins that count, the pairing code, tokens, and how much anybody may ask.

Pure: time and chance are arguments. Alone on the loopback address nobody needs a code, but every request must
have been meant for this box (Host) and come from its own page (Origin): so no other site that is open in
the same browser can reach it, not even by letting its own name point here.
"""

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

Role = Literal["player", "spectator", "stranger"]

CODE_DIGITS = 6
TRIES = 5  # wrong codes before another one is drawn
MAX_TOKENS = 32
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Door:
    """Decides about requests by their headers and the address they come from."""

    def __init__(self, network: bool, spectators: bool, names: Iterable[str]) -> None:
        """`names`: those of this machine, besides the local ones."""
        self._network = network
        self._spectators = spectators
        self._names = {name.lower().rstrip(".") for name in names} if network else set()

    def host_allowed(self, host: str) -> bool:
        """Whether a Host header names this box. Addresses count as such: only a name can be made to point here
        by somebody else.
        """
        name = _name_of(host)
        if name in LOCAL_NAMES:
            return True
        if self._network and _is_address(name):
            return True
        return name in self._names

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Whether a request that can change something comes from a page of this box."""
        return origin is not None and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")

    def role(self, address: str, known: bool) -> Role:
        """What somebody may do who comes from an address, with a token that is `known` or not."""
        if known or (_is_address(address) and ipaddress.ip_address(address).is_loopback):
            return "player"
        return "spectator" if self._spectators else "stranger"


class Pairing:
    """A code on the box's own screen, good for a token; guessing draws another code."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        """`draw(n)`: a random number below n that nobody can guess."""
        self._draw = draw
        self.code = ""
        self._wrong = 0
        self._new_code()

    def matches(self, code: str) -> bool:
        """Whether that is the code. The code is good once; after TRIES wrong ones there is another."""
        if hmac.compare_digest(code.strip().encode(), self.code.encode()):
            self._new_code()
            return True
        self._wrong += 1
        if self._wrong >= TRIES:
            self._new_code()
        return False

    def _new_code(self) -> None:
        self.code = f"{self._draw(10**CODE_DIGITS):0{CODE_DIGITS}}"
        self._wrong = 0


class Tokens:
    """Hashes of the tokens that were given out, in a file that only this user reads."""

    def __init__(self, path: Path) -> None:
        """A file that cannot be read counts as empty: everybody pairs again."""
        self._path = path
        try:
            self._hashes = msgspec.json.decode(path.read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError):
            self._hashes = []

    def add(self, token: str) -> None:
        """Remember one; the oldest is forgotten when there are many. Raises OSError when it cannot be kept."""
        self._hashes = [*self._hashes, _hashed(token)][-MAX_TOKENS:]
        aside = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(self._hashes))
        finally:
            os.close(descriptor)
        aside.replace(self._path)

    def known(self, token: str | None) -> bool:
        """Whether it was given out."""
        if not token:
            return False
        hashed = _hashed(token)
        return any(hmac.compare_digest(hashed, known) for known in self._hashes)


class Allowance:
    """So many a second, so many at once: what is over is refused."""

    def __init__(self, a_second: float, at_once: float) -> None:
        self._a_second = a_second
        self._at_once = at_once
        self._left = at_once
        self._since_s = 0.0

    def take(self, now_s: float) -> bool:
        """Whether there is one left."""
        self._left = min(self._at_once, self._left + (now_s - self._since_s) * self._a_second)
        self._since_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _name_of(host: str) -> str:
    """The name or address in a Host header, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
