"""OSC over UDP, on a thread of its own.

/noonsong/CONTROL value             a number in the control's own terms, or a word: "auto", "3/4", "on"
/noonsong/CONTROL/position 0..1     where a knob would stand
/noonsong/phrase, /noonsong/panic   a button's 0 does nothing
/noonsong/preset 1..128             goes to a preset
/any/other/address 0..1             moves what noonsong.toml assigns to "osc /any/other/address"
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping

from pythonosc.osc_packet import OscPacket, ParseError

from host.controls import Control
from host.inputs.mapping import ACTIONS, TARGETS
from host.inputs.mappings import Mappings, MoveControl, Recalled
from host.inputs.preset_knob import PRESET
from host.inputs.sources import Source
from model.errors import NoonsongError

ROOT = "/noonsong/"
_LONGEST = 65_535


class OscInput:
    """A listening UDP port."""

    def __init__(self, address: str, port: int, mappings: Mappings, table: Mapping[str, Control]) -> None:
        """Raises NoonsongError when the port cannot be had."""
        self.faults = 0
        self.last_fault = ""
        self._mappings = mappings
        self._table = table
        self._move: MoveControl = lambda control, value, who: None
        self._actions: Mapping[str, Callable[[], None]] = {}
        self._presets: Recalled | None = None
        self._closing = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((address, port))
        except OSError as error:
            self._socket.close()
            raise NoonsongError(
                f"OSC cannot listen on {address}, port {port} ({error.strerror}):"
                " choose another inputs.osc_port, or 0 for none"
            ) from None
        self._thread = threading.Thread(target=self._run, name="osc", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()
        return host, port

    def connect(
        self,
        move: MoveControl,
        actions: Mapping[str, Callable[[], None]],
        presets: Recalled | None = None,
    ) -> None:
        """From now on do what is asked."""
        self._move, self._actions, self._presets = move, actions, presets

    def close(self) -> None:
        """Listen no more."""
        self._closing = True
        with contextlib.suppress(OSError):  # "not connected", as UDP is; it ends a waiting recv all the same
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=1.0)
        self._socket.close()

    def _run(self) -> None:
        while True:
            data = self._socket.recv(_LONGEST)
            if self._closing:
                return
            try:
                for timed in OscPacket(data).messages:
                    self._take(timed.message.address, timed.message.params)
            except (ParseError, NoonsongError, ValueError, TypeError) as error:
                self.faults += 1
                self.last_fault = f"OSC: {error}"

    def _take(self, address: str, values: list[object]) -> None:
        if not address.startswith(ROOT):
            if values:
                position = min(max(_number(address, values[0]), 0.0), 1.0)
                self._mappings.turned(Source("osc", address=address), "", position)
            return
        name, _, rest = address.removeprefix(ROOT).partition("/")
        if name in ACTIONS and not rest and name in self._actions:
            if not values or values[0]:  # a button says 1, then 0
                self._actions[name]()
            return
        if name == PRESET.name and not rest and values and self._presets is not None:
            self._presets.recall(int(PRESET.check(_number(address, values[0])) or 0) - 1)
            return
        control = self._table.get(name)
        if control is None or rest not in ("", "position") or not values:
            known = ", ".join([*self._table, *TARGETS])
            raise NoonsongError(
                f"{address} {values} means nothing: {ROOT}CONTROL VALUE, and controls are {known}"
            )
        value = values[0]
        if rest:
            self._move(name, control.value_at(_number(address, value)), "OSC")
        elif isinstance(value, str):
            self._move(name, control.parse(value), "OSC")
        else:
            self._move(name, control.check(_number(address, value)), "OSC")


def _number(address: str, value: object) -> float:
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise NoonsongError(f"{address} wants a number, not {value!r}")
