"""What the conductor needs of a clock that others beat."""

from typing import Protocol


class Source(Protocol):
    """Ticks are the source's own count, 24 to the beat. All calls come from the planning thread.

    `numbering` changes whenever its ticks are counted anew: then the piece must be placed on them again.
    """

    @property
    def name(self) -> str:
        """As people call it."""
        ...

    @property
    def numbering(self) -> int:
        """Which count of ticks this is."""
        ...

    @property
    def unit_ticks(self) -> float:
        """One pulse."""
        ...

    def update(self, now_s: float) -> None:
        """Take in what came since the last call."""

    @property
    def alive(self) -> bool:
        """Whether it beats, or says that it does not."""
        ...

    @property
    def settled(self) -> bool:
        """Whether its tempo was heard, not guessed."""
        ...

    @property
    def armed(self) -> bool:
        """Whether its time goes on with the next pulse, which is at `next_tick`."""
        ...

    @property
    def rolling(self) -> bool:
        """Whether its time passes: not before Start, not after Stop."""
        ...

    @property
    def placed(self) -> bool:
        """Whether its tick 0 is known to be a bar line."""
        ...

    @property
    def told(self) -> bool:
        """Whether somebody sent it there: then go there at once, without a glide."""
        ...

    @property
    def begins(self) -> bool:
        """Whether its ticks are counted from a Start: the first wants a note."""
        ...

    @property
    def next_tick(self) -> float:
        """The tick of the next pulse."""
        ...

    @property
    def tempo_bpm(self) -> float:
        """Beats a minute."""
        ...

    def tick_at(self, now_s: float) -> float:
        """Its position."""
        ...

    def ticks_per_s(self, now_s: float) -> float:
        """Its speed."""
        ...

    def sentence(self, now_s: float) -> str:
        """How things stand, in words."""
        ...

    def set_tempo(self, tempo_bpm: float) -> None:
        """Ask for a tempo; what only follows ignores it."""

    def guess_tempo(self, tempo_bpm: float) -> None:
        """The tempo until now, for a source that has none of its own yet."""
