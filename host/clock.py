"""Position in ticks from the internal tempo. Time is an argument: nothing here reads a clock."""

from model.tokens import PPQN


class Clock:
    """A straight line from monotonic seconds to ticks, bent when the tempo changes, stopped when frozen.

    The position never jumps: every change bends the line at the moment it is made.
    """

    def __init__(self, tempo_bpm: float, tick: float, now_s: float) -> None:
        """Stopped at `tick`; `run` starts it."""
        self.tempo_bpm = tempo_bpm
        self.running = False
        self._tick = tick
        self._since_s = now_s

    @property
    def ticks_per_s(self) -> float:
        """Speed while running."""
        return self.tempo_bpm * PPQN / 60.0

    def tick_at(self, now_s: float) -> float:
        """The position at a time at or after the last change."""
        if not self.running:
            return self._tick
        return self._tick + (now_s - self._since_s) * self.ticks_per_s

    def time_of(self, tick: float) -> float:
        """When a tick is due at the present tempo, as if running from the last change on."""
        return self._since_s + (tick - self._tick) / self.ticks_per_s

    def set_tempo(self, tempo_bpm: float, now_s: float) -> None:
        """Go on at another tempo."""
        self._bend(now_s)
        self.tempo_bpm = tempo_bpm

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
        self._tick = tick
        self._since_s = now_s

    def _bend(self, now_s: float) -> None:
        self._tick = self.tick_at(now_s)
        self._since_s = now_s
