"""What the box is heard by, and turned with, in `noonsong bench live`: two synthesizers, a controller, a board."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.host.jack import Receiver

SYNTH, SECOND, CONTROLLER = "bench-synth", "bench-second", "bench-controller"


class Gear:
    """A synthesizer, a controller and a board to play to."""

    def __init__(self, folder: Path) -> None:
        from tests.host.jack import Receiver, Sender
        from tests.sim.sim_board import SimBoard

        self.synths, self.controller = [Receiver(SYNTH), Receiver(SECOND)], Sender(CONTROLLER)
        self.synths[1].port.ignore_types(timing=False)
        self.board = SimBoard(link=folder / "board")
        self.board.set_knob(0, 0.5)
        self.ons = self.offs = self.doubled = self.stray = 0
        self.rises = self.falls = 0
        self.words_s: list[float] = []  # when a voltage was written, monotonic
        self.gates_s: list[tuple[float, int]] = []  # when a gate rose, and which
        self.codes = [0, 0, 0, 0]  # what the converters were last told
        self.clocks = 0
        self._held: set[tuple[int, int, int]] = set()

    def turn(self, position: float) -> float:
        """Turn the knob; returns when."""
        self.board.set_knob(0, position)
        return time.monotonic()

    def send_cc(self, position: float) -> float:
        """Move the controller; returns when."""
        now_s = time.monotonic()
        self.controller.send(0xB0, 21, round(position * 127))
        return now_s

    def listen(self, keep: bool = True) -> None:
        """Take what has arrived since the last time. Call at least once a second."""
        for synth, receiver in enumerate(self.synths):
            self._hear(synth, receiver)
        with self.board._lock:
            sim, now_s = self.board.sim, time.monotonic()
            now_cycle = self.board.cycle_at(now_s)
            writes, pins = sim.dac_writes[:], sim.pins[:]
            sim.dac_writes.clear()
            sim.pins.clear()
        for write in writes:
            self.codes[write.channel] = write.dac_code
        gates = [pin for pin in pins if 4 <= pin.pin <= 7]
        self.rises += sum(pin.high for pin in gates)
        self.falls += sum(not pin.high for pin in gates)
        if keep:
            self.words_s += [now_s + (w.cycle - now_cycle) / 16e6 for w in writes]
            self.gates_s += [(now_s + (p.cycle - now_cycle) / 16e6, p.pin - 4) for p in gates if p.high]

    @property
    def held_notes(self) -> int:
        """Notes that the synthesizer still sounds."""
        return len(self._held)

    @property
    def open_gates(self) -> int:
        """Gates that the board holds."""
        return sum(self.board.sim.gates())

    def close(self) -> None:
        """Pack up."""
        for synth in self.synths:
            synth.close()
        self.controller.close()
        self.board.close()

    def _hear(self, synth: int, receiver: "Receiver") -> None:
        receiver.drain()
        messages, receiver.all = receiver.all, []
        self.clocks += messages.count([0xF8])
        for status, note, velocity in (m for m in messages if len(m) == 3 and m[0] & 0xE0 == 0x80):
            key = (synth, status & 0x0F, note)
            if status & 0x10 and velocity:
                self.ons += 1
                self.doubled += key in self._held
                self._held.add(key)
            else:
                self.offs += 1
                self.stray += key not in self._held
                self._held.discard(key)
