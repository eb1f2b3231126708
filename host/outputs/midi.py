"""Notes to a MIDI port that is found by name, may vanish, and is found again.

What is sent alternates: no note begins twice before it has ended, and every end comes, whether the music stops,
the port is exchanged, or the program ends. A port that vanished is told the missing ends when it is back.
Everything is spelled first and let go by a flush: at a chord's time nothing but its bytes is left to be sent.
"""

import threading
from collections import deque
from collections.abc import Callable

from host.config import MidiPort
from host.events import ControlAt, NoteOn, Notice, OutputEvent, Thru, ThruLost
from host.midi_ports import VIRTUAL_NAME, MidiPorts, Out, match_port, port_matches
from host.outputs.base import Output
from host.outputs.voicing import Sounding, Voicing
from model.errors import NoonsongError

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0
BANK, BANK_FINE = 0, 32
ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123

Sent = Callable[[tuple[int, ...], float], None]


class MidiOutput(Output):
    """One port. While its device is away notes go nowhere, and the state says so."""

    hears = (NoteOn, ControlAt, Thru, ThruLost)
    prepares = True

    def __init__(
        self, ports: MidiPorts, settings: MidiPort, sent: Sent = lambda message, now_s: None
    ) -> None:
        """`sent` is told every message that leaves, so that its echo can be known.

        Raises NoonsongError when a virtual port is asked for and cannot be made.
        """
        super().__init__(f"MIDI {settings.port}")
        self.offset_s = settings.offset_ms / 1000
        self._ports = ports
        self._settings = settings
        self._pattern = settings.port
        self._voicing = Voicing(settings)
        self._sent = sent
        self._port: Out | None = None
        self._port_name = ""
        # The watcher opens and closes, the scheduler sends; what follows belongs to who holds it.
        self._lock = threading.RLock()
        self._sounding = Sounding()
        self._notes: dict[tuple[int, int], tuple[int, int]] = {}  # (voice, pitch) -> (channel, note)
        self._thru: set[tuple[str, int, int]] = set()  # (input, channel, note)
        self._unended: list[tuple[int, int]] = []  # begun on a port that vanished
        self._positions: dict[str, int] = {}
        self._ready: deque[tuple[int, ...]] = deque()  # spelled, and to be sent by the next flush
        self._open()

    @property
    def state(self) -> str:
        """What this output is connected to, in words."""
        if self._port is not None:
            return f"MIDI to {self._port_name}"
        if self._pattern == "virtual":
            return "waiting for the JACK server, which has gone"
        return f'waiting for a MIDI port like "{self._pattern}"'

    @property
    def connected(self) -> bool:
        """Whether notes reach a port now."""
        return self._port is not None

    @property
    def port_name(self) -> str:
        """The port it is connected to; empty while it waits."""
        return self._port_name if self._port is not None else ""

    def watch(self) -> None:
        """Look whether the port is still there, or there again. Called now and then, off the audio path."""
        if self._port is not None and not self._still_there():
            with self._lock:
                lost, self._port = self._port, None
                self._unended = self._let_go()
                self._ready.clear()
            lost.close()
        if self._port is None:
            self._ports.names()  # which joins a new server, where the old one died
            self._open(anew=True)

    def _still_there(self) -> bool:
        names = self._ports.names()
        return self._ports.present and (self._pattern == "virtual" or self._port_name in names)

    def retarget(self, pattern: str, now_s: float) -> None:
        """Play to another port from now on; what sounds on the old one ends there. From any thread.

        Raises NoonsongError when a virtual port is asked for and cannot be made.
        """
        with self._lock:
            self._end_all(now_s)
            self._flush()
            port, self._port = self._port, None
            self._unended = []
            self._pattern = pattern
        if port is not None:
            port.close()
        self._open()

    def _open(self, anew: bool = False) -> None:
        try:
            if self._pattern == "virtual":
                if not anew or self._ports.alive:
                    self._attach(VIRTUAL_NAME, self._ports.open("virtual"))
            elif (name := match_port(self._pattern, self._ports.names())) is not None:
                self._attach(name, self._ports.open(name))
        except NoonsongError as error:
            if self._pattern == "virtual" and not anew:
                raise
            self.faults += 1
            self.last_fault = str(error)

    def _attach(self, name: str, port: Out) -> None:
        with self._lock:
            self._port, self._port_name = port, name
            for channel, note in self._unended:
                self._put(0.0, NOTE_OFF | channel, note, 64)
            self._unended = []
            # After a death nobody could clean up for, something may sound there still.
            for channel in sorted(set(self._voicing.channels.values())):
                self._put(0.0, CONTROL | channel, ALL_NOTES_OFF, 0)
            for channel, bank, program in self._voicing.sounds:
                if bank is not None:
                    self._put(0.0, CONTROL | channel, BANK, bank >> 7)
                    self._put(0.0, CONTROL | channel, BANK_FINE, bank & 0x7F)
                self._put(0.0, PROGRAM | channel, program)
            for control, value in self._positions.items():
                self._put_position(control, value, 0.0)
            self._flush()

    def _send(self, event: OutputEvent, due_s: float) -> None:
        key = (event.voice, event.pitch)
        with self._lock:
            if isinstance(event, NoteOn):
                where = self._voicing.note(event.voice, event.pitch)
                if where is not None and self._port is not None:
                    self._notes[key] = where
                    self._begin(*where, self._voicing.velocity(event.velocity), due_s)
            elif key in self._notes:
                self._end(*self._notes.pop(key), due_s)

    def _notice(self, event: Notice, due_s: float) -> None:
        with self._lock:
            match event:
                case ControlAt(control, position):
                    value = round(position * 127)
                    if control in self._settings.control_ccs and self._positions.get(control) != value:
                        self._positions[control] = value
                        self._put_position(control, value, due_s)
                case Thru(port, message):
                    if self._port is not None and any(port_matches(p, port) for p in self._settings.thru):
                        self._pass_on(port, message, due_s)
                case ThruLost(port):
                    for held in [held for held in self._thru if held[0] == port]:
                        self._thru.discard(held)
                        self._end(*held[1:], due_s)

    def _pass_on(self, port: str, message: tuple[int, ...], due_s: float) -> None:
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind not in (NOTE_ON, NOTE_OFF):
            self._put(due_s, *message)
            return
        held = (port, channel, message[1])
        if held in self._thru:
            self._thru.discard(held)
            self._end(channel, message[1], due_s)
        if kind == NOTE_ON and message[2]:
            self._thru.add(held)
            self._begin(channel, message[1], message[2], due_s)

    def _begin(self, channel: int, note: int, velocity: int, due_s: float) -> None:
        if self._sounding.on(channel, note):
            self._put(due_s, NOTE_OFF | channel, note, 64)
        self._put(due_s, NOTE_ON | channel, note, velocity)

    def _end(self, channel: int, note: int, due_s: float) -> None:
        if self._sounding.off(channel, note):
            self._silence(channel, note, due_s)

    def _silence(self, channel: int, note: int, due_s: float) -> None:
        unsent = next((m for m in self._ready if m[:2] == (NOTE_ON | channel, note)), None)
        if unsent is not None:  # stopped just before its time: it need not begin
            self._ready.remove(unsent)
        else:
            self._put(due_s, NOTE_OFF | channel, note, 64)

    def _put_position(self, control: str, value: int, due_s: float) -> None:
        self._put(
            due_s, CONTROL | self._settings.control_channel - 1, self._settings.control_ccs[control], value
        )

    def _put(self, due_s: float, *message: int) -> None:
        if self._port is not None and self._ports.alive:
            self._sent(message, due_s)
            self._ready.append(message)

    def _flush(self) -> None:
        with self._lock:
            if self._port is None or not self._ports.alive:
                self._ready.clear()
                return
            send, ready = self._port.send, self._ready
            while ready:
                send(ready.popleft())

    def _let_go(self) -> list[tuple[int, int]]:
        self._notes.clear()
        self._thru.clear()
        return self._sounding.clear()

    def _end_all(self, now_s: float) -> None:
        for channel, note in self._let_go():
            self._silence(channel, note, now_s)

    def _panic(self) -> None:
        with self._lock:
            self._end_all(0.0)
            for channel in sorted(set(self._voicing.channels.values())):
                self._put(0.0, CONTROL | channel, ALL_NOTES_OFF, 0)
                self._put(0.0, CONTROL | channel, ALL_SOUND_OFF, 0)

    def _close(self) -> None:
        with self._lock:
            self._end_all(0.0)
            self._flush()
            port, self._port = self._port, None
        if port is not None:
            port.close()
