"""Time stamps of equal pulses -> a smooth position and tempo: jitter is averaged out, ramps are not lagged.

A Kalman filter whose state is (time of the newest pulse, period, change of the period a pulse): a tempo ramp
is within what it expects, so it is followed without a lag. Every pulse counts exactly once, whatever its
time: no beat can be doubled or missed. A single pulse that is off by more than jitter is trusted less (Huber's
rule). Pure: times are arguments.
"""

MIDI_CLOCK_PPQN = 24
JITTER_S = 0.0015  # expected of one pulse, one standard deviation
AGILITY = 0.04  # how fast the tempo may bend: change of the period's change a pulse is AGILITY x period^2
SLOWEST_BPM, FASTEST_BPM = (
    10.0,
    600.0,
)  # twice what the tempo control can do: what is not music is not followed
TRUSTED = 2.5  # standard deviations; one pulse further off counts as so far: a machine that stood still made it late
STRAY = 5.0  # standard deviations; two such pulses in a row on one side mean another tempo, not jitter
STRAY_S = 0.004
BENDING_PULSES = 4.0  # past the newest pulse a ramp is believed this far, then the tempo stands


class PulseFollower:
    """Feed every pulse; ask for the position in pulses, as a real number, at any time near the newest one."""

    def __init__(self, pulses_per_beat: int, tempo_bpm: float) -> None:
        """`tempo_bpm` is believed until two pulses have told another."""
        self.pulses_per_beat = pulses_per_beat
        self.count = 0  # number of the newest pulse
        self.heard = 0  # pulses since the tempo was last uncertain
        self._next_count = 0
        self._shortest_s = 60.0 / (FASTEST_BPM * pulses_per_beat)
        self._longest_s = 60.0 / (SLOWEST_BPM * pulses_per_beat)
        self.set_tempo(tempo_bpm)
        self.time_s = 0.0  # of the newest pulse, smoothed
        self.arrived_s = float("-inf")  # of the newest pulse, as it came
        self._stray = 0
        self._far = 0  # on which side the last pulse was further off than is trusted

    def set_tempo(self, tempo_bpm: float) -> None:
        """Believe a tempo until pulses tell another."""
        self._period = self._bounded(60.0 / (tempo_bpm * self.pulses_per_beat))
        self._change = 0.0
        self._anchored = False
        self.heard = 0
        self._doubt()

    def expect(self, count: int) -> None:
        """The next pulse has this number, and is right on time, whatever came before it. The tempo stays."""
        self._next_count = count
        self._anchored = False

    @property
    def period_s(self) -> float:
        """Seconds a pulse."""
        return self._period

    @property
    def tempo_bpm(self) -> float:
        """Beats a minute."""
        return 60.0 / (self._period * self.pulses_per_beat)

    @property
    def settled(self) -> bool:
        """Whether pulses have told the tempo."""
        return self.heard >= min(3, 1 + self.pulses_per_beat)

    def pulse(self, t_s: float) -> None:
        """One pulse, at a time not before the last one's."""
        self.count = self._next_count
        self._next_count += 1
        self.heard += 1
        before_s, self.arrived_s = self.arrived_s, t_s
        if not self._anchored:
            self._anchor(t_s)
            return
        self._predict()
        expected_s = JITTER_S * JITTER_S + self._p00
        deviation_s = expected_s**0.5
        off_s = t_s - self.time_s
        side = 1 if off_s > 0 else -1
        if abs(off_s) > STRAY * deviation_s + STRAY_S:
            self._stray = self._stray + side if self._stray * side > 0 else side
            if abs(self._stray) >= 2:
                self._period = self._bounded(t_s - before_s)
                self._change = 0.0
                self._doubt()
                self._anchor(t_s)
                return
        else:
            self._stray = 0
        trusted_s = (STRAY if self._far == side else TRUSTED) * deviation_s
        self._far = side if abs(off_s) > TRUSTED * deviation_s else 0
        self._correct(side * min(abs(off_s), trusted_s), expected_s)

    def pulses_at(self, now_s: float) -> float:
        """The position at a time, in pulses; the newest pulse's own time gives (about) its number."""
        elapsed_s = now_s - self.time_s
        pulses = elapsed_s / self._period
        for _ in range(3):
            bend = min(max(pulses, -BENDING_PULSES), BENDING_PULSES)
            period = self._bounded(self._period + self._change * bend / 2)
            pulses = elapsed_s / period
        return self.count + pulses

    def pulses_per_s(self, now_s: float) -> float:
        """The speed at a time."""
        pulses = (now_s - self.time_s) / self._period
        bend = min(max(pulses, -BENDING_PULSES), BENDING_PULSES)
        return 1.0 / self._bounded(self._period + self._change * bend)

    def _anchor(self, t_s: float) -> None:
        """Take a pulse's time as it is: nothing is known about the phase."""
        self._anchored = True
        self._stray = self._far = 0
        self.time_s = t_s
        self._p00, self._p01, self._p02 = JITTER_S * JITTER_S, 0.0, 0.0

    def _doubt(self) -> None:
        """The tempo may be another one altogether."""
        self._p00, self._p01, self._p02 = JITTER_S * JITTER_S, 0.0, 0.0
        self._p11, self._p12 = (0.5 * self._period) ** 2, 0.0
        self._p22 = (0.02 * self._period) ** 2

    def _predict(self) -> None:
        """One pulse on: x = F x, P = F P F' + G G' w^2, with F = [[1 1 1/2] [0 1 1] [0 0 1]]."""
        self.time_s += self._period + self._change / 2
        self._period = self._bounded(self._period + self._change)
        p00, p01, p02, p11, p12, p22 = self._p00, self._p01, self._p02, self._p11, self._p12, self._p22
        noise = (AGILITY * self._period * self._period) ** 2
        self._p00 = p00 + 2 * p01 + p02 + p11 + p12 + p22 / 4 + noise / 36
        self._p01 = p01 + p02 + p11 + 1.5 * p12 + p22 / 2 + noise / 12
        self._p02 = p02 + p12 + p22 / 2 + noise / 6
        self._p11 = p11 + 2 * p12 + p22 + noise / 4
        self._p12 = p12 + p22 + noise / 2
        self._p22 = p22 + noise

    def _correct(self, off_s: float, expected_s: float) -> None:
        k0, k1, k2 = self._p00 / expected_s, self._p01 / expected_s, self._p02 / expected_s
        self.time_s += k0 * off_s
        self._period = self._bounded(self._period + k1 * off_s)
        self._change += k2 * off_s
        p00, p01, p02 = self._p00, self._p01, self._p02
        self._p11 -= k1 * p01
        self._p12 -= k1 * p02
        self._p22 -= k2 * p02
        self._p00, self._p01, self._p02 = p00 - k0 * p00, p01 - k0 * p01, p02 - k0 * p02

    def _bounded(self, period_s: float) -> float:
        return min(max(period_s, self._shortest_s), self._longest_s)
