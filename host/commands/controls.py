"""Lists the controls."""

import argparse
import json
from pathlib import Path

from host.commands.common import released_weights
from host.controls import control_table
from quantize.weights import read_header


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong controls`."""
    parser.add_argument("--weights", type=Path, help="whose sources (default: those that noonsong ships)")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    table = control_table(read_header(arguments.weights or released_weights()).sources)
    if arguments.json:
        print(json.dumps([control._asdict() for control in table.values()]))
        return 0
    for control in table.values():
        print(f"{control.name:12} {control.help}")
        print(f"{'':12} {control.range_text()}; {control.text(control.default)} at the start")
    return 0
