"""Opens what the configuration and the options name; what cannot be had is said, and the rest plays."""

import argparse
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from host.board import Board
from host.config import Config, MidiPort
from host.controls import Control
from host.gate_inputs import GateInputs
from host.inputs.door import Door
from host.inputs.inputs import Inputs
from host.midi_ports import MidiPorts
from host.outputs.base import Output
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
    for wanted in config.midi.outputs:
        for control in wanted.control_ccs:
            if control not in ("source", *table):
                raise NoonsongError(
                    f'no control "{control}" in control_ccs: the controls are {", ".join(table)}'
                )
        settings = msgspec.structs.replace(wanted, port=arguments.port) if arguments.port else wanted
        output = _midi_output(ports, settings, sent)
        say(output.state)
        outputs.append(output)
        if arguments.port:
            break
    return outputs


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
