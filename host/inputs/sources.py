"""What can move a control: a knob, a CV input, a MIDI controller, wheel or key, an OSC address."""

import re
from typing import NamedTuple

from model.errors import NoonsongError

ALLOWED = (
    '"knob 1" to "knob 6", "cv 1", "cv 2", "cc 0" to "cc 119", "bend", "note 36"'
    ' (each with " channel 1" to 16 if only that one counts), or "osc /an/address"'
)
_HIGHEST = {"knob": (1, 16), "cv": (1, 16), "cc": (0, 119), "note": (0, 127)}
_MIDI = ("cc", "note", "bend")


class Source(NamedTuple):
    """`number`: knobs and CV inputs from 1, controllers and keys from 0. `channel` 0-15; None: any."""

    kind: str
    number: int = 0
    channel: int | None = None
    address: str = ""

    @property
    def text(self) -> str:
        """As it is written in noonsong.toml."""
        words = [self.kind]
        if self.kind in _HIGHEST:
            words.append(str(self.number))
        if self.address:
            words.append(self.address)
        if self.channel is not None:
            words.append(f"channel {self.channel + 1}")
        return " ".join(words)

    @property
    def is_midi(self) -> bool:
        """Whether it comes through a MIDI port."""
        return self.kind in _MIDI

    def covers(self, heard: "Source") -> bool:
        """Whether what was heard is this, on this channel if one was named."""
        return self.channel in (None, heard.channel) and self._replace(channel=None) == heard._replace(
            channel=None
        )


def parse_source(text: str) -> Source:
    """Read what `Source.text` writes. Raises NoonsongError saying what is allowed."""
    osc = re.fullmatch(r"osc (/\S+)", text.strip())
    if osc:
        return Source("osc", address=osc.group(1))
    found = re.fullmatch(r"(knob|cv|cc|note|bend)(?: (\d+))?(?: channel (\d+))?", text.strip().lower())
    if found:
        kind, number, channel = found.group(1), found.group(2), found.group(3)
        low, high = _HIGHEST.get(kind, (0, 0))
        numbered = number is not None if kind in _HIGHEST else number is None
        placed = channel is None or (kind in _MIDI and 1 <= int(channel) <= 16)
        if numbered and placed and low <= int(number or 0) <= high:
            return Source(kind, int(number or 0), None if channel is None else int(channel) - 1)
    raise NoonsongError(f'"{text}" is nothing that moves: it may be {ALLOWED}')
