"""`noonsong sim-board`: the real firmware in a simulated chip behind a pseudo terminal, at real speed."""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.sim.simulator import CYCLES_PER_US, GATE_PINS, Simulator

Value = TypeVar("Value")

SLICE_US = 250
LARGEST_LAG_S = 0.1


class SimBoard:
    """A simulated board on a pty, run by its own thread. `port` is what a host opens.

    Knobs, gate inputs, reset and unplug are driven from any thread; `at()` runs a function on the board's
    thread between two slices, with the simulator to itself. A pty's name may go to another program when it
    is free; a `link` is a name that stays this board's, there while it is plugged in.
    """

    def __init__(
        self, elf: Path | None = None, now_s: Callable[[], float] = time.monotonic, link: Path | None = None
    ) -> None:
        self.sim = Simulator(elf)
        self._now_s = now_s
        self._link = link
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._plugged = False
        self.unread_bytes = 0
        self.worst_lag_s = 0.0  # so far behind the host's clock; may be set back to nothing
        self._master = self._slave = -1
        self.port = ""
        self.plug()
        self._began_s = self._now_s()
        self._began_cycle = self.sim.cycle
        self._thread = threading.Thread(target=self._run, name="sim-board", daemon=True)
        self._thread.start()

    def plug(self) -> None:
        """A new pty, most likely under another name, as after a replug."""
        with self._lock:
            self._master, self._slave = pty.openpty()
            # The slave stays open here: a pty whose last reader goes away is hung up for good.
            tty.setraw(self._slave, termios.TCSANOW)
            os.set_blocking(self._master, False)
            self.port = os.ttyname(self._slave)
            if self._link:
                self._link.unlink(missing_ok=True)
                self._link.symlink_to(self.port)
                self.port = str(self._link)
            self._plugged = True

    def unplug(self) -> None:
        """Pull the USB cable: the port goes away and the board loses its power."""
        with self._lock:
            self._hang_up()
            self.sim.reset()

    def reset(self) -> None:
        """Press the reset button."""
        with self._lock:
            self.sim.reset()

    def set_knob(self, index: int, value: float) -> None:
        """Turn an analogue input to 0 to 1."""
        with self._lock:
            self.sim.set_adc(index, round(min(max(value, 0.0), 1.0) * 1023))

    def set_gate_in(self, index: int, high: bool) -> None:
        """Set a gate input."""
        with self._lock:
            self.sim.set_gate_in(index, high)

    def at(self, action: Callable[[Simulator], Value]) -> Value:
        """Do or ask something of the simulator while it stands still."""
        with self._lock:
            return action(self.sim)

    def cycle_at(self, now_s: float) -> int:
        """The cycle that belongs to a time of the host's clock, while the simulation keeps up."""
        return self._began_cycle + round((now_s - self._began_s) * 1e6 * CYCLES_PER_US)

    def close(self) -> None:
        """Stop the thread and free the chip."""
        self._stop.set()
        self._thread.join()
        if self._plugged:
            self._hang_up()
        self.sim.close()

    def _hang_up(self) -> None:
        self._plugged = False
        if self._link:
            self._link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)

    def __enter__(self) -> SimBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                target = self.cycle_at(self._now_s())
                behind = target - self.sim.cycle
                lag_s = behind / CYCLES_PER_US / 1e6
                self.worst_lag_s = max(self.worst_lag_s, lag_s)
                if lag_s > LARGEST_LAG_S:
                    # The machine cannot keep up: the board's clock stands still for a while.
                    self._began_cycle -= behind
                if behind > 0:
                    self.sim.run_to(self.sim.cycle + min(behind, SLICE_US * 4 * CYCLES_PER_US))
                self._exchange()
            self._wait()

    def _wait(self) -> None:
        ahead = self.sim.cycle - self.cycle_at(self._now_s())
        if ahead <= -SLICE_US * CYCLES_PER_US:
            return
        timeout = SLICE_US / 1e6 + max(0.0, ahead / CYCLES_PER_US / 1e6)
        with contextlib.suppress(OSError, ValueError):
            select.select([self._master] if self._plugged else [], [], [], timeout)

    def _exchange(self) -> None:
        sent = self.sim.take_transmitted()
        if not self._plugged:
            return
        with contextlib.suppress(BlockingIOError, OSError):
            if sent:
                written = os.write(self._master, sent)
                self.unread_bytes += len(sent) - written
        with contextlib.suppress(BlockingIOError, OSError):
            data = os.read(self._master, 4096)
            if data:  # it has just come: not before now
                self.sim.feed(data, max(self.sim.cycle, self.cycle_at(self._now_s())))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of `noonsong sim-board`."""
    parser.add_argument("--plain", action="store_true", help="print the port and nothing more")
    parser.add_argument("--link", type=Path, help="a name for the port that stays the same after a replug")


HELP = """Type: a letter a to h and a number 0 to 100 turns a knob or CV input (b 75), 1 or 2 toggles a gate
input, r resets, u unplugs or plugs, q ends."""


def command(board: SimBoard, line: str, gates: list[bool]) -> str:
    """Do what a typed line says; returns a sentence."""
    words = line.split()
    if not words:
        return ""
    name = words[0].lower()
    if len(name) == 1 and name in "abcdefgh" and len(words) == 2:
        try:
            value = float(words[1])
        except ValueError:
            return f"{words[1]!r} is no number: a knob takes 0 to 100."
        board.set_knob("abcdefgh".index(name), value / 100)
        return f"knob {name} at {min(max(value, 0), 100):g}"
    if name in {"1", "2"}:
        index = int(name) - 1
        gates[index] = not gates[index]
        board.set_gate_in(index, gates[index])
        return f"gate input {name} {'high' if gates[index] else 'low'}"
    if name == "r":
        board.reset()
        return "reset"
    if name == "u":
        if board._plugged:
            board.unplug()
            return "unplugged; u plugs it in again"
        board.plug()
        return f"plugged in: {board.port}"
    return HELP


def run(args: argparse.Namespace) -> int:
    """Run the board until end of input or Ctrl-C."""
    with SimBoard(link=args.link) as board:
        print(f"A simulated board is on {board.port}", flush=True)
        print(f"Play through it: noonsong play --board {board.port}", flush=True)
        if args.plain:
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
            return 0
        print(HELP, flush=True)
        gates = [False, False]
        shown = ""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                ready, _, _ = select.select([sys.stdin], [], [], 0.2)
                if ready:
                    line = sys.stdin.readline()
                    if not line or line.strip() == "q":
                        break
                    print(command(board, line, gates), flush=True)
                now = outputs(board)
                if now != shown:
                    shown = now
                    print(now, flush=True)
    return 0


def outputs(board: SimBoard) -> str:
    """The outputs in a line: volts and gates."""
    volts = dict.fromkeys(range(4), "-.---")
    with board._lock:
        for write in board.sim.dac_writes[-64:]:
            volts[write.channel] = f"{write.dac_code / 1000:.3f}"
        del board.sim.dac_writes[:-64]
        del board.sim.pins[:-64]
        levels = [board.sim.levels.get(pin, False) for pin in GATE_PINS]
    cells = (f"{c + 1}: {volts[c]} V {'#' if levels[c] else '.'}" for c in range(4))
    return "   ".join(cells)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
