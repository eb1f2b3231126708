"""A heap of (deadline, action): the one place that touches outputs. Every note-on has its note-off.

Time is an argument of `run_due`; `host.instrument` supplies the thread that waits for deadlines.
"""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from host.events import NoteOff, NoteOn, Notice, OutputEvent
from host.outputs.base import Output

MAX_PENDING = 16_384
MAX_HELD_S = 20.0  # no note sounds longer, whatever was asked for


class TimedNote(NamedTuple):
    """A final note in monotonic seconds; `position` names it in the journal. None: it is a guest, no part of the
    piece.
    """

    position: int | None
    on_s: float
    off_s: float
    event: NoteOn


class _Release(NamedTuple):
    output: Output
    due_s: float


class _End(NamedTuple):
    output: Output
    event: NoteOff
    due_s: float
    started: int
    guest: bool


class _Start(NamedTuple):
    output: Output
    event: NoteOn
    due_s: float
    off_s: float
    guest: bool


class _Flush(NamedTuple):
    output: Output


class _Tell(NamedTuple):
    output: Output
    event: Notice
    due_s: float


class _Played(NamedTuple):
    position: int


_Action = _Release | _End | _Tell | _Start | _Flush | _Played
# At one deadline: end what ends, say what else there is, begin what begins, remember that it was played.
_RANK = {_Release: 0, _End: 1, _Tell: 2, _Start: 3, _Flush: 3, _Played: 4}


