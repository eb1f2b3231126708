"""Notes to a MIDI port that is found by name, may vanish, and is found again."""

import threading
from collections.abc import Mapping

import mido

from host.events import NoteOn, OutputEvent
from host.midi_ports import VIRTUAL_NAME, MidiPorts, match_port
from host.outputs.base import Output
from model.errors import NoonsongError

ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123


class MidiOutput(Output):
    """One port. While its device is away notes go nowhere, and the state says so."""

    def __init__(
        self, ports: MidiPorts, pattern: str, channels: Mapping[int, int], programs: Mapping[int, int]
    ) -> None:
        """`pattern` as in match_port, or "virtual". `channels`: voice -> channel 0-15; a voice without one
        is silent here. `programs`: voice -> program 0-127, sent whenever the port is opened.

        Raises NoonsongError when a virtual port is asked for and cannot be made.
        """
        super().__init__(f"MIDI {pattern}")
        self._ports = ports
        self._pattern = pattern
        self._channels = dict(channels)
        self._programs = dict(programs)
        self._port: mido.ports.BaseOutput | None = None
        self._port_name = ""
        self._lock = threading.Lock()  # the watcher opens and closes, the scheduler sends
        if pattern == "virtual":
            self._attach(VIRTUAL_NAME, ports.open_virtual())
        else:
            self.watch()

    @property
    def state(self) -> str:
        """What this output is connected to, in words."""
        if self._port is None:
            return f'waiting for a MIDI port like "{self._pattern}"'
        return f"MIDI to {self._port_name}"

    @property
    def connected(self) -> bool:
        """Whether notes reach a port now."""
        return self._port is not None

    def watch(self) -> None:
        """Look whether the port is still there, or there again. Called now and then, off the audio path."""
        if self._pattern == "virtual":
            return
        names = self._ports.names()
        if self._port is not None and self._port_name not in names:
            with self._lock:
                lost, self._port = self._port, None
            lost.close()
        if self._port is None:
            name = match_port(self._pattern, names)
            if name is not None:
                try:
                    self._attach(name, self._ports.open(name))
                except NoonsongError as error:
                    self.faults += 1
                    self.last_fault = str(error)

    def _attach(self, name: str, port: "mido.ports.BaseOutput") -> None:
        for voice, program in sorted(self._programs.items()):
            if voice in self._channels:
                port.send(mido.Message("program_change", channel=self._channels[voice], program=program))
        with self._lock:
            self._port, self._port_name = port, name

    def _send(self, event: OutputEvent, due_s: float) -> None:
        channel = self._channels.get(event.voice)
        if channel is None:
            return
        if isinstance(event, NoteOn):
            message = mido.Message("note_on", channel=channel, note=event.pitch, velocity=event.velocity)
        else:
            message = mido.Message("note_off", channel=channel, note=event.pitch)
        with self._lock:
            if self._port is not None:
                self._port.send(message)

    def _panic(self) -> None:
        with self._lock:
            if self._port is None:
                return
            for channel in sorted(set(self._channels.values())):
                for control in (ALL_NOTES_OFF, ALL_SOUND_OFF):
                    self._port.send(mido.Message("control_change", channel=channel, control=control))

    def _close(self) -> None:
        with self._lock:
            port, self._port = self._port, None
        if port is not None:
            port.close()
