"""Notes to a board's control voltages and gates: which output says what about which line of notes."""

from collections.abc import Callable, Mapping
from typing import Protocol

from host.board_events import CV_HIGHEST_VOLTS, BoardEvent, CvLevel, CvNote, GateLevel, pitch_to_volts
from host.config import Board as BoardSettings
from host.controls import Control
from host.events import ControlAt, NoteOn, Notice, OutputEvent
from host.outputs.base import Output
from host.outputs.cv_roles import CHANNELS, Role, parse_roles
from host.outputs.lanes import Lanes, LastNoteLanes, family_lanes, register_lanes
from model.errors import NoonsongError
from model.tokens import VOICE_NAMES

LEAD_S = 0.01  # within the time that notes are final; the line and Linux take a millisecond or two of it
# A voltage on another channel than its gate is written so much before it, and has settled.
CV_AHEAD_S = 0.001
GAP_S = 0.002  # a gate on a voltage output is low so long between two notes
FULL_VOLTS = 4.0  # velocity 127, a control at its top, a gate on a voltage output
_GATE_LIKE = ("gate", "trigger", "clock", "reset")


class CvBoard(Protocol):
    """What is needed of host.board.Board."""

    @property
    def sessions(self) -> int:
        """How often a board was connected."""
        ...

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        """Play an event at a monotonic time."""

    def release_all(self) -> None:
        """Every gate low, everything planned forgotten."""


def folded_volts(pitch: int, zero_pitch: int) -> float:
    """One volt an octave, 0 V at `zero_pitch`; notes outside 0 to 4.095 V are folded in by octaves, to the
    nearest one inside.
    """
    highest = int(CV_HIGHEST_VOLTS * 12)
    semitones = pitch - zero_pitch
    if semitones < 0:
        semitones %= 12
    elif semitones > highest:
        semitones -= -(-(semitones - highest) // 12) * 12
    return pitch_to_volts(semitones, 0)


class CvOutput(Output):
    """A board's outputs. Events go out early, with their due time: the board's own timer fires them."""

    hears = (NoteOn, ControlAt)
    lead_s = LEAD_S

    def __init__(
        self,
        board: CvBoard,
        settings: BoardSettings,
        table: Mapping[str, Control],
        now_s: Callable[[], float],
    ) -> None:
        """Raises NoonsongError naming a role that cannot be."""
        super().__init__("CV/gate")
        self._board = board
        self._now_s = now_s
        self._zero_pitch = settings.zero_pitch
        self._trigger_s = settings.trigger_ms / 1000
        self._slew_ms = [*settings.slew_ms, *[0] * CHANNELS][:CHANNELS]
        self._voices = {VOICE_NAMES.index(name) for name in settings.cv_voices}
        self._cv = parse_roles(settings.cv, "cv")
        self._gates = parse_roles(settings.gates, "gate")
        for role in self._cv:
            if role.control and role.control not in ("source", *table):
                raise NoonsongError(
                    f'no control "{role.control}" in board.cv: the controls are {", ".join(table)}'
                )
        self._lanes = _lanes(settings, [*self._cv, *self._gates])
        self._volts: dict[int, float] = {}  # of outputs that show a control
        self._sessions = board.sessions

    def watch(self) -> None:
        """A board that was away has forgotten where controls stand."""
        if self._board.sessions != self._sessions:
            self._sessions = self._board.sessions
            for channel, volts in list(self._volts.items()):
                self._guard(self._board.schedule, CvLevel(channel, volts), self._now_s())

    def _send(self, event: OutputEvent, due_s: float) -> None:
        if isinstance(event, NoteOn):
            for channel, role in enumerate(self._gates):
                if role.voice == event.voice and role.pitch in (None, event.pitch):
                    self._board.schedule(GateLevel(channel, True, self._trigger_s), due_s)
            if event.voice in self._voices:
                lane = self._lanes.start(event)
                if lane is not None:
                    self._begin(lane, event, due_s)
        elif event.voice in self._voices:
            self._end(self._lanes.end(event), due_s)

    def _begin(self, lane: int, event: NoteOn, due_s: float) -> None:
        """Voltages, then gates; together in one message where they share a channel."""
        joined = set()
        for channel, (cv, gate) in enumerate(zip(self._cv, self._gates, strict=True)):
            if cv.lane != lane:
                continue
            slew_ms = self._slew_ms[channel]
            if cv.kind in ("pitch", "velocity"):
                volts = (
                    folded_volts(event.pitch, self._zero_pitch)
                    if cv.kind == "pitch"
                    else event.velocity / 127 * FULL_VOLTS
                )
                if gate.lane == lane:
                    joined.add(channel)
                    self._board.schedule(CvNote(channel, volts, self._length_s(gate), slew_ms), due_s)
                else:
                    self._board.schedule(CvLevel(channel, volts, slew_ms), due_s - CV_AHEAD_S)
            else:
                self._board.schedule(CvLevel(channel, 0.0), due_s - GAP_S)
                self._board.schedule(CvLevel(channel, FULL_VOLTS, slew_ms), due_s)
                if cv.kind == "trigger":
                    self._board.schedule(CvLevel(channel, 0.0), due_s + self._trigger_s)
        for channel, gate in enumerate(self._gates):
            if gate.lane == lane and channel not in joined:
                self._board.schedule(GateLevel(channel, True, self._length_s(gate)), due_s)

    def _end(self, lane: int | None, due_s: float) -> None:
        for channel, (cv, gate) in enumerate(zip(self._cv, self._gates, strict=True)):
            if lane is not None and cv == Role("gate", lane):
                self._board.schedule(CvLevel(channel, 0.0, self._slew_ms[channel]), due_s)
            if lane is not None and gate == Role("gate", lane):
                self._board.schedule(GateLevel(channel, False), due_s)

    def _length_s(self, gate: Role) -> float | None:
        return self._trigger_s if gate.kind == "trigger" else None

    def _notice(self, event: Notice, due_s: float) -> None:
        if not isinstance(event, ControlAt):
            return
        for channel, role in enumerate(self._cv):
            if role.control == event.control:
                self._volts[channel] = event.position * FULL_VOLTS
                self._board.schedule(CvLevel(channel, self._volts[channel], self._slew_ms[channel]), due_s)

    def _panic(self) -> None:
        self._lanes.clear()
        self._board.release_all()
        self._lower_all()

    def _close(self) -> None:
        self._lower_all()

    def _lower_all(self) -> None:
        """The board lets go of gates by itself, but not of voltages that serve as such."""
        for channel, role in enumerate(self._cv):
            if role.kind in _GATE_LIKE:
                self._board.schedule(CvLevel(channel, 0.0), self._now_s())


def _lanes(settings: BoardSettings, roles: list[Role]) -> Lanes:
    if settings.allot == "family":
        return family_lanes([[VOICE_NAMES.index(name) for name in lane] for lane in settings.families])
    if settings.allot == "register":
        return register_lanes(settings.registers)
    return LastNoteLanes(1 + max((role.lane for role in roles if role.lane is not None), default=0))
