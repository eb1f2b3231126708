"""Presets: how the controls stood, kept by number and name, gone back to at once or by and by."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from host.controls import Control
from model.errors import NoonsongError

SLOTS = 128  # as many as MIDI has programs
STEP_S = 0.1  # a morph plans the music anew at every step
NEVER_KEPT = ("freeze", "morph")

MoveControl = Callable[[str, float | None, str], None]


class Preset(msgspec.Struct, frozen=True):
    """Values of controls, by name."""

    name: str
    controls: dict[str, float | None]


class Presets:
    """The presets of a piece, in a file beside its journal. For any thread."""

    def __init__(self, path: Path, table: Mapping[str, Control], say: Callable[[str], None]) -> None:
        """A file that cannot be read is kept aside, and `say` tells."""
        self._path = path
        self._table = table
        self._lock = threading.Lock()
        self._morphing: Morph | None = None
        self._move: MoveControl = lambda control, value, who: None
        self._asked: Mapping[str, float | None] = {}
        self.slots: dict[int, Preset] = {}
        self.recalled: int | None = None
        try:
            self.slots = msgspec.json.decode(path.read_bytes(), type=dict[int, Preset])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            aside = path.with_name(path.name + ".unreadable")
            say(f"the presets in {path} cannot be read ({error}); they are kept as {aside}")
            with contextlib.suppress(OSError):
                path.replace(aside)

    def save(self, slot: int, name: str, controls: Mapping[str, float | None]) -> None:
        """Keep these values in a slot (0 to 127); what was there is replaced.

        Raises NoonsongError when there is no such slot or the disk refuses.
        """
        if not 0 <= slot < SLOTS:
            raise NoonsongError(f"there is no preset {slot + 1}: they go from 1 to {SLOTS}")
        kept = {n: v for n, v in controls.items() if n in self._table and n not in NEVER_KEPT}
        self._write({**self.slots, slot: Preset(name, kept)})

    def rename(self, slot: int, name: str) -> None:
        """Raises NoonsongError when the slot is empty or the disk refuses."""
        self._write({**self.slots, slot: Preset(name, self.at(slot).controls)})

    def delete(self, slot: int) -> None:
        """Raises NoonsongError when the slot is empty or the disk refuses."""
        self.at(slot)
        self._write({n: preset for n, preset in self.slots.items() if n != slot})

    def at(self, slot: int) -> Preset:
        """What a slot holds. Raises NoonsongError when it is empty."""
        if slot not in self.slots:
            raise NoonsongError(f"preset {slot + 1} is empty: save one there first")
        return self.slots[slot]

    def saved(self) -> Sequence[int]:
        """The slots that hold something, in order."""
        return sorted(self.slots)

    def connect(self, move: MoveControl, asked: Mapping[str, float | None]) -> None:
        """From now on presets can be recalled. `asked`: where the controls stand, kept up to date by its owner."""
        self._move, self._asked = move, asked

    def recall(self, slot: int) -> None:
        """Move the controls from where they are to the preset, over the seconds that the control "morph" says.

        A control that somebody moves meanwhile is left to them. Raises NoonsongError when the slot is empty.
        """
        preset = self.at(slot)
        with self._lock:
            if self._morphing is not None:
                self._morphing.stop()
            self.recalled = slot
            over_s = self._asked.get("morph") or 0.0
            self._morphing = Morph(self._table, preset, over_s, self._move, self._asked)
            self._morphing.start()

    def stop(self) -> None:
        """Leave a morph where it is."""
        with self._lock:
            if self._morphing is not None:
                self._morphing.stop()

    @property
    def morphing(self) -> bool:
        """Whether a morph is under way."""
        return self._morphing is not None and self._morphing.is_alive()

    def _write(self, slots: dict[int, Preset]) -> None:
        aside = self._path.with_name(self._path.name + ".new")
        try:
            aside.write_bytes(msgspec.json.format(msgspec.json.encode(slots)))
            aside.replace(self._path)
        except OSError as error:
            raise NoonsongError(f"the presets cannot be written to {self._path}: {error.strerror}") from None
        self.slots = slots


class Morph(threading.Thread):
    """One way from where the controls are to a preset."""

    def __init__(
        self,
        table: Mapping[str, Control],
        preset: Preset,
        over_s: float,
        move: MoveControl,
        asked: Mapping[str, float | None],
    ) -> None:
        super().__init__(name="morph", daemon=True)
        self._table = table
        self._preset = preset
        self._steps = max(1, round(over_s / STEP_S))
        self._move = move
        self._asked = asked
        self._stop_asked = threading.Event()
        self._left = {n: asked[n] for n in preset.controls if n in table and n in asked}

    def stop(self) -> None:
        """Leave the controls as they are now; it moves nothing any more when this returns."""
        self._stop_asked.set()
        self.join()

    def run(self) -> None:
        """Step by step."""
        last = dict(self._left)
        for step in range(1, self._steps + 1):
            if self._stop_asked.is_set():
                return
            for name in [name for name in last if self._asked[name] != last[name]]:
                del last[name]  # somebody else's now
            for name, before in last.items():
                end = self._preset.controls[name]
                value = between(self._table[name], self._left[name], end, step / self._steps)
                if value != before:
                    self._move(name, value, f"preset {self._preset.name}")
                    last[name] = value
            if step < self._steps and self._stop_asked.wait(STEP_S):
                return


def between(control: Control, start: float | None, end: float | None, share: float) -> float | None:
    """A value on the way: knobs turn steadily, choices and switches change at the end, "auto" halfway."""
    if share >= 1.0:
        return end
    if control.kind != "knob":
        return start
    if start is None or end is None:
        return start if share < 0.5 else end
    position = control.position_of(start)
    position += (control.position_of(end) - position) * share
    return control.value_at(position)
