"""The page: how soon it can be used, how heavy it is, how smooth, what it costs the box, and whether it delays notes.

Real throughout: `noonsong play` with the weights that it ships (and bench.live_probe in it) to a JACK server, and
Chromium without a screen on the same machine. What the browsers themselves take from the machine is not the box's
cost, but it is there: the same box is measured with no page open, before and between, and beside it each time a loop
that does nothing but wait for moments of its own.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from host.instrument import SPIN_S
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
PAGES = (0, 1, 4, 0, 4)  # open, one measurement after the other
SYNTH = "bench-synth"
SIZE = {"width": 1440, "height": 900}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong bench panel`."""
    parser.add_argument("--seconds", type=float, default=40.0, help="of each measurement (default: 40)")
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
    from bench import live_stage as stage
    from host.commands.common import released_weights
    from host.panel.static_files import static_files

    files = static_files().values()
    figures: dict[str, Any] = {
        "kilobytes": round(sum(len(file.plain) for file in files) / 1000, 1),
        "kilobytes_sent": round(sum(len(file.packed) for file in files) / 1000, 1),
        "load": os.getloadavg()[0],
    }
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(stage.jack())
        stack.callback(_synth().close)
        noted = folder / "noted.json"
        options = ["--control", "density=8", "--port", SYNTH, "--api", "jack"]
        box = Box(released_weights(), folder, *options, program=("bench.live_probe", str(noted)))
        stack.callback(box.stop)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.callback(browser.close)
        opened = []
        for _ in range(args.opens):
            page = browser.new_context(viewport=SIZE).new_page()  # type: ignore[arg-type]
            page.goto(box.url)
            opened.append(page.evaluate(USABLE))
            page.context.close()
        figures["usable_ms"] = {"median": statistics.median(opened), "worst": max(opened)}
        spans, figures["open"] = [], []
        for count in PAGES:
            contexts = [browser.new_context(viewport=SIZE) for _ in range(count)]  # type: ignore[arg-type]
            pages = [context.new_page() for context in contexts]
            for page in pages:
                page.goto(box.url)
                page.evaluate(USABLE)
            row, span = _cost(box, args.seconds)
            spans.append(span)
            figures["open"].append({"pages": count, **row})
            if pages:
                figures["open"][-1]["frames_a_second"] = round(pages[0].evaluate(FRAMES, 5), 1)
            for context in contexts:
                context.close()
        box.stop()
        sent = json.loads(noted.read_text())
    for row, (from_s, until_s) in zip(figures["open"], spans, strict=True):
        pairs = zip(sent["due_s"], sent["late_s"], strict=True)
        row["late_ms"] = _spread([late_s for due_s, late_s in pairs if from_s <= due_s < until_s])
    print(json.dumps(figures) if args.json else _told(figures))
    return 0


def _synth() -> Any:
    from tests.host.jack import Receiver

    return Receiver(SYNTH)


def _cost(box: Any, seconds: float) -> tuple[dict[str, Any], tuple[float, float]]:
    """Processor time in percent of a core over some seconds, what the machine makes everybody late by meanwhile,
    and when that was.
    """
    from bench import live_stage as stage

    processes = {"music": box.process.pid, "panel": _child(box.process.pid)}
    before = {name: _processor_s(pid) for name, pid in processes.items()}
    began_s = time.monotonic()
    nothing = stage.do_nothing(seconds, SPIN_S)
    waited, _ = nothing.communicate(timeout=seconds + 60)
    took_s = time.monotonic() - began_s
    cost: dict[str, Any] = {
        f"{name}_percent": round(100 * (_processor_s(pid) - before[name]) / took_s, 2)
        for name, pid in processes.items()
    }
    return cost | {"nothing_ms": _spread(json.loads(waited))}, (began_s, began_s + took_s)


def _spread(late_s: Sequence[float]) -> dict[str, float]:
    ordered = sorted(1000 * late for late in late_s)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 3),
        "p99": round(ordered[int(0.99 * len(ordered))], 3),
        "worst": round(ordered[-1], 3),
    }


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
        f"{'':38}notes late, ms{'':18}a loop that does nothing, ms",
        "pages  music %  panel %  frames/s   count   median     99 %    worst   median     99 %    worst",
    ]
    for row in figures["open"]:
        frames = f"{row['frames_a_second']:8.1f}" if "frames_a_second" in row else "       -"
        cells = [row["late_ms"][key] for key in ("median", "p99", "worst")]
        cells += [row["nothing_ms"][key] for key in ("median", "p99", "worst")]
        lines.append(
            f"{row['pages']:5}  {row['music_percent']:7.2f}  {row['panel_percent']:7.2f}  {frames}"
            f"  {row['late_ms']['count']:6}" + "".join(f"{cell:9.3f}" for cell in cells)
        )
    lines.append(f"(load of this machine when it began: {figures['load']:.1f})")
    return "\n".join(lines)
