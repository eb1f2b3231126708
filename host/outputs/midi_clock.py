"""MIDI clock to a port that is found by name, may vanish, and is found again."""

import threading
from collections import deque

from host.events import Notice, Pulse, Transport
from host.midi_ports import VIRTUAL_NAME, MidiPorts, Out, match_port
from host.outputs.base import Output
from model.errors import NoonsongError

SONG_POSITION, CLOCK = 0xF2, 0xF8
TRANSPORT = {"start": 0xFA, "continue": 0xFB, "stop": 0xFC}


class MidiClockOutput(Output):
    """Clock, Start, Stop, Continue and Song Position; no notes."""

    hears = (Pulse, Transport)
    prepares = True

    def __init__(self, ports: MidiPorts, pattern: str, while_stopped: bool, offset_s: float = 0.0) -> None:
        """`pattern` as in match_port, or "virtual". `while_stopped`: pulses tell the tempo all the time.

        Raises NoonsongError when a virtual port is asked for and cannot be made.
        """
        super().__init__(f"MIDI clock to {pattern}")
        self.offset_s = offset_s
        self._ports = ports
        self._pattern = pattern
        self._while_stopped = while_stopped
        self._port: Out | None = None
        self._port_name = ""
        self._going = False
        self._ready: deque[tuple[int, ...]] = deque()  # to be sent by the next flush
        self._lock = threading.Lock()  # the watcher opens and closes, the scheduler sends
        if pattern == "virtual":
            self._port, self._port_name = ports.open("virtual"), VIRTUAL_NAME
        else:
            self.watch()

    @property
    def state(self) -> str:
        """What it is connected to, in words."""
        if self._port is None:
            return f'waiting for a MIDI port like "{self._pattern}" to send the clock to'
        return f"MIDI clock to {self._port_name}"

    def watch(self) -> None:
        """Look whether the port is still there, or there again."""
        if self._pattern == "virtual":
            return
        names = self._ports.names()
        if self._port is not None and self._port_name not in names:
            with self._lock:
                lost, self._port = self._port, None
            lost.close()
        if self._port is None:
            name = match_port(self._pattern, names)
            if name is None:
                return
            try:
                port = self._ports.open(name)
            except NoonsongError as error:
                self.faults += 1
                self.last_fault = str(error)
                return
            with self._lock:
                self._port, self._port_name = port, name

    def _notice(self, event: Notice, due_s: float) -> None:
        if isinstance(event, Pulse):
            if event.tick_in_bar is not None or self._while_stopped:
                self._ready.append((CLOCK,))
        elif isinstance(event, Transport):
            self._going = event.kind != "stop"
            if event.kind == "continue":
                self._ready.append((SONG_POSITION, event.sixteenths & 0x7F, event.sixteenths >> 7 & 0x7F))
            self._ready.append((TRANSPORT[event.kind],))

    def _flush(self) -> None:
        with self._lock:
            while self._ready:
                message = self._ready.popleft()
                if self._port is not None:
                    self._port.send(message)

    def _close(self) -> None:
        if self._going:
            self._ready.append((TRANSPORT["stop"],))
            self._flush()
        with self._lock:
            port, self._port = self._port, None
        if port is not None:
            port.close()
