"""The page: how soon it can be used, how heavy it is, how smooth, and what it costs the box.

Real throughout: `noonsong play` with the weights that it ships, and Chromium without a screen on the same
machine. What the browsers themselves take from the machine is not the box's cost, but it is there: the
lateness of notes stands beside that of the same box with no page open.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from model.errors import NoonsongError

USABLE = """() => new Promise((done) => {
  const look = () => document.querySelector("#bar")?.textContent > 0 &&
    document.querySelectorAll("[role=slider]").length > 1 ? done(performance.now()) : setTimeout(look, 5);
  look();
})"""
FRAMES = """async (seconds) => {
  const {panel} = await import("/main.js");
  const before = panel.roll.frames, since = performance.now();
  await new Promise((done) => setTimeout(done, seconds * 1000));
  return (panel.roll.frames - before) / (performance.now() - since) * 1000;
}"""
PAGES = (0, 1, 4)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong bench panel`."""
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (default: 20)")
    parser.add_argument("--opens", type=int, default=5, help="how often the page is opened (default: 5)")
    parser.add_argument("--json", action="store_true", help="figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print. Raises NoonsongError where there is no browser."""
    try:
        from playwright.sync_api import sync_playwright

        from tests.panel.conftest import CHROMIUM, FLAGS, Box
    except ImportError as error:
        raise NoonsongError(f"`noonsong bench panel` needs {error.name}: make dev") from None
    if not Path(CHROMIUM).exists():
        raise NoonsongError(f"there is no browser at {CHROMIUM}: apt install chromium")
    from host.commands.common import released_weights
    from host.panel.static_files import static_files

    files = static_files().values()
    figures: dict[str, Any] = {
        "kilobytes": round(sum(len(file.plain) for file in files) / 1000, 1),
        "kilobytes_sent": round(sum(len(file.packed) for file in files) / 1000, 1),
        "load": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        box = Box(released_weights(), Path(folder), "--control", "density=4", "--record", f"{folder}/out.mid")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            opened = []
            for _ in range(args.opens):
                page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
                page.goto(box.url)
                opened.append(page.evaluate(USABLE))
                page.context.close()
            figures["usable_ms"] = {"median": statistics.median(opened), "worst": max(opened)}
            figures["open"] = {}
            for count in PAGES:
                contexts = [
                    browser.new_context(viewport={"width": 1440, "height": 900}) for _ in range(count)
                ]
                pages = [context.new_page() for context in contexts]
                for page in pages:
                    page.goto(box.url)
                    page.evaluate(USABLE)
                figures["open"][count] = _cost(box, args.seconds)
                if pages:
                    figures["open"][count]["frames_a_second"] = round(pages[0].evaluate(FRAMES, 5), 1)
                for context in contexts:
                    context.close()
        finally:
            browser.close()
            box.stop()
    print(json.dumps(figures) if args.json else _told(figures))
    return 0


def _cost(box: Any, seconds: float) -> dict[str, float]:
    """Processor time in percent of a core, and how late notes were, over some seconds."""
    from websockets.sync.client import connect

    processes = {"music": box.process.pid, "panel": _child(box.process.pid)}
    before = {name: _processor_s(pid) for name, pid in processes.items()}
    began = time.monotonic()
    late = []
    # A listener without a page tells how late notes were.
    with connect(f"ws://localhost:{box.port}/live", origin=box.url, max_size=None) as listener:
        while time.monotonic() - began < seconds:
            state = json.loads(listener.recv(timeout=30)).get("state")
            if state:
                late.append(state["late_ms"])
    took = time.monotonic() - began
    cost = {
        f"{name}_percent": round(100 * (_processor_s(pid) - before[name]) / took, 2)
        for name, pid in processes.items()
    }
    return cost | {"late_ms_median": statistics.median(late), "late_ms_worst": max(late)}


def _child(parent: int) -> int:
    """The panel's process. Its starter is a thread, so every process is looked at."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                return int(stat.parent.name)
        except (OSError, ValueError):
            continue  # it ended meanwhile
    raise NoonsongError("the panel's process is not there")


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _told(figures: dict[str, Any]) -> str:
    lines = [
        f"the page: {figures['kilobytes']} kB in all, {figures['kilobytes_sent']} kB as sent",
        f"usable after {figures['usable_ms']['median']:.0f} ms (worst {figures['usable_ms']['worst']:.0f})",
        "pages  music %  panel %  frames/s  late ms, median and worst of half seconds",
    ]
    for count, row in figures["open"].items():
        frames = f"{row['frames_a_second']:8.1f}" if "frames_a_second" in row else "       -"
        lines.append(
            f"{count:5}  {row['music_percent']:7.2f}  {row['panel_percent']:7.2f}  {frames}"
            f"  {row['late_ms_median']:.2f} {row['late_ms_worst']:.2f}"
        )
    lines.append(f"(load of this machine when it began: {figures['load']:.1f})")
    return "\n".join(lines)