class Scheduler:
    """Notes in, events out at their time, to any number of outputs."""

    def __init__(
        self, outputs: Sequence[Output], played: Callable[[int], None] = lambda position: None
    ) -> None:
        """`played` is told each note's position right after it was sent."""
        self.outputs = list(outputs)
        self.wakeup = threading.Condition(threading.RLock())
        self.worst_late_s = 0.0
        self.recent_late_s = 0.0  # the worst since somebody set it back to nothing
        self.sent_notes = 0
        self.refused_notes = 0  # turned away because the heap was full
        self._played = played
        self._muted = False
        self._heap: list[tuple[float, int, int, _Action]] = []
        self._numbers = itertools.count()
        # (output, voice, pitch) -> the entry that started it: an older note's end must not end the newer one
        self._sounding: dict[tuple[int, int, int], int] = {}

    def add(self, notes: Iterable[TimedNote]) -> None:
        """Queue notes for every output. A full queue refuses notes, and counts them."""
        with self.wakeup:
            for note in notes:
                if len(self._heap) >= MAX_PENDING:
                    self.refused_notes += 1
                    continue
                off_s = min(note.off_s, note.on_s + MAX_HELD_S)
                guest = note.position is None
                for output in self.outputs:
                    if NoteOn not in output.hears:
                        continue
                    self._push(note.on_s, output, _Start(output, note.event, note.on_s, off_s, guest))
                if note.position is not None:
                    self._push(note.on_s, None, _Played(note.position))
            self.wakeup.notify()

    def withdraw(self, now_s: float) -> None:
        """Forget the guests that have not begun, end those that sound."""
        with self.wakeup:
            guests = [entry for entry in self._heap if getattr(entry[3], "guest", False)]
            self._heap = [entry for entry in self._heap if not getattr(entry[3], "guest", False)]
            heapq.heapify(self._heap)
            for _, _, number, action in guests:
                if isinstance(action, _End):
                    due_s = min(action.due_s, _after_what_is_on_its_way(action.output, now_s))
                    self._run(action._replace(due_s=due_s), number)

    def retime(self, now_s: float, factor: float) -> None:
        """The tempo is another: what is still to end does so after `factor` times what is left of its length."""
        with self.wakeup:
            for index, (_, rank, number, action) in enumerate(self._heap):
                if isinstance(action, _End) and action.due_s > now_s and not action.guest:
                    due_s = now_s + (action.due_s - now_s) * factor
                    deadline_s = due_s + action.output.offset_s - action.output.lead_s
                    self._heap[index] = (deadline_s, rank, number, action._replace(due_s=due_s))
            heapq.heapify(self._heap)
            self.wakeup.notify()

    def mute(self, muted: bool, now_s: float) -> None:
        """Muted, what would begin is passed over in silence, and what sounds ends at once."""
        with self.wakeup:
            self._muted = muted
            if muted:
                for output in self.outputs:
                    self._run(_Release(output, _after_what_is_on_its_way(output, now_s)), 0)

    def post(self, event: Notice, due_s: float) -> None:
        """Tell every output that hears of it what is no note. A full queue refuses it, and counts it."""
        with self.wakeup:
            if len(self._heap) >= MAX_PENDING:
                self.refused_notes += 1
                return
            for output in self.outputs:
                if type(event) in output.hears:
                    self._push(due_s, output, _Tell(output, event, due_s))
            self.wakeup.notify()

    def release_at(self, due_s: float) -> None:
        """End everything that sounds at that time (when the piece is stopped)."""
        with self.wakeup:
            for output in self.outputs:
                self._push(due_s, output, _Release(output, due_s))
            self.wakeup.notify()

    def panic(self, now_s: float) -> None:
        """Silence at once: every output is told to fall silent. Notes not yet begun still come."""
        with self.wakeup:
            self._heap = [entry for entry in self._heap if not isinstance(entry[3], _End)]
            heapq.heapify(self._heap)
            self._sounding.clear()
            for output in self.outputs:
                output.panic(now_s)

    def close(self, now_s: float) -> None:
        """Drop what has not begun, release every note and let go of every device."""
        with self.wakeup:
            self._heap.clear()
            self._sounding.clear()
            for output in self.outputs:
                output.close(now_s)

    @property
    def pending(self) -> int:
        """How many actions wait for their time."""
        return len(self._heap)

    def next_deadline_s(self) -> float | None:
        """When `run_due` is wanted next; None when nothing is pending. Call with `wakeup` held."""
        return self._heap[0][0] if self._heap else None

    def run_due(self, now_s: float) -> None:
        """Send everything whose time has come."""
        with self.wakeup:
            while self._heap and self._heap[0][0] <= now_s:
                deadline_s, _, number, action = heapq.heappop(self._heap)
                self._run(action, number)
                if isinstance(action, _Start | _Flush):
                    # What gets its events ahead of their time has that time left.
                    late_s = now_s - deadline_s - action.output.lead_s
                    self.worst_late_s = max(self.worst_late_s, late_s)
                    self.recent_late_s = max(self.recent_late_s, late_s)

    def prepare(self, due_s: float) -> None:
        """Do shortly before `due_s` what can be done of what is due then. What ends, ends now: no beginning has to
        wait for it. What begins is spelled, so that the last of a chord need not wait for the others; it leaves
        with `run_due`, or with what else that output lets out meanwhile.
        """
        with self.wakeup:
            rest: list[tuple[float, int, int, _Action]] = []
            prepared: dict[Output, None] = {}  # in their order: a pulse leaves before the notes upon it
            while self._heap and self._heap[0][0] <= due_s:
                entry = heapq.heappop(self._heap)
                match entry[3]:
                    case _End() as end if not prepared:
                        self._run(end, entry[2])
                    case _Start(output) as start if output.prepares and not self._muted:
                        self._start(start, entry[2], output.prepare)
                        prepared[output] = None
                    case _Tell(output, notice, told_s) if output.prepares:
                        output.prepare(notice, told_s + output.offset_s)
                        prepared[output] = None
                    case _Release():
                        rest.append(entry)
                        break  # what begins after it must not be ended by it
                    case _:
                        rest.append(entry)
            for entry in rest:
                heapq.heappush(self._heap, entry)
            for output in prepared:
                heapq.heappush(self._heap, (due_s, _RANK[_Flush], next(self._numbers), _Flush(output)))

    def _push(self, due_s: float, output: Output | None, action: _Action) -> None:
        deadline_s = due_s + (output.offset_s - output.lead_s if output else 0.0)
        heapq.heappush(self._heap, (deadline_s, _RANK[type(action)], next(self._numbers), action))

    def _run(self, action: _Action, number: int) -> None:
        match action:
            case _Start() if self._muted:
                pass
            case _Start(output):
                self._start(action, number, output.send)
            case _Flush(output):
                output.flush()
            case _End(output, event, due_s, started):
                key = (id(output), event.voice, event.pitch)
                if self._sounding.get(key) == started:
                    del self._sounding[key]
                    output.send(event, due_s + output.offset_s)
            case _Release(output, due_s):
                for key in [key for key in self._sounding if key[0] == id(output)]:
                    del self._sounding[key]
                output.release(due_s + output.offset_s)
            case _Tell(output, notice, due_s):
                output.send(notice, due_s + output.offset_s)
            case _Played(position):
                self.sent_notes += 1
                self._played(position)

    def _start(self, start: _Start, number: int, send: Callable[[OutputEvent, float], None]) -> None:
        output, event, due_s, off_s, guest = start
        key = (id(output), event.voice, event.pitch)
        end = NoteOff(event.voice, event.pitch)
        if key in self._sounding:  # struck again while it sounds
            send(end, due_s + output.offset_s)
        self._sounding[key] = number
        send(event, due_s + output.offset_s)
        self._push(off_s, output, _End(output, end, off_s, number, guest))


def _after_what_is_on_its_way(output: Output, now_s: float) -> float:
    """When what was sent has begun: a board gets its notes so much before their time."""
    return now_s + output.lead_s + (0.001 if output.lead_s else 0.0)
