"""The page in Firefox: what must be right in another browser, too."""

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.panel.conftest import Box, wait_until
from tests.panel.firefox import Firefox, FirefoxPage
from tests.panel.test_page import last_tick, moves

pytestmark = pytest.mark.xdist_group("browser")

DIAL = "[data-control={}] [role=slider]"
VALUE = "[data-control={}] .value-text"
COLOURED = """(() => {
  const roll = document.querySelector("#roll");
  const { data } = roll.getContext("2d").getImageData(0, 0, roll.width, roll.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
    if (Math.max(r, g, b) - Math.min(r, g, b) > 60) count++;
  }
  return count;
})()"""


@pytest.fixture(scope="module")
def loudspeaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sound device that nobody hears: Firefox starts no sound without any."""
    folder = tmp_path_factory.mktemp("sound")
    modules = [f"module-native-protocol-unix auth-anonymous=1 socket={folder / 'socket'}", "module-null-sink"]
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--realtime=no", "--high-priority=no",
         "--use-pid-file=no",
         *(word for module in modules for word in ("-L", module))],
        env={**os.environ, "HOME": str(folder), "PULSE_RUNTIME_PATH": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until((folder / "socket").exists, "the sound server is there")
    yield f"unix:{folder / 'socket'}"
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def firefox(loudspeaker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    browser = Firefox(tmp_path_factory.mktemp("firefox"), loudspeaker)
    yield browser
    browser.close()


@pytest.fixture
def open_page(firefox: Firefox) -> Iterator[Callable[..., FirefoxPage]]:
    """Pages that play; an error in a page's code fails the test."""
    pages: list[FirefoxPage] = []
    firefox.errors.clear()

    def open_at(url: str, width: int = 1280, height: int = 800) -> FirefoxPage:
        page = firefox.open(url, width, height)
        pages.append(page)
        wait_until(
            lambda: page.evaluate("Number(document.querySelector('#bar').textContent) > 0"), "it plays"
        )
        return page

    yield open_at
    for page in pages:
        page.close()
    assert firefox.errors == []


def bright(page: FirefoxPage) -> int:
    """How many points of the roll are drawn in a colour."""
    count: int = page.evaluate(COLOURED)
    return count


def test_it_plays_and_a_knob_that_is_turned_is_heard(box: Box, open_page: Callable[..., FirefoxPage]) -> None:
    page = open_page(box.url)
    wait_until(lambda: bright(page) > 200, "notes are drawn")
    page.drag(DIAL.format("density"), 400)
    wait_until(lambda: page.text(VALUE.format("density")) == "8", "the knob is at its top")
    assert moves(box.journal, "density")[-1] == (8.0, "panel 1")
    page.evaluate(f"document.querySelector('{DIAL.format('temperature')}').focus()")
    page.press("Home")
    page.press("PageUp")
    wait_until(lambda: page.text(VALUE.format("temperature")) == "0.38", "by the keyboard")
    before = last_tick(box.journal)
    page.click("#freeze")
    frozen = "document.querySelector('#freeze').getAttribute('aria-pressed') === 'true'"
    wait_until(partial(page.evaluate, frozen), "frozen")
    page.click("#freeze")
    wait_until(lambda: last_tick(box.journal) > before + 24, "it goes on")


def test_two_pages_follow_each_other(box: Box, open_page: Callable[..., FirefoxPage]) -> None:
    first, second = open_page(box.url), open_page(box.url)
    second.drag(DIAL.format("temperature"), 300)
    wait_until(lambda: first.text(VALUE.format("temperature")) == "2", "it follows")
    assert first.text("[data-control=temperature] .who") == "panel 2"


def test_the_page_sounds(box: Box, open_page: Callable[..., FirefoxPage]) -> None:
    page = open_page(box.url)
    page.click("#sound")
    pressed = "document.querySelector('#sound').getAttribute('aria-pressed') === 'true'"
    wait_until(partial(page.evaluate, pressed), "it is switched on")
    page.evaluate("void import('/main.js').then(({ panel }) => { window.panel = panel; })")
    sounding = "window.panel?.sound.orchestra?.sounding.size ?? 0"
    wait_until(partial(page.evaluate, sounding), "voices sound")
    assert page.text("#faults") == ""
    page.click("#sound")
    wait_until(lambda: page.evaluate(sounding) == 0, "and are silent")


def test_on_a_phone_and_the_other_views(box: Box, open_page: Callable[..., FirefoxPage]) -> None:
    page = open_page(box.url, 390, 844)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    width, bottom = page.evaluate(
        f"(b => [b.width, b.bottom])(document.querySelector('{DIAL.format('density')}').getBoundingClientRect())"
    )
    assert width >= 120 and bottom < 844
    page.click("[data-view=past]")
    wait_until(lambda: page.evaluate("document.querySelectorAll('.hours button').length"), "the hours")
    page.click(".hours button")
    wait_until(lambda: "notes" in page.text("#excerpt h3"), "one of them")
    page.click("[data-view=settings]")
    wait_until(lambda: page.evaluate("document.querySelectorAll('details').length > 4"), "the settings")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_box_that_was_killed_comes_back(
    start_box: Callable[..., Box], open_page: Callable[..., FirefoxPage], firefox: Firefox, tmp_path: Path
) -> None:
    box = start_box("--seed", "5", "--control", "tempo=200")
    page = open_page(box.url)
    box.kill()
    wait_until(lambda: "The box is not there" in page.text("#faults"), "it says so")
    start_box(port=box.port)
    wait_until(lambda: page.text("#faults") == "", "it is back")
    firefox.errors = [
        error for error in firefox.errors if "connect" not in error and "WebSocket" not in error
    ]
