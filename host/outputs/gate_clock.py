"""Clock and reset on gates and voltages of the board."""

from host.board_events import CvLevel, GateLevel
from host.config import Board as BoardSettings
from host.events import Notice, Pulse, Transport
from host.outputs.base import Output
from host.outputs.cv import FULL_VOLTS, LEAD_S, CvBoard
from host.outputs.cv_roles import Outlets, outlets_with_role
from model.tokens import PPQN

PULSE_S = 0.005


class GateClock(Output):
    """A pulse for each part of a beat; on the reset outputs one with the first bar line after time began."""

    hears = (Pulse, Transport)
    lead_s = LEAD_S

    def __init__(self, board: CvBoard, settings: BoardSettings, pulses_per_beat: int) -> None:
        """Raises NoonsongError naming a role that cannot be."""
        super().__init__("gate clock")
        self.offset_s = settings.offset_ms / 1000
        self._board = board
        self._clock = outlets_with_role(settings, "clock")
        self._reset = outlets_with_role(settings, "reset")
        self._every_ticks = PPQN // pulses_per_beat
        self._reset_wanted = False

    @property
    def wanted(self) -> bool:
        """Whether any output is a clock or a reset."""
        return any((*self._clock, *self._reset))

    def _notice(self, event: Notice, due_s: float) -> None:
        if isinstance(event, Transport):
            self._reset_wanted = event.kind != "stop"
        elif isinstance(event, Pulse) and event.tick_in_bar is not None:
            if self._reset_wanted and event.tick_in_bar == 0:
                self._reset_wanted = False
                self._pulse(self._reset, due_s)
            if event.tick_in_bar % self._every_ticks == 0:
                self._pulse(self._clock, due_s)

    def _pulse(self, outlets: Outlets, due_s: float) -> None:
        for channel in outlets.cvs:
            self._board.schedule(CvLevel(channel, FULL_VOLTS), due_s)
            self._board.schedule(CvLevel(channel, 0.0), due_s + PULSE_S)
        for channel in outlets.gates:
            self._board.schedule(GateLevel(channel, True, PULSE_S), due_s)
