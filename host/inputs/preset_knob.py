"""One source that goes through the saved presets in their order. Pure."""

from collections.abc import Callable, Sequence

from host.config import Mapped
from host.controls import Control
from model.errors import NoonsongError

# Not a control: it has no value of its own. Its range is that of the presets' numbers.
PRESET = Control(
    "preset",
    "choice",
    1,
    128,
    1.0,
    "linear",
    "",
    "goes through the saved presets in their order",
    replans=False,
)

WAYS = ("jump", "toggle", "relative")
HYSTERESIS = 0.15  # of one preset's share of the way: so far past its end, and the next one is meant
CLICKS = 4  # of an endless encoder, from one preset to the next


class PresetKnob:
    """Remembers where its source stood: only what moves on to another preset recalls it.

    So a box that starts, or a board that is plugged in, leaves the controls where they are, and so does a knob
    that trembles after somebody else recalled another preset.
    """

    def __init__(self, settings: Mapped, shape: Callable[[float], float]) -> None:
        """`shape`: 0..1 of the source to 0..1 of the way. Raises NoonsongError naming what cannot be."""
        if settings.pickup not in WAYS:
            raise NoonsongError(
                f'preset by {settings.by}: pickup cannot be "{settings.pickup}": it may be {", ".join(WAYS)}'
            )
        self._settings = settings
        self._shape = shape
        self._first = _number(settings.low, 1)
        self._last = _number(settings.high, int(PRESET.high))
        if self._first > self._last:
            raise NoonsongError(
                f"preset by {settings.by}: low must not be above high (invert turns it round)"
            )
        self._way: float | None = None
        self._down = False

    def turned(self, position: float, slots: Sequence[int], recalled: int | None) -> int | None:
        """The slot to recall, for the source's position 0..1, the slots that are saved (0-127, in order) and the
        one recalled last; None where nothing is to be done.
        """
        slots = [slot for slot in slots if self._first <= slot + 1 <= self._last]
        if not slots:
            return None
        match self._settings.pickup:
            case "toggle":
                return self._next(position, slots, recalled)
            case "relative":
                return self._clicked(position, slots, recalled)
        way = self._shape(position)
        before, self._way = self._way, way
        if before is None:
            return None
        stood = min(int(before * len(slots)), len(slots) - 1)
        share = 1 / len(slots)
        spare = HYSTERESIS * share
        if stood * share - spare <= way <= (stood + 1) * share + spare:
            # Held at where it stood, so that a slow turn gets past the end at last.
            self._way = min(max(way, stood * share), (stood + 1) * share - 1e-9)
            return None
        return slots[min(int(way * len(slots)), len(slots) - 1)]

    def _next(self, position: float, slots: Sequence[int], recalled: int | None) -> int | None:
        before, self._down = self._down, (position >= 0.5) != self._settings.invert
        if before or not self._down:
            return None
        return slots[(slots.index(recalled) + 1) % len(slots)] if recalled in slots else slots[0]

    def _clicked(self, position: float, slots: Sequence[int], recalled: int | None) -> int | None:
        clicks = round(position * 127)
        clicks -= 128 if clicks > 63 else 0
        way = (self._way or 0.0) + (-clicks if self._settings.invert else clicks) / CLICKS
        steps = int(way)
        self._way = way - steps
        if not steps:
            return None
        if recalled not in slots:
            return slots[0 if steps > 0 else -1]
        at = min(max(slots.index(recalled) + steps, 0), len(slots) - 1)
        return slots[at] if slots[at] != recalled else None


def _number(text: float | str | None, otherwise: int) -> int:
    value = None if text is None else PRESET.parse(str(text))
    return otherwise if value is None else int(value)
