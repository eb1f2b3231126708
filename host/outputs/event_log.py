"""Every event as a line of JSON on a file descriptor: for scripts, and to see exactly what was sent."""

import json
import os

from host.events import NoteOn, OutputEvent
from host.outputs.base import Output
from model.tokens import VOICE_NAMES


class EventLog(Output):
    """Lines {"due_s", "event": "on" | "off", "voice", "pitch", "velocity"}, each one write."""

    def __init__(self, descriptor: int = 1) -> None:
        super().__init__("event log")
        self._descriptor = descriptor

    def _send(self, event: OutputEvent, due_s: float) -> None:
        line = {
            "due_s": round(due_s, 6),
            "event": "on" if isinstance(event, NoteOn) else "off",
            "voice": VOICE_NAMES[event.voice],
            "pitch": event.pitch,
            "velocity": event.velocity if isinstance(event, NoteOn) else 0,
        }
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")
