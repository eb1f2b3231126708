"""Helpers: players and performances in simulated time."""

from collections.abc import Mapping
from pathlib import Path

from host.clock import Clock
from host.clocks.source import Source
from host.controls import Control, control_table, defaults
from host.events import NoteOff, NoteOn, OutputEvent, Spelled
from host.journal import Identity
from host.outputs.base import Output
from host.performance import Performance
from host.piece import Piece
from host.player import Player
from host.scheduler import Scheduler
from host.settings import first_settings
from quantize.engine import Engine

TABLE: dict[str, Control] = control_table(["one", "two"])
IDENTITY = Identity("weights", "words")


class Heard(Output):
    """Keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__("test")
        self.events: list[tuple[float, OutputEvent]] = []

    def _send(self, event: OutputEvent, due_s: float) -> None:
        self.events.append((due_s, event))

    def ons(self) -> list[tuple[int, int]]:
        return [(e.voice, e.pitch) for _, e in self.events if isinstance(e, NoteOn)]

    def hanging(self) -> set[tuple[int, int]]:
        held: set[tuple[int, int]] = set()
        for _, event in self.events:
            if isinstance(event, NoteOff):
                held.discard((event.voice, event.pitch))
            else:
                held.add((event.voice, event.pitch))
        return held


def controls(**values: float | None) -> dict[str, float | None]:
    return {**defaults(TABLE), "tempo": 120.0, **values}


def new_player(weights: Path, seed: int = 5, **values: float | None) -> Player:
    return Player(Engine.load(weights), seed, first_settings(controls(**values)))


def planned(player: Player, count: int) -> list[Spelled]:
    """The first `count` notes (and beginnings) of a player."""
    out: list[Spelled] = []
    while len(out) < count:
        if player.full or len(player.planned) + len(out) >= count:
            out += player.commit(player.planned[-1][0].tick)
        player.plan_note()
    return out[:count]


class Stage:
    """A performance on a simulated clock."""

    def __init__(
        self,
        weights: Path,
        folder: Path,
        seed: int = 5,
        sources: Mapping[str, Source] | None = None,
        carry_on: bool = True,
        **values: float | None,
    ) -> None:
        self.engine = Engine.load(weights)
        self.now_s = 100.0
        self.heard = Heard()
        self.said: list[str] = []
        memory = self.engine.shape.layers * self.engine.shape.window
        self.piece = Piece(folder / "journal.sqlite", IDENTITY, memory, 1e9, self.said.append, seed)
        self.scheduler = Scheduler([self.heard], self.piece.playhead.set)
        player = Player(self.engine, self.piece.journal.seed, first_settings(controls(**values)))
        self.performance = Performance(
            player,
            Clock(120.0, 0.0, self.now_s),
            self.scheduler,
            self.piece.journal,
            TABLE,
            0.015,
            sources,
            carry_on,
        )
        self.performance.start(self.now_s, 1e9, self.piece.past, self.piece.playhead.position)

    def run(self, seconds: float) -> None:
        """Let time pass in steps of a millisecond, as the threads would."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            wanted_s = self.performance.step(self.now_s)
            while wanted_s <= self.now_s:
                wanted_s = self.performance.step(self.now_s)
            self.scheduler.run_due(self.now_s)
            self.now_s += 0.001

    def kill(self) -> None:
        """What a dead process leaves: files closed, nothing said."""
        self.piece.journal.close()
        self.piece.playhead.close()
