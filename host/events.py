"""The values that pass between stages of the instrument. Times are monotonic seconds."""

from typing import Literal, NamedTuple

from model.tokens import Note

__all__ = [
    "ControlAt",
    "Heard",
    "Move",
    "Note",
    "NoteOff",
    "NoteOn",
    "Notice",
    "OutputEvent",
    "Pulse",
    "Spelled",
    "Thru",
    "ThruLost",
    "Transport",
]


class Move(NamedTuple):
    """A control set to a value (None: "as you like"); `who` moved it, as a person would name it."""

    control: str
    value: float | None
    who: str


class Spelled(NamedTuple):
    """A note with the tokens that spell it, or the beginning of a new phrase (no note, the token END).

    `position` counts all tokens of the piece up to its last one: it names the note in the journal.
    `settings` is the number of the settings under which it was chosen. `heard`: somebody else played it.
    """

    note: Note | None
    position: int
    tick: int
    tokens: tuple[int, ...]
    settings: int
    heard: bool = False


class Heard(NamedTuple):
    """A key that somebody else pressed at `t_s`, and how long it is likely to be held."""

    voice: int
    pitch: int
    velocity: int
    length_s: float
    t_s: float


class NoteOn(NamedTuple):
    """Start a note: `voice` indexes model.tokens.VOICES, pitch 0-127, velocity 1-127."""

    voice: int
    pitch: int
    velocity: int


class NoteOff(NamedTuple):
    """End a note."""

    voice: int
    pitch: int


OutputEvent = NoteOn | NoteOff


class ControlAt(NamedTuple):
    """A control moved to a position 0 to 1 of its way."""

    control: str
    position: float


class Thru(NamedTuple):
    """A MIDI message from an input port, for those outputs that pass it on."""

    port: str
    message: tuple[int, ...]


class ThruLost(NamedTuple):
    """An input port vanished: what it held is held no more."""

    port: str


class Pulse(NamedTuple):
    """A clock pulse, one a tick; `tick_in_bar` None: time stands, and only the tempo is told."""

    tick_in_bar: int | None


class Transport(NamedTuple):
    """Time begins at a bar line ("start"), goes on so many sixteenths after one ("continue"), or stops."""

    kind: Literal["start", "continue", "stop"]
    sixteenths: int


Notice = ControlAt | Thru | ThruLost | Pulse | Transport
