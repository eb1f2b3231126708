"""A train of pulses as a clock: MIDI clock with its Start, Stop, Continue and Song Position, or a gate.

`pulse`, `start` and the like are called from any thread, with the time at which the thing happened; the
planning thread takes them in with `update`, in their order. Reads no clock.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

from host.clocks.follower import PulseFollower
from model.tokens import PPQN

Kind = Literal["pulse", "start", "stop", "continue", "position"]

TICKS_PER_SONG_POSITION = PPQN // 4  # the MIDI beat: a sixteenth
QUICKEST_LOSS_S = 0.1
MAX_WAITING = 4096


class PulseClock:
    """One source. `holds`: its time stands as soon as pulses cease (a gate); otherwise it is lost then."""

    def __init__(
        self, name: str, pulses_per_beat: int, tempo_bpm: float, offset_s: float = 0.0, holds: bool = False
    ) -> None:
        """`offset_s`: we play so much later than its pulses (negative: earlier)."""
        self.name = name
        self.offset_s = offset_s
        self.unit_ticks = PPQN / pulses_per_beat
        self.numbering = 0
        self.missed = 0  # events that found the queue full
        self.wake: Callable[[], None] = lambda: None  # called when `update` is wanted at once, by who told
        self._follower = PulseFollower(pulses_per_beat, tempo_bpm)
        self._holds = holds
        self._events: deque[tuple[float, Kind, int]] = deque()
        self._next_count = 0
        self._waiting = True  # the next pulse sets time going
        self._stopped = False
        self._armed = False  # Start, Continue or a position came, and no pulse since
        self._placed = False
        self._begins = False
        self._alive = False

    # --- from any thread

    def pulse(self, t_s: float) -> None:
        """A pulse came."""
        self._queue(t_s, "pulse")

    def start(self, t_s: float) -> None:
        """The next pulse is the first of a bar."""
        self._queue(t_s, "start")

    def stop(self, t_s: float) -> None:
        """Time stands."""
        self._queue(t_s, "stop")

    def go_on(self, t_s: float) -> None:
        """Time goes on with the next pulse (MIDI's Continue)."""
        self._queue(t_s, "continue")

    def position(self, t_s: float, sixteenths: int) -> None:
        """The next pulse after Start or Continue lies so many sixteenths after a bar line."""
        self._queue(t_s, "position", sixteenths)

    def _queue(self, t_s: float, kind: Kind, value: int = 0) -> None:
        if len(self._events) < MAX_WAITING:
            self._events.append((t_s, kind, value))
            if kind != "pulse" or not self.rolling:
                self.wake()
        else:
            self.missed += 1

    # --- from the planning thread

    @property
    def settled(self) -> bool:
        """Whether the tempo was heard, not guessed."""
        return self._follower.settled

    @property
    def alive(self) -> bool:
        """Whether it beats, or says that it does not: what holds or was stopped is not lost."""
        return self._alive or self._holds or self._stopped or self._armed

    @property
    def rolling(self) -> bool:
        """Whether time passes."""
        return self._alive and not self._waiting and not self._stopped

    @property
    def armed(self) -> bool:
        """Whether time goes on with the next pulse."""
        return self._armed

    @property
    def placed(self) -> bool:
        """Whether its tick 0 is known to be a bar line."""
        return self._placed

    @property
    def told(self) -> bool:
        """Whether Start or a position sent it there."""
        return self._placed

    @property
    def begins(self) -> bool:
        """Whether its ticks are counted from a Start."""
        return self._begins

    @property
    def next_tick(self) -> float:
        """The tick of the next pulse."""
        return self._next_count * self.unit_ticks

    @property
    def tempo_bpm(self) -> float:
        """Smoothed."""
        return self._follower.tempo_bpm

    def tick_at(self, now_s: float) -> float:
        """The position, with the offset; what holds never runs past the next pulse by more than a little."""
        pulses = self._follower.pulses_at(now_s - self.offset_s)
        if self._holds:
            pulses = min(pulses, self._follower.count + 1 + min(0.5, 2 / self.unit_ticks))
        return pulses * self.unit_ticks

    def ticks_per_s(self, now_s: float) -> float:
        """The speed."""
        return self._follower.pulses_per_s(now_s - self.offset_s) * self.unit_ticks

    def set_tempo(self, tempo_bpm: float) -> None:
        """Without effect: it is followed, not led."""

    def guess_tempo(self, tempo_bpm: float) -> None:
        """To be believed until it has been heard."""
        if self._follower.heard == 0:
            self._follower.set_tempo(tempo_bpm)

    def sentence(self, now_s: float) -> str:
        """How things stand."""
        if self._stopped:
            return f"{self.name} is stopped"
        if self._armed or self._follower.heard == 0:
            return f"waiting for the first pulse of {self.name}"
        if not self._alive:
            return f"no pulse of {self.name} any more"
        return f"following {self.name}, {self.tempo_bpm:.1f} bpm"

    def update(self, now_s: float) -> None:
        """Take in what came, and notice what did not."""
        while self._events:
            t_s, kind, value = self._events.popleft()
            if kind == "pulse":
                self._pulse(t_s)
            elif kind == "start":
                self._place(value, begins=True)
            elif kind == "position":
                stopped = self._stopped  # some say where they are while they play, too
                self._place(value * TICKS_PER_SONG_POSITION, begins=value == 0)
                self._stopped = stopped
            elif kind == "continue":
                self._stopped, self._waiting, self._armed = False, True, True
            else:
                self._stopped = True
        if self._alive and now_s - self._follower.arrived_s > self._patience_s:
            self._alive = False

    @property
    def _patience_s(self) -> float:
        """How long no pulse may come: within two beats a loss is noticed, a gate holds after a pulse and a half."""
        pulse_s = self._follower.period_s
        beat_s = pulse_s * PPQN / self.unit_ticks
        return max(1.5 * pulse_s, QUICKEST_LOSS_S, 0.0 if self._holds else beat_s)

    def _place(self, tick: float, begins: bool) -> None:
        self._next_count = round(tick / self.unit_ticks)
        self._follower.expect(self._next_count)
        self._placed, self._begins = True, begins
        self._stopped, self._waiting, self._armed = False, True, True
        self.numbering += 1

    def _pulse(self, t_s: float) -> None:
        if not self._alive:
            self._alive = True
            self._follower.expect(self._next_count)  # after a gap the phase is this pulse's
            if not (self._waiting or self._stopped or self._holds):
                # A clock that was lost may have gone on unheard.
                self._placed = self._begins = False
                self.numbering += 1
        if self._stopped:
            # Clock while stopped tells the tempo, no position.
            self._follower.pulse(t_s)
            return
        if self._waiting:
            self._follower.expect(self._next_count)
            self._waiting = self._armed = False
        self._follower.pulse(t_s)
        self._next_count += 1
