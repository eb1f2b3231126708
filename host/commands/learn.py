"""Assigns the next thing that moves to a control: in the box that plays, or by itself when none does."""

import argparse
import queue
import time
from pathlib import Path

from host.board import Board
from host.commands.common import load_journal_path, released_weights
from host.config import Config, load_config
from host.config_file import ConfigFile
from host.controls import control_table
from host.inputs.door import ask_to_learn
from host.inputs.inputs import Inputs
from host.midi_ports import MidiPorts
from model.errors import NoonsongError
from quantize.weights import read_header


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong learn`."""
    parser.add_argument("control", help="a control's name, or preset, phrase, panic or listen")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to wait (default: 30)")
    parser.add_argument("--config", type=Path, help="settings (default: noonsong.toml here)")
    parser.add_argument("--journal", type=Path, help="the piece of the box that plays")
    parser.add_argument("--weights", type=Path, help="whose sources (default: those that noonsong ships)")


def run(arguments: argparse.Namespace) -> int:
    """Learn one assignment."""
    told = False
    for sentence in ask_to_learn(load_journal_path(arguments), arguments.control, arguments.seconds):
        print(sentence, flush=True)
        told = True
    if not told:
        _learn_alone(arguments)
    return 0


def _learn_alone(arguments: argparse.Namespace) -> None:
    config = load_config(arguments.config)
    table = control_table(read_header(arguments.weights or released_weights()).sources)
    inputs = Inputs(config, table, _ports(config), ConfigFile(arguments.config), print, time.monotonic)
    board = None
    learnt: queue.Queue[str] = queue.Queue()
    try:
        inputs.learn(arguments.control, learnt.put)
        if config.board.port != "none":
            port = None if config.board.port == "auto" else config.board.port
            board = Board(port, time.monotonic, on_knob=inputs.knob_turned, on_state=print)
            inputs.attach_board(board)
        print(f"{inputs.midi.state if inputs.midi else 'no MIDI'}; move something", flush=True)
        end_s = time.monotonic() + arguments.seconds
        while time.monotonic() < end_s:
            inputs.watch()
            try:
                learnt.get(timeout=0.5)
                return
            except queue.Empty:
                continue
        raise NoonsongError(f"nothing moved for {arguments.seconds:g} seconds: nothing was learnt")
    finally:
        inputs.close()
        if board is not None:
            board.close()


def _ports(config: Config) -> MidiPorts | None:
    try:
        return MidiPorts(config.midi.api)
    except NoonsongError as error:
        print(error)
        return None
