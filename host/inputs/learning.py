"""Waits for the next thing that moves."""

from collections.abc import Callable

from host.config import Mapped
from host.controls import Control
from host.inputs.sources import Source
from host.midi_ports import bare_name

MOVED = 1 / 20  # of the whole way: more than a knob trembles, less than a hand turns it


class Learner:
    """Takes the first source that moves so far, or, for a switch, the first key that is pressed."""

    def __init__(self, control: Control, done: Callable[[Mapped], None]) -> None:
        self.control = control
        self.done = done
        self.mapped = Mapped(control.name, "")
        self._stood: dict[tuple[Source, str], float] = {}

    def heard(self, source: Source, port: str, position: float) -> bool:
        """Whether this is what was waited for: then `mapped` is its assignment."""
        stood = self._stood.setdefault((source, port), position)
        if source.kind == "note":
            moved = self.control.kind != "knob" and position > 0
        else:
            moved = abs(position - stood) >= MOVED
        if moved:
            self.mapped = Mapped(
                self.control.name,
                source.text,
                port=bare_name(port) if source.is_midi else "",
                # A key has no way between its ends: it steps from one choice to the next.
                pickup="toggle" if source.kind == "note" or self._is_button(source) else "jump",
            )
        return moved

    def _is_button(self, source: Source) -> bool:
        return source.is_midi and self.control.kind == "switch"
