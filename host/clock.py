"""Position in ticks as a line through time, bent by whoever leads it. Time is an argument: nothing here reads
a clock.
"""

from host.swing import Swing
from model.tokens import PPQN


class Clock:
    """A straight line from monotonic seconds to ticks, bent when the tempo changes, stopped when frozen.

    What is written at a tick sounds where the swing puts it; `straight` positions are the line's own.
    """

    def __init__(self, tempo_bpm: float, tick: float, now_s: float) -> None:
        """Stopped at `tick`; `run` starts it."""
        self.ticks_per_s = tempo_bpm * PPQN / 60.0
        self.running = False
        self.swing = Swing()
        self._straight = tick
        self._since_s = now_s

    @property
    def tempo_bpm(self) -> float:
        """Beats a minute, while running."""
        return self.ticks_per_s * 60.0 / PPQN

    def straight_at(self, now_s: float) -> float:
        """The line's position at a time at or after the last change."""
        if not self.running:
            return self._straight
        return self._straight + (now_s - self._since_s) * self.ticks_per_s

    def tick_at(self, now_s: float) -> float:
        """What is written at this tick sounds at that time, at or after the last change."""
        return self.swing.written(self.straight_at(now_s))

    def time_of_straight(self, straight: float) -> float:
        """When the line reaches a position at the present tempo, as if running from the last change on."""
        return self._since_s + (straight - self._straight) / self.ticks_per_s

    def time_of(self, tick: float) -> float:
        """When a tick is due at the present tempo, as if running from the last change on."""
        return self.time_of_straight(self.swing.sounding(tick))

    def set_tempo(self, tempo_bpm: float, now_s: float) -> None:
        """Go on at another tempo."""
        self._bend(now_s)
        self.ticks_per_s = tempo_bpm * PPQN / 60.0

    def aim(self, straight: float, ticks_per_s: float, now_s: float) -> None:
        """Go on from a position of the line with a speed: whoever leads says so again and again."""
        self._straight = straight
        self._since_s = now_s
        self.ticks_per_s = ticks_per_s

    def run(self, now_s: float) -> None:
        """Go on from where it stands; without effect when running."""
        if not self.running:
            self._since_s = now_s
            self.running = True

    def stop(self, now_s: float) -> None:
        """Stand still; without effect when stopped."""
        self._bend(now_s)
        self.running = False

    def move_to(self, tick: float, now_s: float) -> None:
        """Stand at, or go on from, another tick."""
        self._straight = self.swing.sounding(tick)
        self._since_s = now_s

    def _bend(self, now_s: float) -> None:
        self._straight = self.straight_at(now_s)
        self._since_s = now_s
