"""`noonsong bench`: speed, as ratios measured side by side in one run."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong bench`."""
    from bench.engine import __doc__ as about
    from bench.engine import add_arguments as add_engine_arguments

    benches = parser.add_subparsers(dest="bench", required=True, metavar="WHAT")
    add_engine_arguments(benches.add_parser("engine", help=(about or "").splitlines()[0]))


def run(args: argparse.Namespace) -> int:
    """Run one."""
    from bench.engine import run as run_engine

    return run_engine(args)
