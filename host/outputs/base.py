"""What every output is: the public methods check and count, the private hooks act."""

from collections.abc import Callable

from host.events import NoteOff, NoteOn, Notice, OutputEvent


class Output:
    """Takes events from the scheduler, on the scheduler's thread.

    `lead_s`: how long before its time an event is wanted (a board fires by its own timer; others want 0).
    `hears`: what it is told of; the rest would only be on the way when a note's moment has come.
    `offset_s`: added to every due time, to line this output up with the rest of the stage.
    A hook that raises makes the output count a fault and say so; it never stops the music.
    """

    hears: tuple[type[NoteOn | Notice], ...] = (NoteOn,)  # whoever hears notes hears their ends
    lead_s = 0.0
    offset_s = 0.0
    prepares = False  # whether what was prepared waits for `flush`, so that a chord leaves in one go

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults = 0
        self.last_fault = ""
        self._held: set[NoteOff] = set()

    @property
    def state(self) -> str:
        """What it is connected to, in words."""
        return self.name

    def watch(self) -> None:
        """Look whether the device is still there, or there again. Called now and then, off the audio path."""

    def send(self, event: OutputEvent | Notice, due_s: float) -> None:
        """Let one event out, due at the monotonic time `due_s`."""
        self.prepare(event, due_s)
        self.flush()

    def prepare(self, event: OutputEvent | Notice, due_s: float) -> None:
        """All of `send` that can be done before the event's time; the rest is `flush`."""
        if isinstance(event, NoteOn):
            self._held.add(NoteOff(event.voice, event.pitch))
        elif isinstance(event, NoteOff):
            self._held.discard(event)
        else:
            self._guard(self._notice, event, due_s)
            return
        self._guard(self._send, event, due_s)

    def flush(self) -> None:
        """Let go of what was prepared."""
        self._guard(self._flush)

    def release(self, now_s: float) -> None:
        """End every note that this output holds."""
        for event in sorted(self._held):
            self._guard(self._send, event, now_s)
        self._held.clear()
        self.flush()

    def panic(self, now_s: float) -> None:
        """Silence, whatever was believed to sound."""
        self.release(now_s)
        self._guard(self._panic)
        self.flush()

    def close(self, now_s: float) -> None:
        """Release and let go of the device."""
        self.release(now_s)
        self._guard(self._close)

    def _guard(self, hook: Callable[..., None], *args: object) -> None:
        try:
            hook(*args)
        except Exception as error:
            self.faults += 1
            self.last_fault = f"{self.name}: {error}"

    def _send(self, event: OutputEvent, due_s: float) -> None:
        """Sound a note or end it."""

    def _flush(self) -> None:
        """Let go of what `_send` and the other hooks keep; most keep nothing."""

    def _notice(self, event: Notice, due_s: float) -> None:
        """What an output makes of what is no note."""

    def _panic(self) -> None:
        """Everything a device offers to fall silent."""

    def _close(self) -> None:
        """Let go of the device."""
