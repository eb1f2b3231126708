"""Lists the ports that are there."""

import argparse
import json

from serial.tools import list_ports

from host.midi_ports import APIS, MidiPorts
from model.errors import NoonsongError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong ports`."""
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """MIDI ports of every interface that answers, and serial ports."""
    midi: dict[str, list[str]] = {}
    inputs: dict[str, list[str]] = {}
    for api in APIS:
        try:
            ports = MidiPorts(api)
            midi[api], inputs[api] = ports.names(), ports.input_names()
        except NoonsongError:
            continue
    serial = {port.device: port.description for port in list_ports.comports()}
    if arguments.json:
        print(json.dumps({"midi": midi, "midi_inputs": inputs, "serial": serial}))
        return 0
    for api, names in midi.items():
        print(f"MIDI outputs ({api}):")
        print("\n".join(f"  {name}" for name in names) or "  none; connect an instrument")
        print(f"MIDI inputs ({api}):")
        print("\n".join(f"  {name}" for name in inputs[api]) or "  none; connect a keyboard or controller")
    if not midi:
        print("No MIDI interface answers; `noonsong doctor` says what to do.")
    print("Serial ports:")
    print("\n".join(f"  {device}  {text}" for device, text in serial.items()) or "  none; plug the board in")
    return 0
