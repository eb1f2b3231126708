"""The knobs and the passing notes in a terminal, and keys to turn them: the panel for who has no browser."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from host.controls import Control
from host.instrument import Instrument
from model.tokens import PPQN, VOICE_NAMES

FRAMES_PER_S = 8
BAR_COLUMNS = 10
ROLL_ROWS = 18
ROLL_COLUMNS = 96
LOWEST_PITCH = 28  # of the lowest row; each row is four semitones
TICKS_PER_COLUMN = PPQN // 4
STEP = 0.02  # of a knob's way, for one key press

# key -> (control, steps); the rest of the keys are in `press`
KNOB_KEYS = {
    "t": ("temperature", -1), "T": ("temperature", 1),
    "d": ("density", -1), "D": ("density", 1),
    "-": ("tempo", -1), "+": ("tempo", 1), "=": ("tempo", 1),
    "c": ("thickness", -1), "C": ("thickness", 1),
    "r": ("rhythm", -1), "R": ("rhythm", 1),
    "p": ("pitch", -1), "P": ("pitch", 1),
    "s": ("source", -1), "S": ("source", 1),
}  # fmt: skip
MARK_KEYS = {"l": "loved", "k": "disliked"}
HELP = (
    "t/T temperature  d/D density  -/+ tempo  c/C chords  s/S source\n"
    "m meter  space freeze  n new phrase  l loved  k disliked  x panic  q quit"
)
COLOURS = ("white", "red", "yellow", "green", "cyan", "blue", "magenta")  # by voice


class Terminal:
    """The live view. Reads keys on the main thread; never touches the music but through moves."""

    def __init__(self, instrument: Instrument, table: Mapping[str, Control], notices: Sequence[str]) -> None:
        self._instrument = instrument
        self._table = table
        self._notices = notices
        self._quit = False

    def run(self, seconds: float | None) -> None:
        """Until q, a signal, or the time is over. The terminal is left as it was found."""
        end_s = None if seconds is None else time.monotonic() + seconds
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor)
            with Live(self.view(), console=Console(), auto_refresh=False, screen=True) as live:
                while not (self._quit or self._instrument.wait(0.0) or (end_s and time.monotonic() > end_s)):
                    if select.select([descriptor], [], [], 1 / FRAMES_PER_S)[0]:
                        for key in os.read(descriptor, 64).decode(errors="ignore"):
                            self.press(key)
                    live.update(self.view(), refresh=True)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def press(self, key: str) -> None:
        """Do what a key stands for; unknown keys do nothing."""
        instrument = self._instrument
        controls = instrument.performance.asked
        if key in KNOB_KEYS:
            name, direction = KNOB_KEYS[key]
            if name in self._table:
                self._turn(self._table[name], direction)
        elif key == " ":
            instrument.move("freeze", 0.0 if controls["freeze"] else 1.0, "keyboard")
        elif key == "m":
            meter = self._table["meter"]
            instrument.move("meter", ((controls["meter"] or 0) + 1) % (meter.high + 1), "keyboard")
        elif key in MARK_KEYS:
            instrument.mark(MARK_KEYS[key], "keyboard")
        elif key == "n":
            instrument.performance.begin_phrase()
        elif key == "x":
            instrument.panic()
        elif key == "q":
            self._quit = True

    def _turn(self, control: Control, direction: int) -> None:
        value = self._instrument.performance.asked[control.name]
        if control.choices:  # from name to name
            at = -1.0 if value is None else round(value)
            new = at + direction
            self._instrument.move(control.name, control.clip(new) if new >= 0 else None, "keyboard")
        else:
            position = control.position_of(value) + direction * STEP
            self._instrument.move(control.name, control.value_at(position), "keyboard")

    def view(self) -> RenderableType:
        """One frame."""
        return Group(self._knobs(), self._roll(), self._state(), Text(HELP, style="dim"))

    def _knobs(self) -> Table:
        cells = []
        for control in self._table.values():
            value = self._instrument.performance.asked[control.name]
            filled = round(control.position_of(value) * BAR_COLUMNS)
            bar = Text("█" * filled, style="yellow") + Text("░" * (BAR_COLUMNS - filled), style="dim")
            cells.append((control.name, bar, control.text(value)))
        rows = -(-len(cells) // 2)
        table = Table.grid(padding=(0, 1))
        for left, right in zip_longest(cells[:rows], cells[rows:], fillvalue=("", Text(), "")):
            table.add_row(*left, " ", *right)
        return table

    def _roll(self) -> Text:
        """Played, sounding and coming notes: pitch upwards, a column a sixteenth, a colour a voice."""
        performance = self._instrument.performance
        now_tick = performance.clock.tick_at(self._instrument.now_s())
        now_column = ROLL_COLUMNS * 2 // 3
        first = int(now_tick // TICKS_PER_COLUMN) - now_column
        cells = [[(" ", "")] * ROLL_COLUMNS for _ in range(ROLL_ROWS)]
        for row in cells:
            row[now_column] = ("│", "dim")
        planned = [spelled.note for spelled, _ in list(performance.player.planned) if spelled.note]
        recent = [spelled.note for spelled in list(performance.recent) if spelled.note]
        for note in [*recent, *planned]:
            coming = note.tick > now_tick
            row = cells[ROLL_ROWS - 1 - min(max((note.pitch - LOWEST_PITCH) // 4, 0), ROLL_ROWS - 1)]
            column = note.tick // TICKS_PER_COLUMN - first
            for offset in range(max(1, note.duration // TICKS_PER_COLUMN)):
                if 0 <= column + offset < ROLL_COLUMNS:
                    mark = ("░" if offset == 0 else "·") if coming else ("█" if offset == 0 else "▒")
                    row[column + offset] = (mark, ("dim " if coming else "") + COLOURS[note.voice])
        bar = performance.player.settings.meter
        beat = bar.tick_in_bar(int(now_tick)) // PPQN + 1
        text = Text(f"\nbeat {beat} of {bar.bar_ticks / PPQN:g}\n", style="dim")
        for row in cells:
            text.append_text(Text.assemble(*row, "\n"))
        return text

    def _state(self) -> Text:
        instrument = self._instrument
        outputs = [output.state for output in instrument.outputs]
        recent = [spelled.note for spelled in list(instrument.performance.recent) if spelled.note]
        until = instrument.resting_until
        clock = instrument.performance.clock_status(instrument.now_s())
        lines = [
            *([f"resting until {until:%a %H:%M}"] if until else []),
            *(["the past is played, the piece waits"] if instrument.waiting else []),
            *([clock.sentence] if clock.sentence else []),
            "to " + (", ".join(outputs) or "nobody (no MIDI port, no recording): the journal keeps it"),
            "last " + (f"{VOICE_NAMES[recent[-1].voice]} {recent[-1].pitch}" if recent else "-"),
            *[o.last_fault for o in instrument.outputs if o.faults],
            *([instrument.performance.journal_fault] if instrument.performance.journal_fault else []),
            *self._notices[-3:],
        ]
        return Text("\n".join(lines))
