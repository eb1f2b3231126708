"""A real box and a real browser: `noonsong play` in a process of its own, Chromium without a screen."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.host.talk import ROOT

CHROMIUM = os.environ.get("NOONSONG_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
PATIENCE_MS = 40_000


class Box:
    """`noonsong play` with its panel; notes of noise, no MIDI, no board unless asked for."""

    def __init__(
        self,
        weights: Path,
        folder: Path,
        *options: str,
        port: int = 0,
        program: tuple[str, ...] = ("host", "play"),
    ) -> None:
        self.journal = folder / "journal.sqlite"
        self.said = ""
        command = [sys.executable, "-W", "error", "-m", *program, "--panel-port", str(port)]
        command += ["--port", "none", "--weights", str(weights), "--journal", str(self.journal), "--json"]
        if "--board" not in options:
            command += ["--board", "none"]
        if "--config" not in options:
            (folder / "noonsong.toml").touch()
            command += ["--config", str(folder / "noonsong.toml")]
        self.process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "error"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.url = self.wait_until_said(r"the panel is at (http://localhost:\d+)")
        self.port = int(self.url.rpartition(":")[2])

    def wait_until_said(self, pattern: str, before: bool = False) -> str:
        """The first group of what the box says next that matches; or has said `before`."""
        assert self.process.stderr is not None
        seen = self.said if before else ""
        while not (match := re.search(pattern, seen)):
            line = self.process.stderr.readline().decode()
            assert line, f"it ended without saying {pattern}: {self.said}"
            self.said += line
            seen += line
        return match[1] if match.groups() else match[0]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> str:
        """End in order; returns what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=15)
        self.said += errors.decode()
        return self.said


@pytest.fixture
def start_box(small_weights: Path, tmp_path: Path) -> Iterator[Callable[..., Box]]:
    """Starts boxes; all are ended, and must have ended well."""
    boxes: list[Box] = []

    def start(*options: str, port: int = 0) -> Box:
        boxes.append(Box(small_weights, tmp_path, *options, port=port))
        return boxes[-1]

    yield start
    for box in boxes:
        killed = box.process.poll() is not None
        said = box.stop()
        assert killed or box.process.returncode == 0, said
        assert "Traceback" not in said, said


@pytest.fixture
def box(start_box: Callable[..., Box]) -> Box:
    return start_box("--seed", "5", "--control", "tempo=120")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages in windows of their own; an error in a page's code, or a request elsewhere, fails the test."""
    contexts = []
    errors: list[str] = []

    def open_at(
        url: str, width: int = 1280, height: int = 800, ready: bool = True, **options: object
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith((url, "data:")) else errors.append(request.url),
        )
        page.goto(url)
        if ready:
            wait_for(page, "document.querySelector('#bar').textContent > 0")
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert errors == []


def knob(page: Page, name: str) -> str:
    """What the page shows a control's value to be."""
    return page.locator(f"[data-control={name}] .value-text").inner_text()


def wait_for_knob(page: Page, name: str, text: str) -> None:
    wait_for(page, f"document.querySelector('[data-control={name}] .value-text')?.textContent === '{text}'")


def wait_for(page: Page, expression: str) -> None:
    """Until something is true in the page. (Playwright's own way needs eval, which the page forbids.)"""
    wait_until(lambda: page.evaluate(f"async () => {expression}"), expression)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until something is so."""
    end_s = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < end_s, f"never so: {what}"
        time.sleep(0.05)


def address_of_this_machine() -> str:
    """One under which others would find it: what comes from there comes from elsewhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.fail("this machine has no address but the loopback one: nothing can come from elsewhere")
        return str(probe.getsockname()[0])
