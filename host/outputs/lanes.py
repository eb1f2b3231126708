"""Which of up to four lines a note joins, so that each stays on its synthesizer. Pure.

Every lane sounds one note at a time, and the newest wins: of a chord in one lane that is the highest, since
chords come from the bottom up. A note that was taken over is not taken up again.
"""

from collections.abc import Callable, Sequence

from host.events import NoteOff, NoteOn


class Lanes:
    """Notes that hold lanes; a subclass decides which lane a note may have."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self._holding: dict[int, NoteOff] = {}  # lane -> what ends its note, the oldest first

    def start(self, event: NoteOn) -> int | None:
        """The lane of a new note; None for a note that has none."""
        lane = self._choose(event)
        if lane is not None:
            self._holding.pop(lane, None)
            self._holding[lane] = NoteOff(event.voice, event.pitch)
        return lane

    def end(self, event: NoteOff) -> int | None:
        """The lane that this ends; None when its note was taken over, or had none."""
        for lane, held in self._holding.items():
            if held == event:
                del self._holding[lane]
                return lane
        return None

    def clear(self) -> None:
        """Nothing is held any more."""
        self._holding.clear()

    def _choose(self, event: NoteOn) -> int | None:
        raise NotImplementedError


class LastNoteLanes(Lanes):
    """A note takes the free lane whose last pitch was nearest; when none is free, the one that began first."""

    def __init__(self, lanes: int) -> None:
        super().__init__(lanes)
        self._last_pitch: list[int | None] = [None] * lanes

    def _choose(self, event: NoteOn) -> int | None:
        free = [lane for lane in range(self.lanes) if lane not in self._holding]
        lane = min(free, key=lambda n: self._distance(n, event.pitch)) if free else next(iter(self._holding))
        self._last_pitch[lane] = event.pitch
        return lane

    def _distance(self, lane: int, pitch: int) -> tuple[int, int]:
        last = self._last_pitch[lane]
        return (128 if last is None else abs(last - pitch), lane)


class FixedLanes(Lanes):
    """The note itself says which lane it belongs to: by its family, or by how high it is."""

    def __init__(self, lanes: int, lane_of: Callable[[NoteOn], int | None]) -> None:
        super().__init__(lanes)
        self._lane_of = lane_of

    def _choose(self, event: NoteOn) -> int | None:
        return self._lane_of(event)


def family_lanes(families: Sequence[Sequence[int]]) -> Lanes:
    """`families`: the voices of each lane; others have none."""
    lane_of = {voice: lane for lane, voices in enumerate(families) for voice in voices}
    return FixedLanes(len(families), lambda event: lane_of.get(event.voice))


def register_lanes(borders: Sequence[int]) -> Lanes:
    """`borders`: the lowest pitch of each lane but the first."""
    return FixedLanes(len(borders) + 1, lambda event: sum(event.pitch >= border for border in borders))
