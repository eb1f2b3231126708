"""The state of everything: what is connected, and each fault in a sentence that says what to do.

A fault is there as long as its cause is, and gone when that is mended.
"""

from collections.abc import Sequence
from typing import Any

from host.board import Board
from host.conductor import INTERNAL, ClockStatus
from host.inputs.inputs import Inputs
from host.instrument import Instrument
from host.outputs.base import Output
from host.outputs.cv import CvOutput

LATE_S = 0.01  # listeners hear it from about there
LASTING_S = 15.0  # how long what happens in moments is shown
CLOCK_PATIENCE_S = 1.0  # a clock that was chosen just now may take so long to be heard

# What to do when a clock that is to be followed is not there, besides following none.
CLOCK_ADVICE = {
    "midi": "start it where it comes from (clock.midi_port under Settings says which port that is)",
    "gate": 'patch it into the board (board.gate_inputs under Settings says which input is "clock")',
}


class Health:
    """Looks at an instrument now and then."""

    def __init__(
        self, instrument: Instrument, board: Board | None, inputs: Inputs, notices: Sequence[str]
    ) -> None:
        """`board`: None when it is played without one. `notices`: sentences for the player, growing."""
        self._instrument = instrument
        self._board = board
        self._inputs = inputs
        self._notices = notices
        self._had_board = False
        self._had_outputs: set[int] = set()
        self._counts: dict[str, int] = {}
        self._happened_s: dict[str, float] = {}
        self._worst_late_s = 0.0
        self._led_s = instrument.now_s()  # when the clock was led as it should be, last

    def look(self, now_s: float) -> dict[str, Any]:
        """Everything a page shows of it."""
        instrument = self._instrument
        scheduler, performance = instrument.scheduler, instrument.performance
        late_s, scheduler.recent_late_s = scheduler.recent_late_s, 0.0
        if late_s >= LATE_S:
            self._happened_s["late"] = now_s
            self._worst_late_s = late_s
        until = instrument.resting_until
        clock = performance.clock_status(now_s)
        midi = self._inputs.midi
        return {
            "clock": {"source": clock.source, "well": self._led(clock, now_s), "says": clock.sentence},
            "inputs": ([midi.state] if midi is not None else []) + self._osc(),
            "outputs": [
                {"says": output.state, "well": self._reaches(output)} for output in instrument.outputs
            ],
            "board": self._board_state(),
            "notes": scheduler.sent_notes,
            "late_ms": round(late_s * 1000, 2),
            "worst_late_ms": round(scheduler.worst_late_s * 1000, 1),
            "queue": scheduler.pending,
            "planned": len(performance.player.planned),
            "stalls": performance.stalls,
            "resting": instrument.resting,
            "until": f"{until:%a %H:%M}" if until else "",
            "faults": self._faults(clock, now_s),
            "notices": list(self._notices[-5:]),
        }

    def _led(self, clock: ClockStatus, now_s: float) -> bool:
        """Whether time is led by whom the player chose, or stands because the player wants it to."""
        instrument = self._instrument
        stands = instrument.resting or instrument.waiting or instrument.performance.asked["freeze"]
        if clock.source == INTERNAL or stands or (clock.following and clock.running):
            self._led_s = now_s
        return now_s - self._led_s < CLOCK_PATIENCE_S

    def _osc(self) -> list[str]:
        osc = self._inputs.osc
        return [f"OSC on {osc.address[0]}, port {osc.address[1]}"] if osc is not None else []

    def _faults(self, clock: ClockStatus, now_s: float) -> list[str]:
        instrument = self._instrument
        performance, scheduler = instrument.performance, instrument.scheduler
        faults = []
        if instrument.failure is not None:
            faults.append(f"The music has stopped ({instrument.failure}): start noonsong again.")
        for index, output in enumerate(instrument.outputs):
            if self._grew(f"output {index}", output.faults, now_s):
                faults.append(f"{output.last_fault}. It is tried again with every note.")
            elif self._missing(index, output):
                faults.append(f"{_sentence(output.state)}: plug it in, and the notes go there again.")
        if self._had_board and self._board is not None and not self._board.status().connected:
            faults.append(self._board.status().sentence)
        if not self._led(clock, now_s):
            advice = f": {CLOCK_ADVICE[clock.source]}" if clock.source in CLOCK_ADVICE else ""
            faults.append(f"{_sentence(clock.sentence)}{advice}, or set the control clock to internal.")
        for name, source in (("midi in", self._inputs.midi), ("osc", self._inputs.osc)):
            if source is not None and self._grew(name, source.faults, now_s):
                faults.append(f"{_sentence(source.last_fault)}.")
        if performance.journal_fault:
            faults.append(_sentence(performance.journal_fault) + ".")
        if self._grew("stalls", performance.stalls, now_s):
            faults.append("The whole machine stood still for a while: close what else runs on it.")
        if now_s - self._happened_s.get("late", float("-inf")) < LASTING_S:
            faults.append(
                f"Notes are late, by up to {self._worst_late_s * 1000:.0f} ms: close what else runs on this"
                " machine, or lower the density."
            )
        if self._grew("refused", scheduler.refused_notes, now_s):
            faults.append("More notes than can be kept wait for their time: lower density or thickness.")
        if self._grew("keys", performance.heard_keys.refused, now_s):
            faults.append(
                "More keys come in than two hands can play: name the keyboard in [inputs], or none."
            )
        if self._grew("moves", performance.refused_moves, now_s):
            faults.append("Controls move faster than they can be followed: look for one that jitters.")
        return faults

    def _reaches(self, output: Output) -> bool:
        """Whether what it is sent arrives."""
        by_board = isinstance(output, CvOutput)
        return _well(output) and not (
            by_board and self._board is not None and not self._board.status().connected
        )

    def _missing(self, index: int, output: Output) -> bool:
        """Whether it was connected before, or asked for by its name, and is not there."""
        if _well(output):
            self._had_outputs.add(index)
            return False
        return index in self._had_outputs or output.name != "MIDI auto"

    def _grew(self, key: str, count: int, now_s: float) -> bool:
        """Whether a count went up within the last while."""
        if count > self._counts.get(key, 0):
            self._happened_s[key] = now_s
        self._counts[key] = count
        return now_s - self._happened_s.get(key, float("-inf")) < LASTING_S

    def _board_state(self) -> dict[str, Any]:
        if self._board is None:
            return {"connected": False, "says": "played without a board"}
        status = self._board.status()
        self._had_board = self._had_board or status.connected
        says = f"{status.board} on {status.port}" if status.connected else status.sentence
        return {
            "connected": status.connected,
            "says": says or "looking for a board",
            "round_trip_ms": round(status.round_trip_s * 1000, 2),
        }


def _well(output: Output) -> bool:
    return bool(getattr(output, "connected", True))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
