"""What the player is told at one time: every control's value, the bar, and where the past ends."""

from collections.abc import Mapping
from typing import NamedTuple

from host.controls import bar_ticks_of, source_mix
from host.scales import pitch_classes
from model import conditioning
from model.conditioning import SideInput

# How much of the temperature (its logarithm) the rhythm follows: with all of it, a cold rhythm never leaves
# the pace it has, and a hot one loses the density asked for.
RHYTHM_SHARE = 0.4

# The bits of the scale "played": kept with the controls, though nobody turns it.
PLAYED_SCALE = "played scale"


class Meter(NamedTuple):
    """From the bar line at `tick` on, bars of `bar_ticks`."""

    tick: int
    bar_ticks: int

    def tick_in_bar(self, tick: int) -> int:
        """Ticks since the bar line at or before `tick`."""
        return (tick - self.tick) % self.bar_ticks

    def next_bar(self, tick: int) -> int:
        """The first bar line at or after `tick`."""
        return tick + -self.tick_in_bar(tick) % self.bar_ticks


class Settings(NamedTuple):
    """One moment's settings; each move makes the next `number`. No note chosen under them falls at or
    before `floor_tick`: up to there the past was final when they were made.
    """

    number: int
    floor_tick: int
    controls: Mapping[str, float | None]
    meter: Meter

    def moved(
        self, changes: Mapping[str, float | None], floor_tick: int, bar_tick: int | None = None
    ) -> "Settings":
        """The settings after some controls moved. A new metre waits for the bar that has begun to end.

        `bar_tick`: there is a bar line now, wherever it was expected.
        """
        meter = self.meter if bar_tick is None else self.meter._replace(tick=bar_tick)
        if changes.get("meter", self.controls.get("meter")) != self.controls.get("meter"):
            meter = Meter(meter.next_bar(floor_tick + 1), bar_ticks_of(changes["meter"]))
        floor_tick = max(floor_tick, self.floor_tick)
        return Settings(self.number + 1, floor_tick, {**self.controls, **changes}, meter)

    def side(self, tick: int) -> SideInput:
        """What the model reads beside a token after which the time is `tick`."""
        pairs = conditioning.phase_pair(self.meter.tick_in_bar(tick))
        pairs += conditioning.meter_pair(self.meter.bar_ticks)
        density, thickness = self.controls.get("density"), self.controls.get("thickness")
        if density is not None:
            pairs += conditioning.density_pairs(density)
        if thickness is not None:
            pairs += conditioning.thickness_pairs(thickness)
        return pairs + conditioning.source_pairs(source_mix(self.controls.get("source")))

    @property
    def downbeat_tick(self) -> int | None:
        """Where a note must fall: on a bar line set right after what is final, as by a clock's Start."""
        return self.meter.tick if self.meter.tick == self.floor_tick + 1 else None

    @property
    def pitch_classes(self) -> int:
        """The pitches that may be chosen: twelve bits, bit 0 for C."""
        scale, root, played = (int(self._value(name, 0)) for name in ("scale", "root", PLAYED_SCALE))
        return pitch_classes(scale, root, played)

    @property
    def temperatures(self) -> tuple[float, float, float]:
        """Divisors of the logits of shifts, notes and touches."""
        temperature = self._value("temperature", 1.0)
        rhythm = temperature**RHYTHM_SHARE * self._value("rhythm", 1.0)
        return rhythm, temperature * self._value("pitch", 1.0), temperature

    @property
    def top_p(self) -> float:
        """Nucleus mass."""
        return self._value("top_p", 1.0)

    def _value(self, name: str, default: float) -> float:
        value = self.controls.get(name)
        return default if value is None else value


def first_settings(controls: Mapping[str, float | None]) -> Settings:
    """The settings with which a piece begins, before tick 0."""
    return Settings(0, -1, dict(controls), Meter(0, bar_ticks_of(controls.get("meter"))))
