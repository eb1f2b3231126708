"""A MIDI message -> what it means here: a control moves, a key is played, a preset is called."""

from collections.abc import Callable

from host.inputs.echoes import Echoes
from host.inputs.mappings import Mappings
from host.inputs.sources import Source

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM, BEND = 0x80, 0x90, 0xB0, 0xC0, 0xE0
FIRST_MODE_MESSAGE = 120  # controllers from here on say how to sound, not where a knob stands

OnKey = Callable[[str, int, int, int, float], None]  # port, channel, pitch, velocity (0: released), time


class Dispatch:
    """Where MIDI messages go. Called from any thread."""

    def __init__(self, mappings: Mappings, echoes: Echoes) -> None:
        self._mappings = mappings
        self._echoes = echoes
        self.on_key: OnKey = lambda port, channel, pitch, velocity, t_s: None
        self.on_program: Callable[[int], None] = lambda program: None  # 0-127
        self.on_lost: Callable[[str, float], None] = lambda port, t_s: None
        self.on_thru: Callable[[str, tuple[int, ...], float], None] = lambda port, message, t_s: None

    def __call__(self, port: str, message: tuple[int, ...], t_s: float) -> None:
        """Take one message."""
        if message[0] >= 0xF0:
            return  # time and system messages are the clock's business
        if self._echoes.is_echo(message, t_s):
            return
        self.on_thru(port, message, t_s)
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind == CONTROL and message[1] < FIRST_MODE_MESSAGE:
            self._mappings.turned(Source("cc", message[1], channel), port, message[2] / 127)
        elif kind == BEND:
            value = message[1] | message[2] << 7
            self._mappings.turned(Source("bend", 0, channel), port, value / 16383)
        elif kind in (NOTE_ON, NOTE_OFF):
            velocity = message[2] if kind == NOTE_ON else 0
            assigned = self._mappings.turned(Source("note", message[1], channel), port, min(velocity, 1))
            if not assigned:
                self.on_key(port, channel, message[1], velocity, t_s)
        elif kind == PROGRAM:
            self.on_program(message[1])
