"""MIDI inputs: every port that is wanted, found by name, found again after a replug."""

from collections.abc import Callable, Sequence

from host.midi_ports import Input, MidiPorts, port_matches
from model.errors import NoonsongError

OnPortMessage = Callable[[str, tuple[int, ...], float], None]  # port, bytes of one message, monotonic time


class MidiInputs:
    """Listens to every port that matches one of the patterns."""

    def __init__(
        self,
        ports: MidiPorts,
        patterns: Sequence[str],
        on_message: OnPortMessage,
        on_lost: Callable[[str], None],
        now_s: Callable[[], float],
    ) -> None:
        """Patterns as in midi_ports.match_port, or "virtual". `on_message` comes on a thread of each port's;
        `on_lost` with the name of a port that vanished.

        Raises NoonsongError when a virtual port is asked for and cannot be made.
        """
        self.faults = 0
        self.last_fault = ""
        self._ports = ports
        self._patterns = [pattern for pattern in dict.fromkeys(patterns) if pattern not in ("", "virtual")]
        self._on_message = on_message
        self._on_lost = on_lost
        self._now_s = now_s
        self._open: dict[str, Input] = {}
        self._wants_virtual = "virtual" in patterns
        self._virtual = self._listen("virtual") if self._wants_virtual else None
        self.watch()

    @property
    def names(self) -> list[str]:
        """The ports that are listened to now."""
        return [*self._open, *(["a port of its own"] if self._virtual else [])]

    @property
    def state(self) -> str:
        """What is listened to, in words."""
        return "listening to " + (", ".join(self.names) or "no MIDI port")

    def watch(self) -> None:
        """Look which ports have come and gone. Called now and then, off the audio path."""
        there = self._ports.input_names()
        for name in [name for name in self._open if name not in there]:
            self._open.pop(name).close()
            self._on_lost(name)
        if self._virtual is not None and not self._ports.present:
            self._virtual.close()
            self._virtual = None
            self._on_lost("virtual")
        if self._wants_virtual and self._virtual is None and self._ports.alive:
            self._virtual = self._try_to_listen("virtual")
        for name in there:
            if name not in self._open and any(port_matches(pattern, name) for pattern in self._patterns):
                port = self._try_to_listen(name)
                if port is not None:
                    self._open[name] = port

    def close(self) -> None:
        """Listen no more."""
        for port in [*self._open.values(), *([self._virtual] if self._virtual else [])]:
            port.close()
        self._open.clear()
        self._virtual = None

    def _try_to_listen(self, name: str) -> Input | None:
        try:
            return self._listen(name)
        except NoonsongError as error:
            self.faults += 1
            self.last_fault = str(error)
            return None

    def _listen(self, name: str) -> Input:
        return self._ports.open_input(name, lambda message, t_s: self._heard(name, message, t_s), self._now_s)

    def _heard(self, name: str, message: tuple[int, ...], t_s: float) -> None:
        try:
            self._on_message(name, message, t_s)
        except Exception as error:  # on a thread of the sound library's, which would only print it
            self.faults += 1
            self.last_fault = f"MIDI from {name}: {error}"
