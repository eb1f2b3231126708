"""The whole box on a simulated board, for the tests that play it: fixtures."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.talk import Talker
from tests.sim.sim_board import SimBoard

Play = Callable[..., Talker]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SimBoard]:
    with SimBoard(link=tmp_path / "board") as sim:
        for index in range(6):
            sim.set_knob(index, 0.5)
        yield sim


@pytest.fixture
def play(board: SimBoard, small_weights: Path, tmp_path: Path) -> Iterator[Play]:
    """Starts the box on the board, with a configuration; waits until both are one."""
    talkers: list[Talker] = []

    def start(*options: str, config: str = "") -> Talker:
        (tmp_path / "n.toml").write_text(config)
        given = ["--weights", str(small_weights), "--journal", str(tmp_path / "j.sqlite"), "--seed", "2"]
        given += ["--port", "none", "--board", board.port, "--config", str(tmp_path / "n.toml")]
        talkers.append(Talker([*given, *options]))
        talkers[-1].wait_for("is ready")
        return talkers[-1]

    yield start
    for talker in talkers:
        talker.close()
