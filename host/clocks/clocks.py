"""Every clock of the box joined: those that can be followed, and those that follow us."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from host.clocks.link import LinkClock, open_session
from host.clocks.midi_in import MidiClockIn
from host.clocks.pulse_clock import PulseClock
from host.clocks.source import Source
from host.config import Config
from host.controls import CLOCKS
from host.gate_inputs import GateInputs
from host.midi_ports import MidiPorts
from host.outputs.base import Output
from host.outputs.cv import CvBoard
from host.outputs.gate_clock import GateClock
from host.outputs.midi_clock import MidiClockOutput
from host.performance import Performance
from model.errors import NoonsongError

MIDI, GATE, LINK = CLOCKS[1:]
LONGEST_WAY_S = 0.05  # of an edge from the board: an older stamp is an error of the two clocks' comparison


class MoveControl(Protocol):
    """As host.instrument.Instrument.move."""

    def __call__(self, control: str, value: float | None, who: str) -> None:
        """Move a control."""


class Clocks:
    """Opened before the performance, connected to it after."""

    def __init__(
        self,
        config: Config,
        ports: MidiPorts | None,
        tempo_bpm: float,
        say: Callable[[str], None],
        now_s: Callable[[], float],
    ) -> None:
        """`ports`: None plays without MIDI. What cannot be had is said, and the rest plays."""
        self._settings, self._board_settings = config.clock, config.board
        self._ports = ports
        self._say = say
        settings = config.clock
        midi = PulseClock("MIDI clock", 24, tempo_bpm, settings.midi_offset_ms / 1000)
        gate = PulseClock(
            "the clock input", settings.gate_pulses, tempo_bpm, settings.gate_offset_ms / 1000, holds=True
        )
        self._pulse_clocks = [midi, gate]
        self.sources: dict[str, Source] = {MIDI: midi, GATE: gate}
        self._link: LinkClock | None = None
        with contextlib.suppress(ImportError):  # an extra
            self._link = LinkClock(open_session(tempo_bpm), settings.link_offset_ms / 1000)
            self.sources[LINK] = self._link
        self.carry_on = settings.lost == "carry on"
        self.gates = GateInputs(
            config.board.gate_inputs, lambda t_s: gate.pulse(max(t_s, now_s() - LONGEST_WAY_S))
        )
        self._midi_in: MidiClockIn | None = None
        if ports is not None:
            try:
                self._midi_in = MidiClockIn(ports, settings.midi_port, midi, now_s)
            except NoonsongError as error:
                say(str(error))
        self._state = self._midi_in.state if self._midi_in else ""

    def outputs(self, board: CvBoard | None) -> Sequence[Output]:
        """Those that follow us."""
        settings = self._settings
        outputs: list[Output] = []
        if self._ports is not None:
            for pattern in settings.midi_out:
                try:
                    output = MidiClockOutput(
                        self._ports,
                        pattern,
                        settings.midi_out_while_stopped,
                        settings.midi_out_offset_ms / 1000,
                    )
                except NoonsongError as error:
                    self._say(str(error))
                    continue
                self._say(output.state)
                outputs.append(output)
        if board is not None:
            on_board = GateClock(board, self._board_settings, settings.gate_out_pulses)
            if on_board.wanted:
                outputs.append(on_board)
        return outputs

    def connect(self, performance: Performance, move: MoveControl) -> None:
        """From now on, pulses and gates act."""
        for clock in self._pulse_clocks:
            clock.wake = performance.wakeup.set
        self.gates.connect(performance, move)

    def watch(self) -> None:
        """Look which ports have come and gone. Called now and then, off the audio path."""
        if self._midi_in is None:
            return
        try:
            self._midi_in.watch()
        except (OSError, RuntimeError) as error:  # what rtmidi raises; the music goes on
            self._midi_in.last_fault = f"MIDI clock: {error}"
        if self._midi_in.state != self._state:
            self._state = self._midi_in.state
            self._say(self._state)

    def close(self) -> None:
        """Let go of every device."""
        if self._midi_in is not None:
            self._midi_in.close()
        if self._link is not None:
            self._link.close()
