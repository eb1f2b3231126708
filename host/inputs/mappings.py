"""All assignments: whatever moves, moves its controls. Any thread may call `turned`."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from host.config import Config, Mapped
from host.controls import Control
from host.inputs.learning import Learner
from host.inputs.mapping import Assignment
from host.inputs.preset_knob import PresetKnob
from host.inputs.sources import Source
from host.midi_ports import bare_name
from model.errors import NoonsongError

MoveControl = Callable[[str, float | None, str], None]


class Recalled(Protocol):
    """What is needed of host.presets.Presets."""

    @property
    def recalled(self) -> int | None:
        """The slot that was gone to last."""
        ...

    def saved(self) -> Sequence[int]:
        """The slots that hold something, in order."""
        ...

    def recall(self, slot: int) -> None:
        """Go to what a slot holds. Raises NoonsongError when it is empty."""


class Position(NamedTuple):
    """Where a source stands, 0 to 1; `port` is the MIDI port's name."""

    source: Source
    port: str
    position: float


def settings_of(config: Config) -> list[Mapped]:
    """Every assignment of a configuration; an [[inputs.map]] of a knob replaces what [board] says of it."""
    board = config.board
    short = [Mapped(name, f"knob {number}") for number, name in enumerate(board.knobs, 1) if name]
    short += [Mapped(name, f"cv {number}") for number, name in enumerate(board.cv_inputs, 1) if name]
    taken = {mapped.by for mapped in config.inputs.map}
    return [*(mapped for mapped in short if mapped.by not in taken), *config.inputs.map]


class Mappings:
    """What moves what. Until connected, the last position of each source is kept."""

    def __init__(self, wanted: Sequence[Mapped], table: Mapping[str, Control]) -> None:
        """Raises NoonsongError naming the assignment that cannot be."""
        self._table = table
        self._lock = threading.Lock()
        self._assignments = [
            Assignment(settings, table)
            for settings in wanted
            if not (settings.control == "source" and "source" not in table)  # weights of one source only
        ]
        self._move: MoveControl | None = None
        self._values: Mapping[str, float | None] = {}
        self._actions: Mapping[str, Callable[[], None]] = {}
        self._presets: Recalled | None = None
        self._waiting: dict[Source, Position] = {}
        self._learner: Learner | None = None

    def connect(
        self,
        move: MoveControl,
        values: Mapping[str, float | None],
        actions: Mapping[str, Callable[[], None]],
        presets: Recalled | None = None,
    ) -> None:
        """From now on move the controls, whose values stand in `values`; first to where the sources stand."""
        with self._lock:
            self._move, self._values, self._actions, self._presets = move, values, actions, presets
            waiting, self._waiting = self._waiting, {}
        for where in waiting.values():
            self.turned(*where)

    def turned(self, source: Source, port: str, position: float) -> bool:
        """Something moved; returns whether it is assigned to anything."""
        with self._lock:
            if self._learner is not None:
                if not self._learner.heard(source, port, position):
                    return True  # what moves meanwhile moves nothing else
                learner, self._learner = self._learner, None
                self._take(learner.mapped)
                learner.done(learner.mapped)
                return True
            if self._move is None:
                self._waiting[source] = Position(source, port, position)
                return True
            mine = [a for a in self._assignments if a.covers(source, port)]
            for assignment in mine:
                self._turn(assignment, position, _who(source, port))
            return bool(mine)

    def learn(self, control: str, done: Callable[[Mapped], None]) -> None:
        """Assign the next thing that moves; `done` is told on the thread it came by.

        Raises NoonsongError when there is no such control.
        """
        with self._lock:
            self._learner = Learner(Assignment(Mapped(control, "knob 1"), self._table).control, done)

    def cancel_learning(self) -> None:
        """Learn nothing."""
        with self._lock:
            self._learner = None

    def rows(self) -> list[Mapped]:
        """Every assignment there is now."""
        with self._lock:
            return [assignment.settings for assignment in self._assignments]

    def replace(self, wanted: Sequence[Mapped]) -> None:
        """Other assignments from now on. Raises NoonsongError, and changes nothing, when one cannot be."""
        new = [Assignment(settings, self._table) for settings in wanted]
        with self._lock:
            self._assignments = new

    def _turn(self, assignment: Assignment, position: float, who: str) -> None:
        assert self._move is not None
        name = assignment.control.name
        if assignment.preset is not None:
            if self._presets is not None:
                self._recall(assignment.preset, position, self._presets)
            return
        if assignment.is_action:
            if assignment.pressed(position):
                self._actions[name]()
            return
        new = assignment.turned(position, self._values[name])
        if new is not None and new[0] != self._values[name]:
            self._move(name, new[0], who)

    def _recall(self, knob: PresetKnob, position: float, presets: Recalled) -> None:
        slot = knob.turned(position, presets.saved(), presets.recalled)
        if slot is not None:
            with contextlib.suppress(NoonsongError):  # deleted this very moment
                presets.recall(slot)

    def _take(self, mapped: Mapped) -> None:
        kept = [a for a in self._assignments if not _same_source(a.settings, mapped)]
        self._assignments = [*kept, Assignment(mapped, self._table)]


def with_learnt(settings: Sequence[Mapped], mapped: Mapped) -> list[Mapped]:
    """Assignments after one more was learnt: its source moves nothing else."""
    return [*(s for s in settings if not _same_source(s, mapped)), mapped]


def _same_source(a: Mapped, b: Mapped) -> bool:
    return (a.by, bare_name(a.port)) == (b.by, bare_name(b.port))


def _who(source: Source, port: str) -> str:
    """As the journal names it."""
    if source.kind in ("knob", "cv"):
        return "board"
    return f"{source.text} {port}".strip()


def describe(mapped: Mapped) -> str:
    """An assignment in words, for lists."""
    plain = msgspec.structs.asdict(Mapped(mapped.control, mapped.by))
    said = {key: value for key, value in msgspec.structs.asdict(mapped).items() if value != plain[key]}
    extras = ", ".join(f"{key} {_text(value)}" for key, value in said.items())
    return f"{mapped.by}{f' ({extras})' if extras else ''}"


def _text(value: object) -> str:
    return "yes" if value is True else f"{value}"
