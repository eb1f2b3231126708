"""What the board's gate inputs do: beat the clock, set bar lines, run, freeze, rest, step."""

from collections.abc import Callable, Sequence
from typing import Protocol

from host.config import GateRole

# Roles whose level counts -> (control, its value when the gate is high)
_LEVELS = {"run": ("freeze", 0.0), "freeze": ("freeze", 1.0), "rest": ("mute", 1.0)}


class Played(Protocol):
    """What is needed of host.performance.Performance."""

    def play_step(self, t_s: float) -> None:
        """A pulse that plays the next note."""

    def bar_line(self, t_s: float) -> None:
        """There is a bar line."""


class GateInputs:
    """Edges with their times in, pulses and control moves out. Until connected, the newest levels are kept."""

    def __init__(self, roles: Sequence[GateRole], pulse: Callable[[float], None]) -> None:
        """`roles` by input; `pulse` takes the time of each rising edge at an input that is the clock."""
        self._roles = list(roles)
        self._pulse = pulse
        self._played: Played | None = None
        self._move: Callable[[str, float | None, str], None] | None = None
        self._levels: dict[int, bool] = {}

    def connect(self, played: Played, move: Callable[[str, float | None, str], None]) -> None:
        """From now on, act; first on the levels that are there."""
        self._played, self._move = played, move
        for index, high in list(self._levels.items()):
            if self._role(index) in _LEVELS:
                self.changed(index, high, 0.0)

    def changed(self, index: int, high: bool, t_s: float) -> None:
        """An edge at an input; for the board's thread."""
        role = self._role(index)
        self._levels[index] = high
        if role == "clock" and high:
            self._pulse(t_s)
        if self._played is None or self._move is None:
            return
        if role == "reset" and high:
            self._played.bar_line(t_s)
        elif role == "step" and high:
            self._played.play_step(t_s)
        elif role in _LEVELS:
            control, value = _LEVELS[role]
            self._move(control, value if high else 1.0 - value, "gate")

    def _role(self, index: int) -> GateRole:
        return self._roles[index] if index < len(self._roles) else "off"
