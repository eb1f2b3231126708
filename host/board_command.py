"""`noonsong board`: the board's firmware, its line, its knobs and gates live; its outputs to try."""

from __future__ import annotations

import argparse
import dataclasses
import json
import select
import sys
import time
from collections.abc import Callable

from host import wire
from host.board import Board, BoardStatus
from host.board_events import CvLevel, CvNote, GateLevel, pitch_to_volts
from model.errors import NoonsongError

CONNECT_S = 6.0
SOON_S = 0.1
HELP = """Try an output:  v 1 2.5      2.5 V on output 1          g 2 on | g 2 off   gate 2
                n 3 60 500   pitch 60 for 500 ms on 3   p                  panic: all gates low
                q            end"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of `noonsong board`."""
    parser.add_argument(
        "--board", metavar="PORT", help="the board's serial port (otherwise it is looked for)"
    )
    parser.add_argument("--seconds", type=float, help="end by itself after so long")
    parser.add_argument("--json", action="store_true", help="one report as JSON after a second, then end")
    parser.add_argument(
        "--do", action="append", default=[], metavar="COMMAND", help="as typed: --do 'v 1 2.5'"
    )


@dataclasses.dataclass
class Live:
    """The newest knob and gate values."""

    knobs: dict[int, float] = dataclasses.field(default_factory=dict)
    gates: dict[int, bool] = dataclasses.field(default_factory=dict)

    def on_knob(self, index: int, value: float, _: float) -> None:
        """A knob moved."""
        self.knobs[index] = value

    def on_gate(self, index: int, high: bool, _: float) -> None:
        """A gate input changed."""
        self.gates[index] = high


def perform(board: Board, line: str, now_s: float) -> str:
    """Do what a line says; returns a sentence. Raises NoonsongError naming what is wrong with it."""
    words = line.lower().split()
    if not words:
        return ""
    if words[0] == "p":
        board.release_all()
        return "All gates low."
    try:
        output = int(words[1])
        if words[0] == "v" and len(words) == 3:
            board.schedule(CvLevel(output - 1, float(words[2])), now_s + SOON_S)
            return f"Output {output}: {float(words[2]):g} V."
        if words[0] == "g" and len(words) == 3 and words[2] in {"on", "off"}:
            board.schedule(GateLevel(output - 1, words[2] == "on"), now_s + SOON_S)
            return f"Gate {output} {words[2]}."
        if words[0] == "n" and len(words) in {3, 4}:
            volts = pitch_to_volts(float(words[2]))
            length_ms = float(words[3]) if len(words) == 4 else 500.0
            board.schedule(CvNote(output - 1, volts, length_ms / 1000), now_s + SOON_S)
            return f"Output {output}: pitch {words[2]} ({volts:.3f} V) for {length_ms:g} ms."
    except (ValueError, IndexError):
        pass
    raise NoonsongError(f"{line.strip()!r} is not understood.\n{HELP}")


def report(status: BoardStatus, live: Live) -> dict[str, object]:
    """Everything worth knowing, for --json."""
    told = status.status
    return {
        "connected": status.connected,
        "port": status.port,
        "board": status.board,
        "firmware": status.firmware,
        "calibration": wire.CALIBRATION_STATES.get(status.welcome.calibration) if status.welcome else None,
        "round_trip_ms": round(status.round_trip_s * 1e3, 3),
        "clock_offset_s": round(status.offset_s, 6),
        "clock_drift_ppm": round(status.drift_ppm, 1),
        "low_latency": status.low_latency,
        "line": dataclasses.asdict(status.counts),
        "board_counts": dataclasses.asdict(told) if told else None,
        "knobs": [round(live.knobs[i], 4) for i in sorted(live.knobs)],
        "gate_inputs": [live.gates[i] for i in sorted(live.gates)],
    }


def lines(status: BoardStatus, live: Live) -> str:
    """The live view: four lines."""
    if not status.connected:
        return status.sentence
    counts, told = status.counts, status.status
    knobs = "  ".join(f"{'ABCDEFGH'[i]} {live.knobs[i] * 100:5.1f}" for i in sorted(live.knobs))
    gates = "  ".join(f"{i + 1} {'high' if live.gates[i] else 'low'}" for i in sorted(live.gates))
    faults = (
        f"bad {counts.bad_frames}, lost {counts.lost_from_board}, sent again {counts.sent_again}, "
        f"refused {counts.refused}"
    )
    queue = f", queue {told.queue_used}, late {told.late}" if told else ""
    return (
        f"{status.board}, firmware {status.firmware}, on {status.port}: {counts.frames_received} frames, {faults}\n"
        f"round trip {status.round_trip_s * 1e3:.2f} ms, clock drift {status.drift_ppm:+.0f} ppm{queue}\n"
        f"knobs   {knobs}\n"
        f"gates   {gates}"
    )


def run(args: argparse.Namespace) -> int:
    """Show the board until q, end of time or Ctrl-C. Raises NoonsongError when none is found."""
    live = Live()
    board = Board(args.board, time.monotonic, live.on_knob, live.on_gate)
    try:
        if not board.wait_open(CONNECT_S):
            raise NoonsongError(board.status().sentence or "No board found: plug it in.")
        time.sleep(0.3)  # the clocks must be compared before anything can be timed
        for line in args.do:
            sentence = perform(board, line, time.monotonic())
            if not args.json:
                print(sentence)
        if args.json:
            time.sleep(args.seconds or 1.0)
            print(json.dumps(report(board.status(), live), indent=1))
            return 0
        _show(board, live, args.seconds, time.monotonic)
    except KeyboardInterrupt:
        pass
    finally:
        board.close()
    return 0


def _show(board: Board, live: Live, seconds: float | None, now_s: Callable[[], float]) -> None:
    from rich.console import Console
    from rich.live import Live as Screen
    from rich.text import Text

    console = Console()
    console.print(HELP, highlight=False)
    end_s = now_s() + seconds if seconds else float("inf")
    reading = sys.stdin.isatty()
    with Screen(console=console, auto_refresh=False) as screen:
        while now_s() < end_s:
            ready, _, _ = select.select([sys.stdin] if reading else [], [], [], 0.1)
            if ready:
                line = sys.stdin.readline()
                if not line or line.strip() == "q":
                    return
                try:
                    console.print(perform(board, line, now_s()), highlight=False)
                except NoonsongError as error:
                    console.print(str(error), highlight=False)
            screen.update(Text(lines(board.status(), live)), refresh=True)
