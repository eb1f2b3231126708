"""Player, clock, journal and scheduler joined: what happens at one moment of the performance.

`step` does all that is due at a time and says when it wants to be called again; host.instrument supplies
the thread and the real time. Order of effects: notes become final, are written to the journal, then go to
the scheduler; only then may a move change what comes after them.
"""

import math
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from host.clock import Clock
from host.controls import Control
from host.events import Move, NoteOn, Spelled
from host.journal import Journal, Past
from host.player import Player
from host.scheduler import Scheduler, TimedNote
from model.errors import NoonsongError
from model.tokens import PPQN

LOOKAHEAD_TICKS = 8 * PPQN
START_S = 0.1  # from start to the first note: time to plan what follows it
LONGEST_CATCH_UP_S = 0.25
MAX_WAITING_MOVES = 1024
MAX_UNWRITTEN = 20_000  # journal entries kept in memory while the disk refuses them


class Performance:
    """The piece as it is played."""

    def __init__(
        self,
        player: Player,
        clock: Clock,
        scheduler: Scheduler,
        journal: Journal,
        table: Mapping[str, Control],
        commit_s: float,
    ) -> None:
        """`commit_s`: notes nearer than this are final. The clock stands still until `start`."""
        self.player = player
        self.clock = clock
        self.scheduler = scheduler
        self.journal = journal
        self.table = table
        self.controls = dict(player.settings.controls)
        self.asked = dict(self.controls)  # as they will be when the moves that wait have been made
        self.commit_s = commit_s
        # For those who look on.
        self.recent: deque[Spelled] = deque(maxlen=512)
        self.moved_by: dict[str, str] = {}
        self.wakeup = threading.Event()  # set when a step is wanted sooner than it said
        self.journal_fault = ""
        self.refused_moves = 0
        self.stalls = 0
        self._moves: deque[Move] = deque()
        self._marks: deque[tuple[str, int, str]] = deque(maxlen=MAX_WAITING_MOVES)
        self._unwritten: deque[Callable[[], None]] = deque(maxlen=MAX_UNWRITTEN)
        self._wanted_phrase = False
        self._resting = False
        self._wall_offset_s = 0.0
        self._written_settings = -1

    def start(self, now_s: float, wall_s: float, past: Past | None = None, played_position: int = 0) -> None:
        """Begin, or go on from the journal's end: with the first note after `played_position`."""
        self._wall_offset_s = wall_s - now_s
        if past is not None:
            self.player.settings = past.settings
            self.player.resume(past.tokens, past.sides, past.place)
            self.controls |= past.controls
            self._written_settings = past.settings.number
        self.controls["freeze"] = 0.0  # switched on means playing
        self.asked = dict(self.controls)
        tempo = Move("tempo", self._value("tempo"), "start")
        self.clock.set_tempo(self._value("tempo"), now_s)
        self._keep(lambda: self.journal.write_moves([tempo], self.player.final.state.tick, wall_s))
        rows = list(past.spelled) if past is not None else []
        self.player.plan_note()
        while self.player.planned[0][0].position <= played_position:
            # Played, but lost from the journal by a power cut. It is found again: chance goes by position.
            lost = self.player.commit(self.player.planned[0][0].tick)
            self._write(lost, now_s)
            rows += lost
            self.player.plan_note()
        self.recent.extend(rows)
        unplayed = [s for s in rows if s.position > played_position and s.note is not None]
        self.clock.run(now_s)
        self.clock.move_to((unplayed or [self.player.planned[-1][0]])[0].tick, now_s + START_S)
        self.scheduler.add(self._timed(unplayed))

    def move(self, move: Move) -> None:
        """Ask for a control move; from any thread. Raises NoonsongError on an unknown control or value."""
        if move.control not in self.table:
            raise NoonsongError(
                f'there is no control "{move.control}": the controls are {", ".join(self.table)}'
            )
        checked = move._replace(value=self.table[move.control].check(move.value))
        if len(self._moves) >= MAX_WAITING_MOVES:
            self.refused_moves += 1
            return
        self._moves.append(checked)
        self.asked[checked.control] = checked.value
        self.moved_by[checked.control] = checked.who
        self.wakeup.set()

    def begin_phrase(self) -> None:
        """Ask for a new beginning; from any thread."""
        self._wanted_phrase = True
        self.wakeup.set()

    def mark(self, kind: str, tick: int, who: str) -> None:
        """Keep in the journal that the moment at a tick is "loved" or "disliked"; from any thread."""
        self._marks.append((kind, tick, who))
        self.wakeup.set()

    def rest(self, resting: bool) -> None:
        """Ask for rest (time stands still) or an end of it; from any thread."""
        self._resting = resting
        self.wakeup.set()

    def step(self, now_s: float) -> float:
        """Do what is due; returns the monotonic time of the next call, `now_s` when there is work left."""
        self._run_or_stop(now_s)
        self._mend_stall(now_s)
        until_tick = math.floor(self.clock.tick_at(now_s + self.commit_s))
        self._make_final(self.player.commit(until_tick), now_s)
        self._apply_moves(until_tick, now_s)
        self._write_marks(now_s)
        if not self.clock.running:
            return now_s + 0.05
        reach = self.clock.tick_at(now_s) + LOOKAHEAD_TICKS
        if self.player.planned_tick < reach and not self.player.full:
            self.player.plan_note()
            return now_s
        coming_tick = self.player.planned[0][0].tick if self.player.planned else reach
        return min(self.clock.time_of(coming_tick) - self.commit_s, now_s + 0.05)

    def _apply_moves(self, until_tick: int, now_s: float) -> None:
        moves = [self._moves.popleft() for _ in range(len(self._moves))]
        if not moves and not self._wanted_phrase:
            return
        last = {move.control: move.value for move in moves}
        changes = {name: value for name, value in last.items() if self.controls[name] != value}
        self.controls.update(changes)
        self._keep(lambda: self.journal.write_moves(moves, until_tick, now_s + self._wall_offset_s))
        if "tempo" in changes:
            self.clock.set_tempo(self._value("tempo"), now_s)
        self._run_or_stop(now_s)
        replanning = {name: value for name, value in changes.items() if self.table[name].replans}
        if replanning or self._wanted_phrase:
            self.player.move(replanning, until_tick, self._wanted_phrase)
            self._write([], now_s)
        self._wanted_phrase = False

    def _write_marks(self, now_s: float) -> None:
        while self._marks:
            kind, tick, who = self._marks.popleft()
            wall_s = now_s + self._wall_offset_s
            self._keep(partial(self.journal.write_mark, kind, tick, wall_s, who))

    def _mend_stall(self, now_s: float) -> None:
        """After a stop of the whole machine, go on with the next note rather than catch up in a burst."""
        if self.clock.running and self.player.planned:
            tick = self.player.planned[0][0].tick
            if now_s - self.clock.time_of(tick) > LONGEST_CATCH_UP_S:
                self.stalls += 1
                self.clock.move_to(tick, now_s)

    def _run_or_stop(self, now_s: float) -> None:
        wanted = not (self._resting or self._value("freeze"))
        if wanted and not self.clock.running:
            self.clock.run(now_s)
        elif not wanted and self.clock.running:
            # What is final still sounds; then time stands still, and nothing is left hanging in it.
            end_s = now_s + self.commit_s
            self._make_final(self.player.commit(math.floor(self.clock.tick_at(end_s))), now_s)
            self.clock.stop(end_s)
            self.scheduler.release_at(end_s)

    def _make_final(self, spelled: Sequence[Spelled], now_s: float) -> None:
        if not spelled:
            return
        self._write(spelled, now_s)
        self.scheduler.add(self._timed(spelled))
        self.recent.extend(spelled)

    def _write(self, spelled: Sequence[Spelled], now_s: float) -> None:
        settings = self.player.settings
        changed = settings if settings.number != self._written_settings else None
        wall_times_s = [self.clock.time_of(s.tick) + self._wall_offset_s for s in spelled]
        self._written_settings = settings.number
        if spelled or changed:
            self._keep(lambda: self.journal.write(spelled, wall_times_s, changed))

    def _timed(self, spelled: Iterable[Spelled]) -> list[TimedNote]:
        return [
            TimedNote(
                s.position,
                self.clock.time_of(s.note.tick),
                self.clock.time_of(s.note.tick + s.note.duration),
                NoteOn(s.note.voice, s.note.pitch, s.note.velocity),
            )
            for s in spelled
            if s.note is not None
        ]

    def _keep(self, write: Callable[[], None]) -> None:
        """Write to the journal; what the disk refuses waits for the next time, in order."""
        self._unwritten.append(write)
        try:
            while self._unwritten:
                self._unwritten[0]()
                self._unwritten.popleft()
            self.journal_fault = ""
        except (sqlite3.Error, OSError) as error:
            self.journal_fault = f"the journal cannot be written ({error}): make room on the disk"

    def _value(self, name: str) -> float:
        value = self.controls[name]
        assert value is not None
        return value
