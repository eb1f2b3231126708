"""Knobs, CCs, keys and panel all move the controls of one table: names, ranges, curves, defaults."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from host.scales import ROOTS, SCALES
from model.conditioning import BAR_LENGTHS
from model.errors import NoonsongError
from model.tokens import PPQN

Kind = Literal["knob", "choice", "switch"]
Curve = Literal["linear", "log"]


class Control(NamedTuple):
    """One row of the table. A knob lies in low..high; a choice is an index of `choices`; a switch 0 or 1.

    `optional` controls may also be None, "as you like": the model then decides by itself, and a physical
    knob says so at its lowest position. `replans`: the coming notes are chosen anew when it moves.
    """

    name: str
    kind: Kind
    low: float
    high: float
    default: float | None
    curve: Curve
    unit: str
    help: str
    optional: bool = False
    replans: bool = True
    choices: tuple[str, ...] = ()

    def value_at(self, position: float) -> float | None:
        """The value of a knob position 0..1 (clipped)."""
        position = min(max(position, 0.0), 1.0)
        if self.optional:
            if position < 0.02:
                return None
            position = (position - 0.02) / 0.98
        if self.kind != "knob":
            return float(round(self.low + position * (self.high - self.low)))
        if self.curve == "log":
            return float(self.low * (self.high / self.low) ** position)
        return self.low + position * (self.high - self.low)

    def position_of(self, value: float | None) -> float:
        """Where a knob at that value stands, 0..1."""
        if value is None or self.high == self.low:
            return 0.0
        if self.curve == "log":
            position = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            position = (value - self.low) / (self.high - self.low)
        return 0.02 + 0.98 * position if self.optional else position

    def check(self, value: float | None) -> float | None:
        """The value, as it may be stored. Raises NoonsongError naming the control and what it may be."""
        if value is None:
            if self.optional:
                return None
        elif math.isfinite(value) and self.low <= value <= self.high:
            return float(round(value)) if self.kind != "knob" else float(value)
        raise NoonsongError(f"{self.name} cannot be {_plain(value)}: it may be {self.range_text()}")

    def clip(self, value: float) -> float:
        """The nearest allowed value."""
        return min(max(value, self.low), self.high)

    def parse(self, text: str) -> float | None:
        """A value as a person types it: a number, a choice's name, on/off, or "auto" where optional.

        Raises NoonsongError naming the control and what it may be.
        """
        word = text.strip().lower()
        if self.optional and word in ("auto", "none"):
            return None
        if self.kind == "switch" and word in ("on", "off", "true", "false", "yes", "no"):
            return float(word in ("on", "true", "yes"))
        names = [choice.lower() for choice in self.choices]
        if word in names:
            return float(names.index(word))
        try:
            return self.check(float(word))
        except ValueError:
            raise NoonsongError(f'{self.name} cannot be "{text}": it may be {self.range_text()}') from None

    def range_text(self) -> str:
        """What the control may be, in words."""
        if self.kind == "switch":
            allowed = "on or off"
        elif self.choices:
            allowed = ", ".join(self.choices)
            if self.kind == "knob":
                allowed += f", or {self.low:g} to {self.high:g} (between two names: a mix)"
        else:
            allowed = f"{self.low:g} to {self.high:g}{' ' + self.unit if self.unit else ''}"
        return allowed + (', or "auto"' if self.optional else "")

    def text(self, value: float | None) -> str:
        """A value as it is shown."""
        if value is None:
            return "auto"
        if self.kind == "switch":
            return "on" if value else "off"
        if self.choices:
            index, share = int(value), value - int(value)
            if share < 0.005:
                return self.choices[index]
            return f"{self.choices[index]} {1 - share:.0%} {self.choices[index + 1]} {share:.0%}"
        return f"{value:.3g}{' ' + self.unit if self.unit else ''}"


METERS = {f"{ticks // PPQN}/4": ticks for ticks in BAR_LENGTHS if ticks % PPQN == 0 and ticks <= 6 * PPQN} | {
    "3/8": 36,
    "6/8": 72,
    "9/8": 108,
    "12/8": 144,
}


CLOCKS = ("internal", "midi", "gate", "link")


def control_table(sources: Sequence[str] = ()) -> dict[str, Control]:
    """The table, by name; `sources` are the collections that the weights know."""
    rows = [
        Control("temperature", "knob", 0.2, 2.0, 1.0, "linear", "", "how daring every choice is"),
        Control("density", "knob", 0.25, 8.0, 2.0, "log", "onsets a beat", "how much happens", optional=True),
        Control("tempo", "knob", 20.0, 300.0, 96.0, "log", "bpm", "beats a minute", replans=False),
        Control(
            "thickness", "knob", 1.0, 6.0, None, "log", "notes an onset", "how thick the chords are", True
        ),
        Control("rhythm", "knob", 0.5, 2.0, 1.0, "log", "", "temperature trim of the rhythm"),
        Control("pitch", "knob", 0.5, 2.0, 1.0, "log", "", "temperature trim of the pitches"),
        Control("top_p", "knob", 0.5, 1.0, 0.98, "linear", "", "share of the likelihood that may be chosen"),
        Control("meter", "choice", 0, len(METERS) - 1, 3.0, "linear", "", "the bar", choices=tuple(METERS)),
        Control(
            "scale", "choice", 0, len(SCALES) - 1, 0.0, "linear", "", "what pitches there are", choices=SCALES
        ),
        Control("root", "choice", 0, 11, 0.0, "linear", "", "where the scale begins", choices=ROOTS),
        Control("freeze", "switch", 0, 1, 0.0, "linear", "", "stop time, keep the place", replans=False),
        Control(
            "clock",
            "choice",
            0,
            len(CLOCKS) - 1,
            0.0,
            "linear",
            "",
            "who leads the tempo",
            replans=False,
            choices=CLOCKS,
        ),
        Control(
            "swing",
            "knob",
            50.0,
            75.0,
            50.0,
            "linear",
            "%",
            "longer first sixteenth of each pair",
            replans=False,
        ),
        Control("mute", "switch", 0, 1, 0.0, "linear", "", "play on in silence", replans=False),
        Control(
            "morph",
            "knob",
            0.1,
            300.0,
            0.1,
            "log",
            "s",
            "how long the way to a preset takes",
            replans=False,
        ),
        Control("step", "switch", 0, 1, 0.0, "linear", "", "each pulse at a step input plays the next note"),
    ]
    if sources:
        top = float(len(sources) - 1)
        rows.append(
            Control(
                "source",
                "knob",
                0.0,
                top,
                None,
                "linear",
                "",
                "which music it leans to",
                True,
                choices=tuple(sources),
            )
        )
    return {row.name: row for row in rows}


def source_mix(value: float | None) -> dict[int, float]:
    """The mix {source: share} that the source knob stands for: between two names, both."""
    if value is None:
        return {}
    index, share = int(value), value - int(value)
    return {index: 1.0 - share} | ({index + 1: share} if share > 0 else {})


def bar_ticks_of(value: float | None) -> int:
    """The bar's length in ticks for a value of the meter control."""
    return list(METERS.values())[int(value or 0)]


def defaults(table: Mapping[str, Control]) -> dict[str, float | None]:
    """Every control at its default."""
    return {name: control.default for name, control in table.items()}


def parse_assignments(texts: Iterable[str], table: Mapping[str, Control]) -> dict[str, float | None]:
    """`name=value` texts to values. Raises NoonsongError that names the wrong one and what is allowed."""
    values: dict[str, float | None] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if name not in table:
            raise NoonsongError(f'there is no control "{name}": the controls are {", ".join(table)}')
        if not equals:
            raise NoonsongError(
                f"a control is set with {name}=VALUE; {name} may be {table[name].range_text()}"
            )
        values[name] = table[name].parse(value)
    return values


def _plain(value: float | None) -> str:
    return "auto" if value is None else f"{value:g}"
