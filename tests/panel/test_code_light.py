"""The pairing code on the LED of the real firmware, in the simulated chip."""

import dataclasses
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Page, expect

from host.board import Board
from host.panel.code_light import BLINK_S, LONG_S, CodeLight, blinks
from tests.panel.conftest import Box, address_of_this_machine, wait_for, wait_until
from tests.sim.sim_board import SimBoard
from tests.sim.simulator import CYCLES_PER_US, LED_PIN

pytestmark = pytest.mark.xdist_group("board")
PACE = 4.0


def lights_s(board: SimBoard, since: int = 0) -> list[tuple[float, float]]:
    """(when it was lit, for how long) since a cycle, in seconds."""
    changes = board.at(lambda sim: [p for p in sim.pins if p.pin == LED_PIN and p.cycle > since])
    return [
        (a.cycle / CYCLES_PER_US / 1e6, (b.cycle - a.cycle) / CYCLES_PER_US / 1e6)
        for a, b in pairwise(changes)
        if a.high and not b.high
    ]


def codes_in(lights: list[tuple[float, float]]) -> list[str]:
    """What somebody reads who counts: of each round, which a long light begins and the next one ends."""
    rounds: list[str] = []
    counts = [0]
    begun = False
    for (at_s, lasts_s), (next_s, _) in pairwise(lights):
        if lasts_s > LONG_S / PACE * 0.6:
            if begun:
                rounds.append("".join(str(count % 10) for count in counts if count))
            begun, counts = True, [0]
            continue
        counts[-1] += 1
        if next_s - at_s - lasts_s > 2 * BLINK_S / PACE:
            counts.append(0)
    return rounds


def test_each_digit_is_so_many_blinks() -> None:
    told = list(blinks("102"))
    assert [lit for lit, _ in told].count(True) == 1 + 1 + 10 + 2
    assert told[0] == (True, LONG_S)


def test_the_code_can_be_read_from_the_led_and_goes_when_nobody_waits() -> None:
    with SimBoard() as sim:
        board = Board(sim.port, time.monotonic)
        try:
            assert board.wait_open(20)
            light = CodeLight(board, time.monotonic, PACE)
            since = sim.at(lambda s: s.cycle)

            def read() -> bool:
                light.tell("312014")  # a page that waits asks again and again
                # A busy machine runs the simulated board unevenly: who has miscounted counts once more.
                return "312014" in codes_in(lights_s(sim, since))

            wait_until(read, "the code is told")
            light.tell("")
            wait_until(lambda: _lit(sim), "it is lit again, by itself: playing")
            changes = sim.at(lambda s: len(s.pins))
            time.sleep(0.3)
            assert sim.at(lambda s: len(s.pins)) == changes and _lit(sim)
            assert board.status().counts.refused == 0
        finally:
            board.close()


def _lit(sim: SimBoard) -> bool:
    return bool(sim.at(lambda s: s.levels.get(LED_PIN, False)))


class OldBoard:
    """A board whose firmware knows no such order: it would be refused."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.asked: list[Any] = []

    def status(self) -> Any:
        status = self.board.status()
        assert status.welcome is not None
        return dataclasses.replace(
            status, welcome=dataclasses.replace(status.welcome, capabilities=15, firmware_minor=1)
        )

    def configure(self, *asked: Any) -> None:
        self.asked.append(asked)


def test_an_older_board_is_asked_nothing() -> None:
    with SimBoard() as sim:
        board = Board(sim.port, time.monotonic)
        try:
            assert board.wait_open(20)
            old = OldBoard(board)
            light = CodeLight(cast(Board, old), time.monotonic)
            light.tell("123456")
            light.close()
            assert old.asked == []
        finally:
            board.close()
    light = CodeLight(board, time.monotonic)  # and none at all
    light.tell("123456")
    light.close()


@pytest.mark.xdist_group("browser")
def test_whoever_waits_to_be_paired_sees_the_light(
    start_box: Callable[..., Box], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[panel]\nnetwork = true\n")
    with SimBoard() as board:
        box = start_box("--config", str(config), "--board", board.port)
        code = box.wait_until_said(r"pairing code for other devices: (\d{6})", before=True)
        box.wait_until_said("is ready", before=True)
        wait_until(lambda: _lit(board), "playing")
        since = board.at(lambda sim: sim.cycle)
        page = open_page(f"http://{address_of_this_machine()}:{box.port}", ready=False)
        expect(page.get_by_role("heading", name="Pair this device")).to_be_visible()
        wait_until(lambda: len(lights_s(board, since)) > 2, "it blinks")
        page.get_by_label("pairing code").fill(code)
        page.get_by_role("button", name="Pair").click()
        wait_for(page, "document.querySelector('#bar').textContent > 0")
        wait_until(lambda: _lit(board), "lit")
        changes = board.at(lambda sim: [p for p in sim.pins if p.pin == LED_PIN])
        page.wait_for_timeout(700)
        assert board.at(lambda sim: [p for p in sim.pins if p.pin == LED_PIN]) == changes
