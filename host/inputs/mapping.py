"""One assignment: what a source's position makes of its control. Pure."""

import math
from collections.abc import Callable, Mapping

from host.config import Mapped
from host.controls import Control
from host.inputs.preset_knob import PRESET, PresetKnob
from host.inputs.sources import Source, parse_source
from host.midi_ports import port_matches
from model.errors import NoonsongError

CAUGHT = 1 / 64  # a knob this near to its control has met it
RELATIVE_STEP = 1 / 128  # of an endless encoder
_STEEPNESS = 16.0

# position 0..1 -> 0..1
CURVES: dict[str, Callable[[float], float]] = {
    "linear": lambda p: p,
    "fine-low": lambda p: (_STEEPNESS**p - 1) / (_STEEPNESS - 1),
    "fine-high": lambda p: math.log(1 + p * (_STEEPNESS - 1)) / math.log(_STEEPNESS),
    "s": lambda p: p * p * (3 - 2 * p),
}

# What can be set off besides moving a control.
ACTIONS = {
    name: Control(name, "switch", 0, 1, 0.0, "linear", "", help, replans=False)
    for name, help in {
        "phrase": "a new phrase: a beginning instead of a continuation",
        "panic": "silence everything",
        "loved": "mark this moment in the journal as loved",
        "disliked": "mark this moment as disliked",
        "listen": 'the scale "played" is what is played on the keyboard next',
    }.items()
}
TARGETS = {**ACTIONS, PRESET.name: PRESET}  # of an assignment, besides the controls


class Assignment:
    """A source that moves a control. Remembers where the source stood, for those that must be met first."""

    def __init__(self, settings: Mapped, table: Mapping[str, Control]) -> None:
        """Raises NoonsongError naming what is wrong with the settings."""
        known = {**table, **TARGETS}
        if settings.control not in known:
            raise NoonsongError(
                f'no control "{settings.control}" for {settings.by}: there are {", ".join(known)}'
            )
        self.settings = settings
        self.control = known[settings.control]
        self.source: Source = parse_source(settings.by)
        self.preset = PresetKnob(settings, self._shaped) if self.control is PRESET else None
        if self.preset is not None:
            return
        low, high = (self._end(text) for text in (settings.low, settings.high))
        self._low = 0.0 if low is None else low
        self._high = 1.0 if high is None else high
        if self._low >= self._high:
            raise NoonsongError(
                f"{settings.control} by {settings.by}: low must be below high (invert = true turns it round)"
            )
        self._before: float | None = None
        self._down = False
        self._sent: tuple[float | None] | None = None

    @property
    def is_action(self) -> bool:
        """Whether it sets something off instead of moving a control."""
        return self.settings.control in ACTIONS

    def covers(self, heard: Source, port: str) -> bool:
        """Whether it is this one's source that was heard, from a port (its name; "" for no MIDI port)."""
        return self.source.covers(heard) and (
            not heard.is_midi or self.settings.port in ("", "*") or port_matches(self.settings.port, port)
        )

    def pressed(self, position: float) -> bool:
        """Whether its source, taken as a button, was pressed just now."""
        before, self._down = self._down, (position >= 0.5) != self.settings.invert
        return self._down and not before

    def turned(self, position: float, value: float | None) -> tuple[float | None] | None:
        """The control's new value, in a tuple, for its source's position 0..1 and its value now; None where
        it stays as it is (its source has not met it yet).
        """
        wanted = self._low + (self._high - self._low) * self._shaped(position)
        before, self._before = self._before, wanted
        stands = self.control.position_of(value)
        match self.settings.pickup:
            case "pickup":
                held = self._sent is not None and self._sent[0] == value
                passed = before is not None and min(before, wanted) <= stands <= max(before, wanted)
                if not (held or passed or abs(wanted - stands) <= CAUGHT):
                    return None
            case "scaled":
                if before is None:
                    return None
                wanted = self._scaled(before, wanted, stands)
            case "toggle":
                return (self._toggled(value, stands),) if self.pressed(position) else None
            case "relative":
                clicks = round(position * 127)
                clicks -= 128 if clicks > 63 else 0
                clicks = -clicks if self.settings.invert else clicks
                wanted = min(max(stands + clicks * RELATIVE_STEP, self._low), self._high)
        self._sent = (self.control.value_at(wanted),)
        return self._sent

    def _shaped(self, position: float) -> float:
        return CURVES[self.settings.curve](1.0 - position if self.settings.invert else position)

    def _scaled(self, before: float, wanted: float, stands: float) -> float:
        """The control goes its way to the end while the knob goes its own: they meet there."""
        end = self._high if wanted > before else self._low
        if abs(end - before) < 1e-9:
            return end if abs(stands - end) < 1e-9 else stands
        return stands + (wanted - before) * (end - stands) / (end - before)

    def _toggled(self, value: float | None, stands: float) -> float | None:
        if self.control.kind == "switch":
            return 0.0 if value else 1.0
        if self.control.choices and self.control.kind == "choice":
            return ((value or 0.0) + 1) % (self.control.high + 1)
        return self.control.value_at(self._low if stands > (self._low + self._high) / 2 else self._high)

    def _end(self, text: float | str | None) -> float | None:
        if text is None:
            return None
        return self.control.position_of(self.control.parse(str(text)))
