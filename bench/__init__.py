"""`noonsong bench`: speed, as ratios measured side by side in one run."""

import argparse
from importlib import import_module

BENCHES = ("engine", "live", "panel")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong bench`."""
    benches = parser.add_subparsers(dest="bench", required=True, metavar="WHAT")
    for name in BENCHES:
        module = import_module(f"bench.{name}")
        module.add_arguments(benches.add_parser(name, help=(module.__doc__ or "").splitlines()[0]))


def run(args: argparse.Namespace) -> int:
    """Run one."""
    done: int = import_module(f"bench.{args.bench}").run(args)
    return done
