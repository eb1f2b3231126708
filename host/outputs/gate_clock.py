"""Clock and reset on gates of the board."""

from collections.abc import Sequence

from host.board_events import GateLevel
from host.events import Notice, OutputEvent, Pulse, Transport
from host.outputs.base import Output
from host.outputs.cv import LEAD_S, CvBoard
from model.tokens import PPQN

PULSE_S = 0.005


class GateClock(Output):
    """A pulse for each part of a beat; on the reset gates one with the first bar line after time began."""

    lead_s = LEAD_S

    def __init__(
        self,
        board: CvBoard,
        clock_gates: Sequence[int],
        reset_gates: Sequence[int],
        pulses_per_beat: int,
        offset_s: float = 0.0,
    ) -> None:
        """Gates are counted from 0."""
        super().__init__("gate clock")
        self.offset_s = offset_s
        self._board = board
        self._clock_gates = list(clock_gates)
        self._reset_gates = list(reset_gates)
        self._every_ticks = PPQN / pulses_per_beat
        self._reset_wanted = False

    def _send(self, event: OutputEvent, due_s: float) -> None:
        """Notes go elsewhere."""

    def _notice(self, event: Notice, due_s: float) -> None:
        if isinstance(event, Transport):
            self._reset_wanted = event.kind != "stop"
        elif isinstance(event, Pulse) and event.tick_in_bar is not None:
            if self._reset_wanted and event.tick_in_bar == 0:
                self._reset_wanted = False
                for gate in self._reset_gates:
                    self._board.schedule(GateLevel(gate, True, PULSE_S), due_s)
            if event.tick_in_bar % self._every_ticks == 0:
                for gate in self._clock_gates:
                    self._board.schedule(GateLevel(gate, True, PULSE_S), due_s)
