"""Draws the pictures of the documentation: `python -m docs.pictures` from a clone with the dev extra."""

import io
import tempfile
from pathlib import Path

from rich.console import Console

from host.commands.common import released_weights
from host.config import Day
from host.controls import control_table
from host.instrument import Instrument
from host.terminal import Terminal
from quantize.weights import read_header
from tests.host.playing import Stage


def terminal(out: Path) -> None:
    """The live view after 40 seconds of the released weights, in simulated time."""
    table = control_table(read_header(released_weights()).sources)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(released_weights(), Path(folder), seed=1, density=3.0)
        stage.run(40.0)
        performance = stage.performance
        performance.table = table
        performance.controls["source"] = performance.asked["source"] = None
        instrument = Instrument(
            performance, stage.scheduler, stage.piece, [], Day(), stage.said.append, lambda: stage.now_s
        )
        console = Console(record=True, width=100, file=io.StringIO())
        console.print(Terminal(instrument, table, []).view())
        console.save_svg(str(out), title="noonsong play")


if __name__ == "__main__":
    terminal(Path(__file__).parent / "terminal.svg")
