"""`noonsong play`, the same but for a note of when things happened: python -m bench.live_probe FILE OPTIONS.

The product's own threads and code run; a few of its methods are wrapped. What is kept has a fixed size, so
that memory can be measured beside it, and is written to FILE as JSON when the piece ends.
"""

import array
import json
import sys
import time
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any

from host import cli
from host.board import Board
from host.board_events import CvLevel
from host.midi_ports import Out
from host.outputs.midi import NOTE_ON, MidiOutput
from host.performance import Performance
from host.player import Player
from host.scheduler import Scheduler

MOST = 1 << 20


class Record:
    """What is noted, in monotonic seconds."""

    def __init__(self) -> None:
        self.late_s = array.array("d", bytes(8 * MOST))  # each note that began, after it was sent
        self.due_s = array.array("d", bytes(8 * MOST))
        self.sent = 0
        self.moves: deque[tuple[float, str, str]] = deque(maxlen=4096)  # asked: time, control, by whom
        self.plans: deque[dict[str, float]] = deque(maxlen=4096)
        # Moments that had passed when their note was final.
        self.underruns_s: deque[float] = deque(maxlen=4096)
        self.gate_due_s = array.array("d", bytes(8 * MOST))  # each gate that the board is to open
        self.gate_channel = array.array("b", bytes(MOST))
        self.gates = 0
        self.moved_s: float | None = None
        self.unheard = False
        self.board: Any = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        count, gates = min(self.sent, MOST), min(self.gates, MOST)
        return {
            "late_s": list(self.late_s[:count]),
            "due_s": list(self.due_s[:count]),
            "moves": list(self.moves),
            "plans": list(self.plans),
            "underruns_s": list(self.underruns_s),
            "board_events": list(zip(self.gate_due_s[:gates], self.gate_channel[:gates], strict=True)),
            "board": self.board,
        }


def install(record: Record) -> None:
    """Wrap the methods."""
    spell, ask, replan, plan = MidiOutput._send, Performance.move, Player.move, Player.plan_note
    opened = Out.__init__
    add, schedule, close = Scheduler.add, Board.schedule, Board.close

    def noted_out(self: Any, port: Any, let_pass: Any) -> None:
        opened(self, port, let_pass)
        send, self.due_s = self.send, deque()

        def timed_send(message: tuple[int, ...]) -> None:
            send(message)
            if message[0] & 0xF0 == NOTE_ON:
                at = record.sent % MOST
                record.due_s[at] = due_s = self.due_s.popleft()
                record.late_s[at] = time.monotonic() - due_s
                record.sent += 1

        self.send = timed_send

    def noted_spelling(self: Any, event: Any, due_s: float) -> None:
        before = len(self._ready)
        spell(self, event, due_s)
        self._port.due_s.extend(
            due_s for message in islice(self._ready, before, None) if message[0] & 0xF0 == NOTE_ON
        )

    def timed_ask(self: Any, move: Any) -> None:
        record.moves.append((time.monotonic(), move.control, move.who))
        ask(self, move)

    def timed_move(self: Any, *arguments: Any, **named: Any) -> None:
        replan(self, *arguments, **named)
        record.moved_s = time.monotonic()

    def timed_plan(self: Any) -> Any:
        spelled = plan(self)
        if record.moved_s is not None:
            record.plans.append({"moved_s": record.moved_s, "planned_s": time.monotonic()})
            record.moved_s, record.unheard = None, True
        return spelled

    def timed_add(self: Any, notes: Any) -> None:
        notes, now_s = list(notes), time.monotonic()
        record.underruns_s.extend(note.on_s for note in notes if note.on_s < now_s)
        if notes and record.unheard:
            record.plans[-1]["due_s"] = notes[0].on_s
            record.unheard = False
        add(self, notes)

    def timed_schedule(self: Any, event: Any, due_s: float) -> None:
        if not isinstance(event, CvLevel) and getattr(event, "high", True):
            at = record.gates % MOST
            record.gate_due_s[at], record.gate_channel[at] = due_s, event.channel
            record.gates += 1
        schedule(self, event, due_s)

    def counted_close(self: Any) -> None:
        status = self.status()
        counts = {name: getattr(status.counts, name) for name in status.counts.__slots__}
        if status.status is not None:
            counts |= {name: getattr(status.status, name) for name in ("fired", "late", "queue_full")}
        record.board = counts
        close(self)

    Out.__init__ = noted_out  # type: ignore[method-assign]
    MidiOutput._send = noted_spelling  # type: ignore[method-assign]
    Performance.move = timed_ask  # type: ignore[method-assign]
    Player.move = timed_move  # type: ignore[method-assign]
    Player.plan_note = timed_plan  # type: ignore[method-assign]
    Scheduler.add = timed_add  # type: ignore[method-assign]
    Board.schedule = timed_schedule  # type: ignore[method-assign]
    Board.close = counted_close  # type: ignore[method-assign]


if __name__ == "__main__":
    to = Path(sys.argv[1])
    noted = Record()
    install(noted)
    code = cli.main(["play", *sys.argv[2:]])
    to.write_text(json.dumps(noted.as_dict()))
    sys.exit(code)
