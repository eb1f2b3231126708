"""The sender's thread, with a real clock: on a busy machine it may be late, but it is never early."""

import threading
import time
from pathlib import Path

from host.config import Day
from host.events import NoteOn, Notice, OutputEvent, Pulse
from host.instrument import PREPARE_S, Instrument
from host.outputs.base import Output
from host.scheduler import Scheduler, TimedNote
from tests.host.playing import Stage

PATIENCE_S = 20.0


class Left(Output):
    """Notes when what was prepared leaves."""

    hears = (NoteOn, Pulse)
    prepares = True

    def __init__(self) -> None:
        super().__init__("test")
        self.waiting: list[tuple[OutputEvent | Notice, float]] = []
        self.left: list[tuple[OutputEvent | Notice, float, float]] = []

    def _send(self, event: OutputEvent, due_s: float) -> None:
        self.waiting.append((event, due_s))

    def _notice(self, event: Notice, due_s: float) -> None:
        self.waiting.append((event, due_s))

    def _flush(self) -> None:
        self.left += [(event, due_s, time.monotonic()) for event, due_s in self.waiting]
        self.waiting.clear()


def test_what_begins_never_leaves_before_its_time_nor_what_ends_long_before(
    small_weights: Path, tmp_path: Path
) -> None:
    stage = Stage(small_weights, tmp_path)
    first, second, done = Left(), Left(), threading.Event()
    scheduler = Scheduler([first, second], lambda position: done.set() if position == 60 else None)
    instrument = Instrument(
        stage.performance, scheduler, stage.piece, [first, second], Day(), stage.said.append, time.monotonic
    )
    sender = threading.Thread(target=instrument._send)
    sender.start()
    try:
        start_s = time.monotonic() + 0.05
        # Each chord of three ends as the next one begins, and a pulse comes with every other one.
        for step in range(20):
            at_s = start_s + step * 0.015
            event = [NoteOn(2, 60 + voice, 80) for voice in range(3)]
            scheduler.add(
                TimedNote(3 * step + voice + 1, at_s, at_s + 0.015, event[voice]) for voice in range(3)
            )
            if step % 2 == 0:
                scheduler.post(Pulse(step), at_s)
        assert done.wait(PATIENCE_S)
    finally:
        instrument.stop()
        sender.join()
        stage.kill()
    for output in (first, second):
        begun = [(due_s, left_s) for event, due_s, left_s in output.left if isinstance(event, NoteOn | Pulse)]
        ended = [
            (due_s, left_s) for event, due_s, left_s in output.left if not isinstance(event, NoteOn | Pulse)
        ]
        assert len(begun) == 70 and all(left_s >= due_s for due_s, left_s in begun)
        assert len(ended) >= 57 and all(left_s >= due_s - PREPARE_S - 1e-4 for due_s, left_s in ended)
