"""Notes to a board's control voltages and gates: which of its channels plays which note, at what voltage."""

from collections.abc import Collection
from typing import Protocol

from host.board_events import CV_HIGHEST_VOLTS, BoardEvent, CvNote, GateLevel, pitch_to_volts
from host.events import NoteOff, NoteOn, OutputEvent
from host.outputs.base import Output

CV_CHANNELS = 4
LEAD_S = 0.01  # within the time that notes are final; the line and Linux take a millisecond or two of it


class CvBoard(Protocol):
    """What is needed of host.board.Board."""

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        """Play an event at a monotonic time."""

    def release_all(self) -> None:
        """Every gate low, everything planned forgotten."""


def folded_volts(pitch: int, zero_pitch: int) -> float:
    """One volt an octave, 0 V at `zero_pitch`; notes outside 0 to 4.095 V are folded in by octaves."""
    highest = int(CV_HIGHEST_VOLTS * 12)
    semitones = pitch - zero_pitch
    if semitones < 0:
        semitones %= 12
    elif semitones > highest:
        semitones -= -(-(semitones - highest) // 12) * 12
    return pitch_to_volts(semitones, 0)


class Allocator:
    """Last note wins, steadily: a note takes the free channel whose last pitch was nearest, so that lines
    stay on their synthesizer; when none is free, the one that began first is taken over.
    """

    def __init__(self, channels: int = CV_CHANNELS) -> None:
        self._last_pitch: list[int | None] = [None] * channels
        self._holding: dict[int, NoteOff] = {}  # channel -> what ends its note, oldest first

    def start(self, event: NoteOn) -> int:
        """The channel of a new note."""
        free = [c for c in range(len(self._last_pitch)) if c not in self._holding]
        channel = (
            min(free, key=lambda c: self._distance(c, event.pitch)) if free else next(iter(self._holding))
        )
        self._holding.pop(channel, None)
        self._holding[channel] = NoteOff(event.voice, event.pitch)
        self._last_pitch[channel] = event.pitch
        return channel

    def end(self, event: NoteOff) -> int | None:
        """The channel that this ends; None when its note was taken over."""
        for channel, held in self._holding.items():
            if held == event:
                del self._holding[channel]
                return channel
        return None

    def _distance(self, channel: int, pitch: int) -> tuple[int, int]:
        last = self._last_pitch[channel]
        return (128 if last is None else abs(last - pitch), channel)


class CvOutput(Output):
    """Four voices of a board. Events go out early, with their due time: the board's own timer fires them."""

    lead_s = LEAD_S

    def __init__(self, board: CvBoard, voices: Collection[int], zero_pitch: int) -> None:
        """`voices`: the instrument families that it plays. `zero_pitch`: the note number at 0 V."""
        super().__init__("CV/gate")
        self._board = board
        self._zero_pitch = zero_pitch
        self._voices = frozenset(voices)
        self._allocator = Allocator()

    def _send(self, event: OutputEvent, due_s: float) -> None:
        if event.voice not in self._voices:
            return
        if isinstance(event, NoteOn):
            volts = folded_volts(event.pitch, self._zero_pitch)
            self._board.schedule(CvNote(self._allocator.start(event), volts), due_s)
        else:
            channel = self._allocator.end(event)
            if channel is not None:
                self._board.schedule(GateLevel(channel, False), due_s)

    def _panic(self) -> None:
        self._board.release_all()
