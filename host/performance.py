"""Player, clock, journal and scheduler joined: what happens at one moment of the performance.

`step` does all that is due at a time and says when it wants to be called again; host.instrument supplies
the thread and the real time. Order of effects: notes become final, are handed to the journal, then go to
the scheduler; only then may a move change what comes after them.
"""

import math
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from host.clock import Clock
from host.clocks.source import Source
from host.conductor import INTERNAL, ClockStatus, Conductor, Placement
from host.controls import Control
from host.events import Heard, Move, NoteOn, Spelled
from host.heard_keys import HeardKeys
from host.journal import Journal, Past
from host.player import Player
from host.pulses_out import PulsesOut
from host.scales import PLAYED, SCALES
from host.scheduler import Scheduler, TimedNote
from host.settings import PLAYED_SCALE
from model.errors import NoonsongError
from model.tokens import LONGEST_SHIFT, PPQN, Note

LOOKAHEAD_TICKS = 8 * PPQN
A_HAIR = 1e-6  # of a tick: what comes when the step was wanted is not missed by rounding
START_S = 0.1  # from start to the first note: time to plan what follows it
LONGEST_CATCH_UP_S = 0.25
MAX_WAITING_MOVES = 1024
MAX_WAITING_STEPS = 64
BRIEF_LOOKAHEAD_TICKS = 2 * PPQN  # while somebody plays keys, for every one of them ends the plan
ENDS_AGAIN = 0.02  # a tempo so much different moves the ends of the notes that sound
TEMPO_TOLD = 0.01  # a followed tempo so much different is written to the journal, and shown as the control's
TELL_TEMPO_S = 1.0
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
        sources: Mapping[str, Source] | None = None,
        carry_on: bool = True,
    ) -> None:
        """`commit_s`: notes nearer than this are final. The clock stands still until `start`. `sources`: clocks
        that may be followed, by their name in the control "clock"; `carry_on` when the one followed is lost.
        """
        self.player = player
        self.clock = clock
        self.conductor = Conductor(clock, sources or {}, carry_on)
        self.pulses_out: PulsesOut | None = None  # when somebody follows our clock
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
        self.unwritten = threading.Event()  # set when there is something for `write_out`
        self.written_elsewhere = False  # by whom waits for that; else what is written is written at once
        self.refused_moves = 0
        self.heard_keys = HeardKeys()
        self.stalls = 0
        self._moves: deque[Move] = deque()
        self._marks: deque[tuple[str, int, str]] = deque(maxlen=MAX_WAITING_MOVES)
        self._steps: deque[float] = deque(maxlen=MAX_WAITING_STEPS)
        self._unwritten: deque[Callable[[], None]] = deque(maxlen=MAX_UNWRITTEN)
        self._writing = threading.Lock()  # at the end whoever closes writes what is left, too
        self._played_scale: int | None = None
        self._wanted_phrase = False
        self._bar_line_s: float | None = None
        self._resting = False
        self._wall_offset_s = 0.0
        self._written_settings = -1
        self._ends_ticks_per_s = clock.ticks_per_s
        self._tempo_told_s = 0.0

    def start(self, now_s: float, wall_s: float, past: Past | None = None, played_position: int = 0) -> None:
        """Begin, or go on from the journal's end: with the first note after `played_position`."""
        self._wall_offset_s = wall_s - now_s
        if past is not None:
            self.player.settings = past.settings
            self.player.resume(past.tokens, past.sides, past.place)
            self.controls |= {name: value for name, value in past.controls.items() if name in self.table}
            self._written_settings = past.settings.number
        self.controls |= {"freeze": 0.0, "mute": 0.0}  # switched on means playing
        self.asked = dict(self.controls)
        if self.controls["step"]:
            self.move(Move("step", 0.0, "start"))
        tempo = Move("tempo", self._value("tempo"), "start")
        self.clock.set_tempo(self._value("tempo"), now_s)
        self._keep(partial(self.journal.write_moves, [tempo], self.player.final.state.tick, wall_s))
        self._write([], now_s)  # the first settings, before anything can be chosen under others
        rows = list(past.spelled) if past is not None else []
        self.player.plan_note()
        while self.player.planned[0][0].position <= played_position:
            # Played, but lost from the journal by a power cut. It is found again: chance goes by position.
            lost = self.player.commit(self.player.planned[0][0].tick)
            self._write(lost, now_s)
            rows += lost
            self.player.plan_note()
        self.recent.extend(rows)
        unplayed = [s for s in rows if s.position > played_position and s.note is not None and not s.heard]
        self.clock.run(now_s)
        self.clock.swing.set(self._value("swing") / 100, 0.0)
        self.clock.move_to((unplayed or [self.player.planned[-1][0]])[0].tick, now_s + START_S)
        self.scheduler.add(self._timed(unplayed))
        self._choose_clock(now_s)

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

    def hear(self, heard: Heard) -> None:
        """Take in a key that somebody else pressed just now; from any thread. Too many are refused, and counted."""
        self.heard_keys.add(heard)
        self.wakeup.set()

    def take_scale(self, root: int, intervals: int, who: str) -> None:
        """Play in a scale that was played: bits of the semitones above the root (0-11); from any thread."""
        self._played_scale = intervals
        self.move(Move("root", float(root), who))
        self.move(Move("scale", float(SCALES.index(PLAYED)), who))

    def mark(self, kind: str, tick: int, who: str) -> None:
        """Keep in the journal that the moment at a tick is "loved" or "disliked"; from any thread."""
        self._marks.append((kind, tick, who))
        self.wakeup.set()

    def play_step(self, t_s: float) -> None:
        """A pulse that plays the next note; from any thread. The first one takes the rhythm over: "step"."""
        if not self.asked["step"]:
            self.move(Move("step", 1.0, "step"))
        self._steps.append(t_s)
        self.wakeup.set()

    def bar_line(self, t_s: float) -> None:
        """There is a bar line at that time; from any thread."""
        self._bar_line_s = t_s
        self.wakeup.set()

    def clock_status(self, now_s: float) -> ClockStatus:
        """Who leads, at what tempo, and what is wrong; from any thread."""
        return self.conductor.status(now_s)

    def rest(self, resting: bool) -> None:
        """Ask for rest (time stands still) or an end of it; from any thread."""
        self._resting = resting
        self.wakeup.set()

    def step(self, now_s: float) -> float:
        """Do what is due; returns the monotonic time of the next call, `now_s` when there is work left."""
        self._follow(now_s)
        self._mend_stall(now_s)
        until_tick = math.floor(self.clock.tick_at(now_s + self.commit_s) + A_HAIR)
        self._make_final(self.player.commit(until_tick), now_s)
        self._apply_moves(until_tick, now_s)
        self._write_marks(now_s)
        self._listen(now_s)
        if self.controls["step"]:
            self._play_steps(now_s)
            return self._next_s(now_s)
        lookahead = BRIEF_LOOKAHEAD_TICKS if self.heard_keys.still_played(now_s) else LOOKAHEAD_TICKS
        reach = self.clock.tick_at(now_s) + lookahead
        if self.player.planned_tick < reach and not self.player.full:
            self.player.plan_note()
            return now_s
        if not self.clock.running:
            return self._next_s(now_s)
        coming_tick = self.player.planned[0][0].tick if self.player.planned else reach
        return min(self.clock.time_of(coming_tick) - self.commit_s, self._next_s(now_s))

    def _next_s(self, now_s: float) -> float:
        """When to look again though nothing comes."""
        next_s = now_s + (0.05 if self.pulses_out is None else self.commit_s)
        chord_s = self.heard_keys.next_s()
        return next_s if chord_s is None else min(next_s, chord_s)

    def _follow(self, now_s: float) -> None:
        """Let time run or stand, in step with whoever leads it."""
        self.conductor.listen(now_s, wanted=not (self._resting or self._value("freeze")))
        if self.clock.running and not self.conductor.rolling:
            self._stop(now_s)
        placement = self.conductor.lead(now_s, self._lowest_tick, self.player.settings.meter)
        if placement is not None:
            self._place(placement, now_s)
        if self._bar_line_s is not None:
            self._place(self.conductor.bar_line(self._bar_line_s, self._lowest_tick), now_s)
            self._bar_line_s = None
        self._mend_ends(now_s)
        self._tell_tempo(now_s)
        if self.pulses_out is not None:
            self.pulses_out.step(now_s, now_s + 2 * self.commit_s, self.player.settings.meter)

    def _stop(self, now_s: float) -> None:
        """What is final still sounds; then time stands still, and nothing is left hanging in it."""
        end_s = now_s + self.commit_s
        self._make_final(self.player.commit(math.floor(self.clock.tick_at(end_s))), now_s)
        self.clock.stop(end_s)
        self.scheduler.release_at(end_s + 0.001)  # after what begins at the very end

    def _place(self, placement: Placement, now_s: float) -> None:
        if placement.tick is not None:
            floor_tick, skip = placement.tick - 1, True
        else:
            floor_tick, skip = math.floor(self.clock.tick_at(now_s + self.commit_s)), False
            self._make_final(self.player.commit(floor_tick), now_s)
        self.player.move({}, floor_tick, bar_tick=placement.bar_tick, skip=skip)
        self._write([], now_s)

    @property
    def _lowest_tick(self) -> int:
        """The first at which a note that is not final may fall."""
        return max(self.player.final.state.tick, self.player.settings.floor_tick) + 1

    def _play_steps(self, now_s: float) -> None:
        """Each pulse plays the next note: its time is told to the model as the time that passed."""
        while self._steps:
            t_s = self._steps.popleft()
            if not self.clock.running:
                continue
            final_tick, bar_ticks = self.player.final.state.tick, self.player.settings.meter.bar_ticks
            tick = max(round(self.clock.tick_at(t_s)), self._lowest_tick)
            too_long = tick - final_tick - LONGEST_SHIFT
            if too_long > 0:  # whole bars of silence that nobody will remember
                unheard = -(-too_long // bar_ticks) * bar_ticks
                tick -= unheard
                self.conductor.slip(unheard, now_s)
            spelled = self.player.play_onset(tick)
            self._write(spelled, now_s)
            self.scheduler.add(
                timed._replace(on_s=t_s, off_s=t_s + timed.off_s - timed.on_s)
                for timed in self._timed(spelled)
            )
            self.recent.extend(spelled)

    def _mend_ends(self, now_s: float) -> None:
        ticks_per_s = self.clock.ticks_per_s
        if abs(ticks_per_s / self._ends_ticks_per_s - 1) > ENDS_AGAIN:
            self.scheduler.retime(now_s, self._ends_ticks_per_s / ticks_per_s)
            self._ends_ticks_per_s = ticks_per_s

    def _tell_tempo(self, now_s: float) -> None:
        """A followed tempo is the control's, so that everybody sees it and whoever leads next goes on with it."""
        source, tempo = self.conductor.following, self._value("tempo")
        if source is None or not self.conductor.settled or now_s - self._tempo_told_s < TELL_TEMPO_S:
            return
        heard = self.table["tempo"].clip(round(source.tempo_bpm, 2))
        if abs(heard / tempo - 1) > TEMPO_TOLD:
            self._tempo_told_s = now_s
            self.controls["tempo"] = self.asked["tempo"] = heard
            self.moved_by["tempo"] = source.name
            move, wall_s = Move("tempo", heard, source.name), now_s + self._wall_offset_s
            tick = math.floor(self.clock.tick_at(now_s))
            self._keep(partial(self.journal.write_moves, [move], tick, wall_s))

    def _choose_clock(self, now_s: float) -> None:
        name = self.table["clock"].choices[int(self._value("clock"))]
        if name == INTERNAL and self.conductor.following is not None:
            self.controls["tempo"] = self.asked["tempo"] = self.table["tempo"].clip(self.clock.tempo_bpm)
        self.conductor.choose(name, now_s)

    def _apply_moves(self, until_tick: int, now_s: float) -> None:
        moves = [self._moves.popleft() for _ in range(len(self._moves))]
        if not moves and not self._wanted_phrase:
            return
        last = {move.control: move.value for move in moves}
        changes = {name: value for name, value in last.items() if self.controls[name] != value}
        self.controls.update(changes)
        self._keep(partial(self.journal.write_moves, moves, until_tick, now_s + self._wall_offset_s))
        if "tempo" in changes:
            self.conductor.set_tempo(self._value("tempo"), now_s)
        if "clock" in changes:
            self._choose_clock(now_s)
        if "swing" in changes:
            self.clock.swing.set(self._value("swing") / 100, self.clock.straight_at(now_s + self.commit_s))
        if "mute" in changes:
            self.scheduler.mute(bool(changes["mute"]), now_s)
        if "freeze" in changes:
            self._follow(now_s)
        replanning = {name: value for name, value in changes.items() if self.table[name].replans}
        if self._played_scale is not None:
            replanning[PLAYED_SCALE], self._played_scale = float(self._played_scale), None
        if replanning or self._wanted_phrase:
            self.player.move(replanning, until_tick, self._wanted_phrase)
            self._write([], now_s)
        self._wanted_phrase = False

    def _listen(self, now_s: float) -> None:
        """What was heard becomes the past, and the plan is made again after it."""
        for chord in self.heard_keys.chords(now_s):
            if not self.clock.running:
                continue  # time stands still: there is no moment at which they could have sounded
            self._make_final(self.player.commit(self.player.final.state.tick), now_s)
            tick = round(self.clock.tick_at(chord[0].t_s))
            ticks_per_s = self.clock.ticks_per_s
            spelled = self.player.hear(
                [Note(tick, *h[:3], max(1, round(h.length_s * ticks_per_s))) for h in chord]
            )
            self._write(spelled, now_s)
            self.recent.extend(spelled)

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
                if self.conductor.following is None:
                    self.clock.move_to(tick, now_s)
                    return
                self.conductor.lose_place()
                placement = self.conductor.lead(now_s, self._lowest_tick, self.player.settings.meter)
                if placement is not None:
                    self._place(placement, now_s)

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
            self._keep(partial(self.journal.write, tuple(spelled), wall_times_s, changed))

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
        self._unwritten.append(write)
        if self.written_elsewhere:
            self.unwritten.set()
        else:
            self.write_out()

    def write_out(self) -> None:
        """Write to the journal what waits for it; what the disk refuses waits for the next time, in order."""
        with self._writing:
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
