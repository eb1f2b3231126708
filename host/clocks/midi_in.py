"""MIDI clock from input ports that are found by name and may come and go."""

import threading
from collections.abc import Callable

from host.clocks.pulse_clock import PulseClock
from host.midi_ports import Input, MidiPorts, port_matches
from model.errors import NoonsongError

POSITION, PULSE, START, CONTINUE, STOP = 0xF2, 0xF8, 0xFA, 0xFB, 0xFC
LEADS_S = 1.0  # a port that says nothing for so long gives way to another


class MidiClockIn:
    """Feeds a PulseClock. Of several ports that match, the one heard first leads until it falls silent."""

    def __init__(self, ports: MidiPorts, pattern: str, clock: PulseClock, now_s: Callable[[], float]) -> None:
        """`pattern` as in midi_ports.match_port, or "virtual" for a port of our own.

        Raises NoonsongError when a virtual port cannot be made.
        """
        self._ports = ports
        self._pattern = pattern
        self._clock = clock
        self._now_s = now_s
        self._open: dict[str, Input] = {}
        self._leader = ""
        self._heard_s = float("-inf")
        self._lock = threading.Lock()
        self.last_fault = ""
        if pattern == "virtual":
            self._listen(pattern)
        self.watch()

    @property
    def state(self) -> str:
        """Where a clock may come from, in words."""
        if not self._open:
            return f'waiting for a MIDI input like "{self._pattern}" with a clock'
        return f"MIDI clock may come from {', '.join(self._open)}"

    def watch(self) -> None:
        """Look for ports that came or went; called now and then."""
        names = self._ports.input_names()
        if self._pattern == "virtual":
            there = self._ports.present if "virtual" in self._open else self._ports.alive
            wanted = ["virtual"] if there else []
        else:
            wanted = [name for name in names if port_matches(self._pattern, name)]
        for name in [name for name in self._open if name not in wanted]:
            self._open.pop(name).close()
        for name in wanted:
            if name not in self._open:
                try:
                    self._listen(name)
                except NoonsongError as error:
                    self.last_fault = str(error)

    def close(self) -> None:
        """Listen no more."""
        for port in self._open.values():
            port.close()
        self._open.clear()

    def _listen(self, name: str) -> None:
        self._open[name] = self._ports.open_input(
            name, lambda message, t_s: self.receive(name, message, t_s), self._now_s
        )

    def receive(self, port: str, message: tuple[int, ...], t_s: float) -> None:
        """A message came; on a thread of the interface's."""
        kind = message[0]
        if kind not in (POSITION, PULSE, START, CONTINUE, STOP):
            return
        with self._lock:
            if port != self._leader and t_s - self._heard_s < LEADS_S:
                return
            self._leader, self._heard_s = port, t_s
        if kind == PULSE:
            self._clock.pulse(t_s)
        elif kind == START:
            self._clock.start(t_s)
        elif kind == CONTINUE:
            self._clock.go_on(t_s)
        elif kind == STOP:
            self._clock.stop(t_s)
        elif len(message) == 3:
            self._clock.position(t_s, message[1] | message[2] << 7)
