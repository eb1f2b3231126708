"""The threads that make a performance real: one plans, one sends, one writes, one keeps house."""

import datetime
import gc
import math
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence

from host.config import Day
from host.day import next_wake, resting
from host.events import ControlAt, Move
from host.outputs.base import Output
from host.performance import Performance
from host.piece import Piece
from host.priority import lock_memory, ordinary, real_time, real_time_for_all, refusal
from host.scheduler import Scheduler

SPIN_S = 0.0004
PREPARE_S = 0.0015  # so long before its time a chord is spelled, and what ends with it ended
SYNC_S = 0.5
RETRY_S = 0.5  # after the disk refused something
WATCH_PORTS_S = 1.5
PRIORITY = 20  # of the main thread; housekeeping, writing, planning and sending are one above the other


class Instrument:
    """A performance that runs. `now_s` is monotonic seconds."""

    def __init__(
        self,
        performance: Performance,
        scheduler: Scheduler,
        piece: Piece,
        outputs: Sequence[Output],
        day: Day,
        say: Callable[[str], None],
        now_s: Callable[[], float] = time.monotonic,
        spin_s: float = SPIN_S,
    ) -> None:
        """The performance has been started. `spin_s`: so long before a deadline the sender stays awake, for
        sleeping ends late.
        """
        self.performance = performance
        self.scheduler = scheduler
        self.piece = piece
        self.outputs = list(outputs)
        self.watches: list[Callable[[], None]] = []  # further devices to look after, off the audio path
        self.now_s = now_s
        self.failure: BaseException | None = None
        self.real_time = False
        self.resting_until: datetime.datetime | None = None
        self.resting = False
        self.waiting = False  # while the past is played
        self.panics = 0  # for those who look on, and sound themselves
        self._resting_by_day = False
        self._resting_by_hand: bool | None = None  # until the day's next wake or rest
        self._spin_s = spin_s
        self._day = day
        self._say = say
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(run, level), name=run.__name__, daemon=True)
            for level, run in enumerate(
                (self._keep_house, self._write, self._plan, self._send), start=PRIORITY + 1
            )
        ]

    def run(self) -> None:
        """Play, in threads of its own."""
        # A thread that holds the interpreter may keep the scheduler waiting this long, no longer.
        sys.setswitchinterval(0.0005)
        self.real_time = real_time_for_all(PRIORITY)
        refused = refusal(self.real_time, lock_memory())
        if refused:
            self._say(refused)
        gc.collect()
        gc.freeze()  # what start-up made stays: collections while playing have little to look at
        self.performance.written_elsewhere = True
        self._rest_or_play()
        for control in self.performance.table:
            self._tell_position(control)
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it was stopped, or that long; returns whether it was stopped."""
        return self._stop.wait(seconds)

    def stop(self) -> None:
        """Ask it to stop; from anywhere."""
        self._stop.set()
        self.performance.wakeup.set()
        self.performance.unwritten.set()
        with self.scheduler.wakeup:
            self.scheduler.wakeup.notify_all()

    def close(self, how: str) -> None:
        """Stop, end every note, write everything. Raises what a thread died of, after that."""
        self.stop()
        if self.real_time:
            ordinary()
        for thread in self._threads:
            thread.join(timeout=5.0)
        self.scheduler.close(self.now_s())
        self.performance.write_out()
        self.piece.close(how)
        if self.failure is not None:
            raise self.failure

    def panic(self) -> None:
        """Silence everything that sounds, whatever was believed to."""
        self.panics += 1
        self.scheduler.panic(self.now_s())

    def rest(self, resting_now: bool) -> None:
        """Rest or wake by hand: from any thread, until the day's next wake or rest."""
        self._resting_by_hand = resting_now
        self._rest_or_play()

    def mark(self, kind: str, who: str) -> None:
        """Keep in the journal that what sounds now is "loved" or "disliked"."""
        performance = self.performance
        performance.mark(kind, max(0, math.floor(performance.clock.tick_at(self.now_s()))), who)

    def wait_for_past(self, waiting: bool) -> None:
        """Let time stand while the past is played, or go on: from any thread."""
        self.waiting = waiting
        self.performance.rest(self.resting or waiting)

    def move(self, control: str, value: float | None, who: str) -> None:
        """Move a control. Raises NoonsongError on an unknown control or value."""
        self.performance.move(Move(control, value, who))
        self._tell_position(control)

    def _tell_position(self, control: str) -> None:
        row = self.performance.table[control]
        position = row.position_of(self.performance.asked[control])
        self.scheduler.post(ControlAt(control, position), self.now_s())

    def _guarded(self, run: Callable[[], None], priority: int) -> None:
        if self.real_time:
            real_time(priority)
        try:
            run()
        except BaseException as error:
            self.failure = self.failure or error
            self.stop()

    def _plan(self) -> None:
        performance = self.performance
        while not self._stop.is_set():
            performance.wakeup.clear()
            now_s = self.now_s()
            wanted_s = performance.step(now_s)
            if wanted_s > now_s:
                performance.wakeup.wait(max(0.0, wanted_s - self.now_s()))

    def _send(self) -> None:
        scheduler, prepared_s = self.scheduler, -1.0
        while not self._stop.is_set():
            with scheduler.wakeup:
                deadline_s = scheduler.next_deadline_s()
                ahead_s = self._spin_s if deadline_s == prepared_s else max(self._spin_s, PREPARE_S)
                rest_s = 1.0 if deadline_s is None else deadline_s - self.now_s() - ahead_s
                if deadline_s is None or rest_s > 0:
                    scheduler.wakeup.wait(rest_s)
                    continue
            if deadline_s != prepared_s:
                scheduler.prepare(deadline_s)
                prepared_s = deadline_s
                continue
            while self.now_s() < deadline_s:
                pass
            scheduler.run_due(self.now_s())

    def _write(self) -> None:
        """Apart from planning: SQLite syncs the head of a log that it begins anew, and a file system may make wait
        whoever writes; where the disk is busy, that took a third of a second.
        """
        performance = self.performance
        while not self._stop.is_set():
            performance.unwritten.wait(RETRY_S)
            performance.unwritten.clear()
            performance.write_out()

    def _keep_house(self) -> None:
        next_watch_s = 0.0
        while not self._stop.wait(SYNC_S):
            self._rest_or_play()
            try:
                self.piece.sync()
            except (OSError, sqlite3.Error) as error:
                self.performance.journal_fault = f"the journal cannot reach the disk: {error}"
            if self.now_s() >= next_watch_s:
                next_watch_s = self.now_s() + WATCH_PORTS_S
                for output in self.outputs:
                    self._watch(output)
                for watch in self.watches:
                    watch()

    def _rest_or_play(self) -> None:
        local = datetime.datetime.now()
        by_day = resting(self._day, local)
        if by_day != self._resting_by_day:
            self._resting_by_day, self._resting_by_hand = by_day, None
        self.resting = by_day if self._resting_by_hand is None else self._resting_by_hand
        self.resting_until = next_wake(self._day, local) if self.resting and by_day else None
        self.performance.rest(self.resting or self.waiting)

    def _watch(self, output: Output) -> None:
        before = output.state
        try:
            output.watch()
        except (OSError, RuntimeError) as error:  # what rtmidi raises; the music goes on without the port
            output.faults += 1
            output.last_fault = f"{output.name}: {error}"
        if output.state != before:
            self._say(output.state)
