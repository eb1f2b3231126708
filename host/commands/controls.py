"""Lists the controls, and what moves each."""

import argparse
import json
from pathlib import Path

from host.commands.common import released_weights
from host.config import load_config
from host.controls import control_table
from host.inputs.mapping import TARGETS
from host.inputs.mappings import Mappings, describe, settings_of
from quantize.weights import read_header


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong controls`."""
    parser.add_argument("--config", type=Path, help="settings (default: noonsong.toml here, if there is one)")
    parser.add_argument("--weights", type=Path, help="whose sources (default: those that noonsong ships)")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    table = control_table(read_header(arguments.weights or released_weights()).sources)
    moved_by: dict[str, list[str]] = {}
    for mapped in Mappings(settings_of(load_config(arguments.config)), table).rows():
        moved_by.setdefault(mapped.control, []).append(describe(mapped))
    if arguments.json:
        rows = [{**control._asdict(), "moved_by": moved_by.get(name, [])} for name, control in table.items()]
        print(json.dumps(rows))
        return 0
    for control in (*table.values(), *TARGETS.values()):
        print(f"{control.name:12} {control.help}")
        if control.name in table:
            print(f"{'':12} {control.range_text()}; {control.text(control.default)} at the start")
        for source in moved_by.get(control.name, []):
            print(f"{'':12} moved by {source}")
    return 0
