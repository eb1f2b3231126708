"""What a page may ask for: each a message with its own fields, sizes and ranges; anything else is refused.

At the end, what the panel's process tells the music.
"""

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(max_length=40)]
Position = Annotated[float, msgspec.Meta(ge=0, le=1)]
Slot = Annotated[int, msgspec.Meta(ge=0, le=127)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask"):
    pass


class Turn(_Request, frozen=True, tag="turn"):
    """A knob to a position of its way."""

    control: Name
    position: Position


class Enter(_Request, frozen=True, tag="enter"):
    """A control to a value, as a person types it."""

    control: Name
    text: Name


class Reset(_Request, frozen=True, tag="reset"):
    """A control to its default."""

    control: Name


class Press(_Request, frozen=True, tag="press"):
    """A button."""

    button: Literal["panic", "phrase", "rest", "wake", "restart", "end past"]


class Mark(_Request, frozen=True, tag="mark"):
    """This moment is loved, or not; `tick` is what sounded for who pressed."""

    kind: Literal["loved", "disliked"]
    tick: Annotated[int, msgspec.Meta(ge=0)]


class Weigh(_Request, frozen=True, tag="weigh"):
    """Show the pitches that were weighed beside each coming note, or no more."""

    on: bool


class SavePreset(_Request, frozen=True, tag="save"):
    """Keep the controls as they stand."""

    slot: Slot
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class RenamePreset(_Request, frozen=True, tag="rename"):
    """Call a preset something else."""

    slot: Slot
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class DeletePreset(_Request, frozen=True, tag="delete"):
    """Forget a preset."""

    slot: Slot


class Recall(_Request, frozen=True, tag="recall"):
    """Go to a preset, over the time that the control "morph" says."""

    slot: Slot


class Ping(_Request, frozen=True, tag="ping"):
    """What time is it? Answered by the panel itself; `sent_ms` comes back."""

    sent_ms: float


class Past(_Request, frozen=True, tag="past"):
    """Which days and hours there are."""


class PlayPast(_Request, frozen=True, tag="play past"):
    """Play a day or an hour of the past through the box's outputs, from a second of it on."""

    name: Name
    from_s: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    beside: bool = False


class Settings(_Request, frozen=True, tag="settings"):
    """The settings as a form, and what moves the controls."""


class Set(_Request, frozen=True, tag="set"):
    """A setting in noonsong.toml, as a person writes it."""

    key: Name
    text: Annotated[str, msgspec.Meta(max_length=400)]


class Learn(_Request, frozen=True, tag="learn"):
    """Assign the next thing that moves to a control; an empty name: learn nothing."""

    control: Name


class Forget(_Request, frozen=True, tag="forget"):
    """Take away the assignment of that place in the list, which says this."""

    index: Slot
    says: Annotated[str, msgspec.Meta(max_length=200)]


class Calibrate(_Request, frozen=True, tag="calibrate"):
    """Put out the first voltage of an output (0 to 3)."""

    channel: Annotated[int, msgspec.Meta(ge=0, le=3)]


class Volts(_Request, frozen=True, tag="volts"):
    """What the meter shows; or, empty, keep the calibration in the board."""

    text: Name


Request = (
    Turn | Enter | Reset | Press | Mark | Weigh | SavePreset | RenamePreset | DeletePreset | Recall | Ping | Past
    | PlayPast | Settings | Set | Learn | Forget | Calibrate | Volts
)  # fmt: skip
READING = (Ping, Past, Weigh)  # what a spectator may ask

decode_request = msgspec.json.Decoder(Request).decode


class Asked(msgspec.Struct, frozen=True):
    """A page's request, as the panel hands it on."""

    client: int
    who: str
    request: Request


class Up(msgspec.Struct, frozen=True):
    """The panel listens."""

    port: int
    url: str
    sentences: list[str] = []


class Watchers(msgspec.Struct, frozen=True):
    """How many pages are open, and whether one of them has to begin anew."""

    count: int
    begin: bool
    weigh: bool


class Excerpt(msgspec.Struct, frozen=True):
    """Of the past, to be played from the second `from_s` on; its notes follow under its number."""

    number: int
    name: str
    from_s: float
    length_s: float
    beside: bool  # the piece plays on meanwhile
