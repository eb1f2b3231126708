"""What a port makes of a note: its channel, transposition, range and velocity. Pure."""

from host.config import MidiPort
from host.midi_file import default_channels
from model.tokens import DRUMS, VOICE_NAMES, VOICES

# share of the way from velocity_lowest to velocity_highest, for the share of 127 that was played
CURVES = {"linear": 1.0, "soft": 0.6, "hard": 1.7}


class Voicing:
    """The settings of one port, ready to be used."""

    def __init__(self, settings: MidiPort) -> None:
        muted = {VOICE_NAMES.index(name) for name in settings.mute}
        channels = dict(enumerate(default_channels()))
        channels |= {VOICE_NAMES.index(name): channel - 1 for name, channel in settings.channels.items()}
        self.channels = {voice: channel for voice, channel in channels.items() if voice not in muted}
        self._settings = settings

    @property
    def sounds(self) -> list[tuple[int, int | None, int]]:
        """(channel, bank, program) of each voice that is to be told which sound to take."""
        settings = self._settings
        if not settings.send_programs:
            return []
        programs = {voice: row.program for voice, row in enumerate(VOICES) if row.programs}
        programs |= {VOICE_NAMES.index(name): program - 1 for name, program in settings.programs.items()}
        banks = {VOICE_NAMES.index(name): bank for name, bank in settings.banks.items()}
        return [
            (self.channels[voice], banks.get(voice), programs[voice])
            for voice in sorted(programs)
            if voice in self.channels
        ]

    def note(self, voice: int, pitch: int) -> tuple[int, int] | None:
        """(channel, note number); None where this port is silent.

        The pitch is transposed, then moved by whole octaves to the nearest place within the port's range; where a
        range under an octave has no such place the note is silent. Drums are neither transposed nor moved.
        """
        channel = self.channels.get(voice)
        if channel is None:
            return None
        if voice == DRUMS:
            return channel, pitch
        low, high = self._settings.lowest, self._settings.highest
        pitch += self._settings.transpose
        if pitch < low:
            pitch += -(-(low - pitch) // 12) * 12
        elif pitch > high:
            pitch -= -(-(pitch - high) // 12) * 12
        return (channel, pitch) if low <= pitch <= high else None

    def velocity(self, velocity: int) -> int:
        """The velocity sent, 1-127."""
        low, high = self._settings.velocity_lowest, self._settings.velocity_highest
        if self._settings.velocity_curve == "fixed":
            return high
        share = (velocity / 127) ** CURVES[self._settings.velocity_curve]
        return min(max(round(low + (high - low) * share), 1), 127)


class Sounding:
    """How many hold each (channel, note) of a port, so that on and off always alternate on the line."""

    def __init__(self) -> None:
        self._holders: dict[tuple[int, int], int] = {}

    def on(self, channel: int, note: int) -> bool:
        """Somebody begins a note; returns whether it sounds already and must be ended first."""
        count = self._holders.get((channel, note), 0)
        self._holders[channel, note] = count + 1
        return count > 0

    def off(self, channel: int, note: int) -> bool:
        """Somebody lets go; returns whether that was the last who held it."""
        count = self._holders.pop((channel, note), 0)
        if count > 1:
            self._holders[channel, note] = count - 1
        return count == 1

    def clear(self) -> list[tuple[int, int]]:
        """Everybody lets go of everything: what sounded."""
        sounded = sorted(self._holders)
        self._holders.clear()
        return sounded
