"""Opens what the configuration and the options name; what cannot be had is said, and the rest plays."""

import argparse
import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from host.board import Board
from host.board_events import BoardEvent
from host.commands.common import as_text
from host.config import Config, MidiPort
from host.controls import Control, parse_assignments
from host.gate_inputs import GateInputs
from host.inputs.door import Door
from host.inputs.inputs import Inputs
from host.inputs.mappings import Mappings, settings_of
from host.midi_ports import MidiPorts
from host.outputs.base import Output
from host.outputs.cv import CvOutput
from host.outputs.event_log import EventLog
from host.outputs.midi import MidiOutput, Sent
from host.outputs.recording import Recording
from model.errors import NoonsongError

Say = Callable[[str], None]


def open_ports(config: Config, arguments: argparse.Namespace, say: Say) -> MidiPorts | None:
    """The MIDI interface; None without one, or when no MIDI is wanted.

    Raises NoonsongError when one was asked for by an option and cannot be had.
    """
    if arguments.port == "none":
        return None
    try:
        return MidiPorts(arguments.api or config.midi.api)
    except NoonsongError as error:
        if arguments.port or arguments.api:
            raise
        say(str(error))
        return None


def open_outputs(
    config: Config,
    arguments: argparse.Namespace,
    table: Mapping[str, Control],
    ports: MidiPorts | None,
    sent: Sent,
    say: Say,
) -> list[Output]:
    """Every output that is asked for; `sent` is told each MIDI message that leaves.

    Raises NoonsongError when a control is to be sent that there is not.
    """
    outputs: list[Output] = []
    if arguments.record:
        outputs.append(Recording(arguments.record))
    if arguments.events:
        outputs.append(EventLog())
    if ports is None:
        return outputs
    _check_control_ccs(config, table)
    for wanted in config.midi.outputs:
        settings = msgspec.structs.replace(wanted, port=arguments.port) if arguments.port else wanted
        output = _midi_output(ports, settings, sent)
        say(output.state)
        outputs.append(output)
        if arguments.port:
            break
    return outputs


def check_settings(config: Config, table: Mapping[str, Control]) -> None:
    """Whether everything could be opened with these settings, as far as the devices that are there do not matter.

    Raises NoonsongError with the sentence that a start would end with.
    """
    Mappings(settings_of(config), table)
    CvOutput(_NoBoard(), config.board, table, time.monotonic)
    _check_control_ccs(config, table)
    parse_assignments((f"{name}={as_text(value)}" for name, value in config.controls.items()), table)
    if config.inputs.osc_port:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            try:
                trial.bind((config.inputs.osc_address, 0))
            except OSError as error:
                raise NoonsongError(
                    f'OSC cannot listen on inputs.osc_address "{config.inputs.osc_address}" ({error.strerror}):'
                    " it may be 127.0.0.1, 0.0.0.0 or an address of this machine"
                ) from None


class _NoBoard:
    sessions = 0

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        """Nothing is there."""

    def release_all(self) -> None:
        """Nothing is there."""


def _check_control_ccs(config: Config, table: Mapping[str, Control]) -> None:
    for control in (control for output in config.midi.outputs for control in output.control_ccs):
        if control not in ("source", *table):
            raise NoonsongError(f'no control "{control}" in control_ccs: the controls are {", ".join(table)}')


def open_board(
    config: Config, arguments: argparse.Namespace, inputs: Inputs, gates: GateInputs, say: Say
) -> Board | None:
    """The board's driver; it finds the board now or later, and says so."""
    port = arguments.board or config.board.port
    if port == "none":
        return None
    board = Board(
        None if port == "auto" else port,
        time.monotonic,
        on_knob=inputs.knob_turned,
        on_gate=gates.changed,
        on_state=say,
    )
    inputs.attach_board(board)
    return board


def open_door(journal: Path, inputs: Inputs, say: Say) -> Door | None:
    """Where `noonsong learn` reaches the box that plays."""
    try:
        return Door(journal, inputs)
    except NoonsongError as error:
        say(str(error))
        return None


def _midi_output(ports: MidiPorts, settings: MidiPort, sent: Sent) -> MidiOutput:
    output = MidiOutput(ports, settings, sent)
    if settings.port == "auto" and not output.connected:
        with contextlib.suppress(NoonsongError):  # without any, the first gear that is plugged in is taken
            return MidiOutput(ports, msgspec.structs.replace(settings, port="virtual"), sent)
    return output
