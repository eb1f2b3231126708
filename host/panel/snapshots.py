"""What the pages see: the difference between one look at the performance and the next."""

from collections.abc import Mapping
from typing import Any

from host.controls import Control, source_mix
from host.events import Spelled
from host.performance import Performance

CURVE_STEPS = 32  # points of a knob's way that a page is told the values of

# Position, tick, voice (-1: a new phrase), pitch, velocity, duration, whether somebody else played it.
Row = tuple[int, int, int, int, int, int, bool]


class Snapshots:
    """Looks at a running performance, from any thread, and changes nothing in it.

    `frame` tells what is new since the last one, `whole` everything as it was at the last frame.
    """

    def __init__(self, performance: Performance, table: Mapping[str, Control]) -> None:
        self._performance = performance
        self._table = table
        self._final = 0  # the position up to which notes were told as final
        self._plan: list[Spelled] = []  # told after that
        self._controls: dict[str, tuple[float | None, str]] = {}
        self._meter: tuple[int, ...] = ()

    def frame(self, now_s: float) -> dict[str, Any]:
        """The clock's line, what was planned, final or dropped, and the controls that moved."""
        frame: dict[str, Any] = {"kind": "frame", "clock": self._clock(now_s)}
        kept, new = self._look()
        if kept is not None:
            frame["cut"] = kept
        if new:
            frame["notes"] = [_row(spelled) for spelled in new]
        frame["final"] = self._final
        moved = self._moved()
        if moved:
            frame["controls"] = moved
        meter = tuple(self._performance.player.settings.meter)
        if meter != self._meter:
            self._meter = meter
            frame["meter"] = meter
        return frame

    def whole(self, now_s: float) -> dict[str, Any]:
        """All that a page needs to begin; the frames after the last one continue it."""
        notes = [s for s in list(self._performance.recent) if s.position <= self._final] + self._plan
        return {
            "kind": "whole",
            "clock": self._clock(now_s),
            "notes": [_row(spelled) for spelled in notes],
            "final": self._final,
            "controls": {name: self._control(name) for name in self._controls},
            "meter": self._meter,
        }

    def _clock(self, now_s: float) -> tuple[float, float, float, bool]:
        """(tick, the monotonic time of that, ticks a second, whether it runs)."""
        clock = self._performance.clock
        return round(clock.tick_at(now_s), 3), now_s, round(clock.ticks_per_s, 4), clock.running

    def _look(self) -> tuple[int | None, list[Spelled]]:
        """(the last position of the told plan that still holds if any of it was dropped, what is new)."""
        # Planned first: what becomes final in between is then seen twice, never missed.
        planned = [spelled for spelled, _ in list(self._performance.player.planned)]
        recent = list(self._performance.recent)
        final = recent[-1].position if recent else 0
        now = [s for s in recent if s.position > self._final]
        now += [s for s in planned if s.position > final]
        same = 0
        for told, seen in zip(self._plan, now, strict=False):
            if (told.position, told.note) != (seen.position, seen.note):
                break
            same += 1
        kept = None
        if same < len(self._plan):
            kept = self._plan[same - 1].position if same else self._final
        self._final = max(final, self._final)
        self._plan = [s for s in now if s.position > self._final]
        return kept, now[same:]

    def _moved(self) -> dict[str, dict[str, Any]]:
        moved = {}
        asked, moved_by = self._performance.asked, self._performance.moved_by
        for name in self._table:
            state = (asked[name], moved_by.get(name, ""))
            if self._controls.get(name) != state:
                self._controls[name] = state
                moved[name] = self._control(name)
        return moved

    def _control(self, name: str) -> dict[str, Any]:
        value, who = self._controls[name]
        control = self._table[name]
        state: dict[str, Any] = {
            "value": value,
            "position": round(control.position_of(value), 4),
            "text": control.text(value),
            "who": who,
        }
        if name == "source":
            state["mix"] = {control.choices[i]: round(share, 3) for i, share in source_mix(value).items()}
        return state


def described(table: Mapping[str, Control]) -> list[dict[str, Any]]:
    """The table of controls, as a page draws it."""
    return [
        {
            "name": c.name,
            "kind": c.kind,
            "help": c.help,
            "unit": c.unit,
            "optional": c.optional,
            "choices": c.choices,
            "steps": c.kind != "knob",
            "default": round(c.position_of(c.default), 4),
            "range": c.range_text(),
            "values": [c.value_at(i / CURVE_STEPS) for i in range(CURVE_STEPS + 1)]
            if c.kind == "knob"
            else [],
        }
        for c in table.values()
    ]


def _row(spelled: Spelled) -> Row:
    note = spelled.note
    if note is None:
        return spelled.position, spelled.tick, -1, 0, 0, 0, False
    return spelled.position, *note, spelled.heard
