"""What a board can be asked to play: values between the outputs and the board's driver. Seconds and volts."""

from __future__ import annotations

from typing import NamedTuple

CV_HIGHEST_VOLTS = 4.095
# One volt per octave from this note up: C2, so that a four-octave range ends a sixth above C6.
ZERO_VOLT_PITCH = 36


class CvLevel(NamedTuple):
    """A channel's voltage, 0 to 4.095 V; `slew_ms` glides there."""

    channel: int
    volts: float
    slew_ms: int = 0


class GateLevel(NamedTuple):
    """A gate high (for `length_s`, or until the next event) or low; `repeats` more of it every `period_s`."""

    channel: int
    high: bool
    length_s: float | None = None
    repeats: int = 0
    period_s: float = 0.0


class CvNote(NamedTuple):
    """A voltage, then, settled, its gate; `tie` leaves a gate that is open open."""

    channel: int
    volts: float
    length_s: float | None = None
    slew_ms: int = 0
    tie: bool = False
    repeats: int = 0
    period_s: float = 0.0


BoardEvent = CvLevel | GateLevel | CvNote


def pitch_to_volts(pitch: float, zero_volt_pitch: float = ZERO_VOLT_PITCH) -> float:
    """One volt per octave; may lie outside what the board can put out, folding is the caller's choice."""
    return (pitch - zero_volt_pitch) / 12
