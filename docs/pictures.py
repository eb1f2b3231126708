"""Draws the pictures of the documentation: `python -m docs.pictures [terminal] [panel]` from a clone with the dev
and train extras, Chromium and the firmware (`make firmware`).
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, TimeoutError, sync_playwright
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

PATIENCE_MS = 300_000
# The page stands still a moment after the plan was cut.
STILL = """async () => {
  const {roll, music, live} = (await import("/main.js")).panel;
  const before = music.rewritten;
  const draw = roll.draw.bind(roll);
  // then
  await new Promise((done) => {
    roll.draw = () => {
      draw();
      if (music.rewritten !== before && performance.now() - music.rewritten.at > 130) {
        const at_s = live.now_s();
        live.now_s = () => at_s;
        roll.draw = () => {};
        done();
      }
    };
  });
}"""

GO_ON = """async () => {
  const {roll, live} = (await import("/main.js")).panel;
  delete live.now_s;
  delete roll.draw;
}"""


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
        for knob, position in enumerate((0.44, 0.55, 0.58, 0.0, 0.891, 0.5)):
            board.set_knob(knob, position)
        box = Box(released_weights(), Path(scratch), "--board", board.port, "--seed", "1")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(PATIENCE_MS)
            page.goto(box.url)
            page.locator("[role=slider]").first.wait_for()
            for slot, (name, temperature) in enumerate(
                {"noon": 0.9, "slow river": 0.7, "market": 1.2}.items()
            ):
                _ask(page, {"ask": "enter", "control": "temperature", "text": str(temperature)})
                page.wait_for_timeout(500)
                _ask(page, {"ask": "save", "slot": slot, "name": name})
            _ask(page, {"ask": "recall", "slot": 0})
            page.wait_for_timeout(16_000)
            _wait_for_calm(page)
            _picture(page, folder / "panel-wide.webp")
            page.get_by_role("button", name="Weighed").click()
            page.wait_for_timeout(9000)
            page.evaluate(
                STILL.replace("// then", "live.ask({ask: 'enter', control: 'density', text: '4.5'});")
            )
            _picture(page, folder / "panel-replanning.webp")
            page.evaluate(GO_ON)
            board.unplug()
            page.locator(".fault").wait_for()
            page.get_by_role("button", name="Weighed").click()
            page.wait_for_timeout(3000)
            _picture(page, folder / "panel-fault.webp")
            page.close()
            board.plug()
            phone = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=2)
            phone.set_default_timeout(PATIENCE_MS)
            phone.goto(box.url)
            phone.locator("[role=slider]").first.wait_for()
            phone.wait_for_timeout(4000)
            _picture(phone, folder / "panel-phone.webp")
        finally:
            browser.close()
            box.stop()


def _ask(page: Page, message: dict[str, object]) -> None:
    page.evaluate("async (message) => (await import('/main.js')).panel.live.ask(message)", message)


def _wait_for_calm(page: Page) -> None:
    """Until no fault is shown; a machine that is busy for long gets its picture with one."""
    with contextlib.suppress(TimeoutError):
        page.locator(".fault").first.wait_for(state="detached", timeout=90_000)


def _picture(page: Page, out: Path) -> None:
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(out, quality=82, method=6)


if __name__ == "__main__":
    here = Path(__file__).parent
    wanted = sys.argv[1:] or ["terminal", "panel"]
    if "terminal" in wanted:
        terminal(here / "terminal.svg")
    if "panel" in wanted:
        panel(here)
