"""Draws the pictures of the documentation: `python -m docs.pictures [terminal] [panel]` from a clone with the dev
and train extras, Chromium and the firmware (`make firmware`).
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from host.commands.common import released_weights
from host.config import Day
from host.controls import control_table
from host.instrument import Instrument
from host.terminal import Terminal
from quantize.weights import read_header
from tests.host.playing import Stage
from tests.panel.conftest import CHROMIUM, FLAGS, Box
from tests.sim.sim_board import SimBoard


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


def panel(folder: Path) -> None:
    """The page: wide, while the plan is written anew, with its board pulled out, on a phone."""
    with tempfile.TemporaryDirectory() as scratch, SimBoard() as board, sync_playwright() as playwright:
        for knob, position in enumerate((0.44, 0.55, 0.58, 0.0, 0.45, 0.5)):
            board.set_knob(knob, position)
        box = Box(released_weights(), Path(scratch), "--board", board.port, "--seed", "12")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(box.url)
            for slot, (name, keys) in enumerate(
                {"noon": "", "slow river": "ttttdddd", "market": "TTTTDDDDDD"}.items()
            ):
                page.keyboard.type(keys)
                page.wait_for_timeout(1500)
                page.get_by_role("button", name="Keep this").click()
                page.get_by_label("name", exact=True).fill(name)
                page.get_by_role("button", name="Keep", exact=True).click()
                page.wait_for_timeout(300)
                page.keyboard.press(str(slot + 1))
            page.keyboard.press("1")
            page.wait_for_timeout(14_000)
            page.mouse.move(700, 300)
            _picture(page, folder / "panel-wide.webp")
            page.get_by_role("button", name="Weighed").click()
            page.wait_for_timeout(9000)
            page.get_by_role("slider", name="density").press("PageUp")
            page.wait_for_timeout(330)
            _picture(page, folder / "panel-replanning.webp")
            page.get_by_role("button", name="Weighed").click()
            phone = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=2)
            phone.goto(box.url)
            phone.wait_for_timeout(4000)
            _picture(phone, folder / "panel-phone.webp")
            board.unplug()
            page.wait_for_function("() => document.querySelector('.fault')")
            page.wait_for_timeout(1000)
            _picture(page, folder / "panel-fault.webp")
        finally:
            browser.close()
            box.stop()


def _picture(page: Page, out: Path) -> None:
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(out, quality=82, method=6)


if __name__ == "__main__":
    here = Path(__file__).parent
    wanted = sys.argv[1:] or ["terminal", "panel"]
    if "terminal" in wanted:
        terminal(here / "terminal.svg")
    if "panel" in wanted:
        panel(here)
