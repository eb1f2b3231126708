"""Ableton Link: tempo and beat shared with others on the network, through aalink (the extra "link")."""

import datetime
from typing import Protocol

from model.tokens import PPQN

QUANTUM_BEATS = 4.0  # beats whose phase is shared
FOUND_S = 1.0  # so long after joining the others are known
JUMP_BEATS = 0.03  # more than this from what was expected is another place
READINGS = 3
QUICK_S = 0.0005
DRIFT = 1e-3  # how far two clocks of one machine may run apart


class Session(Protocol):
    """What is needed of aalink.Link."""

    enabled: bool
    quantum: float
    tempo: float

    @property
    def beat(self) -> float:
        """Of the session, now."""
        ...

    @property
    def num_peers(self) -> int:
        """Others in the session."""
        ...

    @property
    def time(self) -> datetime.timedelta:
        """The session's own clock, now."""
        ...


def open_session(tempo_bpm: float) -> Session:
    """A session of the real thing, not joined yet. Raises ImportError without aalink."""
    import asyncio

    import aalink

    async def opened() -> Session:  # it wants to be made where a loop runs, and needs none to be read
        session: Session = aalink.Link(tempo_bpm)
        return session

    return asyncio.run(opened())


class LinkClock:
    """One source. The session is joined when it is chosen for the first time."""

    name = "Link"
    unit_ticks = 1.0
    alive = True
    armed = False
    placed = True
    told = False
    begins = False
    next_tick = 0.0

    def __init__(self, session: Session, offset_s: float = 0.0) -> None:
        """`offset_s`: we play so much later than the session (negative: earlier)."""
        self.numbering = 0
        self.offset_s = offset_s
        self._session = session
        self._joined_s: float | None = None
        self._now_s = 0.0
        self._beat = 0.0
        self._between_s = float("-inf")  # our clock less the session's
        self._tempo_bpm = session.tempo
        session.quantum = QUANTUM_BEATS

    @property
    def settled(self) -> bool:
        """Whether the others were found."""
        return self._joined_s is not None and self._now_s - self._joined_s > FOUND_S

    @property
    def rolling(self) -> bool:
        """A session never stands."""
        return True

    @property
    def tempo_bpm(self) -> float:
        """The session's."""
        return self._tempo_bpm

    def update(self, now_s: float) -> None:
        """Read the session."""
        if not self._session.enabled:
            return
        if self._joined_s is None:
            self._joined_s = now_s
        reading = self._read(now_s)
        if reading is None:
            return
        tempo_bpm, beat = reading
        off = beat - self._beat - (now_s - self._now_s) * self._tempo_bpm / 60
        if abs(off) > JUMP_BEATS:
            self.numbering += 1
        self._beat, self._now_s, self._tempo_bpm = beat, now_s, tempo_bpm

    def _read(self, now_s: float) -> tuple[float, float] | None:
        """Tempo and the beat at `now_s`; None when nothing could be read in one go."""
        for _ in range(READINGS):
            before_s = self._session.time.total_seconds()
            tempo_bpm, beat = self._session.tempo, self._session.beat
            link_s = self._session.time.total_seconds()
            if link_s - before_s < QUICK_S:
                # Its clock is not ours. `now_s` was read before its time was, at times long before: what lies
                # between is never less than the clocks' difference.
                between_s = now_s - before_s
                elapsed_s = max(0.0, now_s - self._now_s)
                self._between_s = max(self._between_s - DRIFT * elapsed_s, between_s)
                return tempo_bpm, beat - (link_s + self._between_s - now_s) * tempo_bpm / 60
        return None

    def tick_at(self, now_s: float) -> float:
        """The session's beat, in ticks, with the offset."""
        return (self._beat + (now_s - self._now_s - self.offset_s) * self._tempo_bpm / 60) * PPQN

    def ticks_per_s(self, now_s: float) -> float:
        """The session's speed."""
        return self._tempo_bpm * PPQN / 60

    def set_tempo(self, tempo_bpm: float) -> None:
        """Everybody's tempo."""
        self._session.tempo = tempo_bpm

    def guess_tempo(self, tempo_bpm: float) -> None:
        """Join, bringing the tempo along; the others' counts where there are any."""
        if not self._session.enabled:
            self._session.tempo = tempo_bpm
            self._session.enabled = True
        elif self._session.num_peers == 0:
            self._session.tempo = tempo_bpm

    def sentence(self, now_s: float) -> str:
        """How things stand."""
        peers = self._session.num_peers
        others = "nobody else there" if peers == 0 else f"with {peers} other{'s' if peers > 1 else ''}"
        return f"following Link, {others}, {self.tempo_bpm:.1f} bpm"

    def close(self) -> None:
        """Leave the session."""
        self._session.enabled = False
