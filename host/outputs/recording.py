"""An output that keeps what was played and writes it as a standard MIDI file when it is closed."""

from pathlib import Path

from host.events import NoteOn, OutputEvent
from host.midi_file import TimedEvent, write_performance
from host.outputs.base import Output


class Recording(Output):
    """Real time, as it sounded: event times are kept in seconds since the first one."""

    def __init__(self, path: Path) -> None:
        """Raises NoonsongError when the file cannot be written."""
        super().__init__(f"recording {path}")
        self._path = path
        self._events: list[TimedEvent] = []
        write_performance(path, [])  # a path that cannot be written is said now, not after the concert

    def _send(self, event: OutputEvent, due_s: float) -> None:
        velocity = event.velocity if isinstance(event, NoteOn) else 0
        self._events.append(TimedEvent(due_s, event.voice, event.pitch, velocity))

    def _close(self) -> None:
        write_performance(self._path, self._events)
