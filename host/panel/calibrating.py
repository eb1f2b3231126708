"""Calibration with a multimeter, one answer after another, for a page. The arithmetic is host.calibrate's."""

from typing import Any

from host import wire
from host.board import Board
from host.board_events import CvLevel
from host.calibrate import CHECKED_VOLTS, MEASURED_CODES, Measured, cents, corrections_of, parse_volts
from model.errors import NoonsongError

CHANNELS = 4
AHEAD_S = 0.05


class Calibrating:
    """One output being calibrated. Nothing is stored before `save`."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._channel = 0
        self._measured: list[Measured] = []
        self._checked: list[float] = []

    def begin(self, channel: int, now_s: float) -> dict[str, Any]:
        """Put out the first voltage. Raises NoonsongError when there is no such output, or no board."""
        if not 0 <= channel < CHANNELS:
            raise NoonsongError(f"there is no output {channel + 1}: they are 1 to {CHANNELS}")
        if not self._board.status().connected:
            raise NoonsongError("no board is connected: plug it in")
        self._channel, self._measured, self._checked = channel, [], []
        return self._next(now_s)

    def read(self, text: str, now_s: float) -> dict[str, Any]:
        """What the meter shows; puts out the next voltage. Raises NoonsongError when that cannot be."""
        if len(self._measured) < len(MEASURED_CODES):
            code = MEASURED_CODES[len(self._measured)]
            self._measured.append(Measured(code, parse_volts(text, code / 1000)))
            if len(self._measured) == len(MEASURED_CODES):
                try:
                    corrections = corrections_of(self._measured)
                except NoonsongError:
                    self._measured = []
                    raise
                self._board.apply(wire.WriteCalibration(self._channel, *corrections))
        elif len(self._checked) < len(CHECKED_VOLTS):
            volts = CHECKED_VOLTS[len(self._checked)]
            self._checked.append(abs(cents(parse_volts(text, volts), volts)))
        return self._next(now_s)

    def save(self) -> dict[str, Any]:
        """Keep it in the board. Raises NoonsongError when the board cannot."""
        saved = self._board.request(wire.SaveCalibration(0), wire.Saved, timeout_s=3.0)
        if not isinstance(saved, wire.Saved) or wire.CALIBRATION_STATES.get(saved.state) != "stored":
            raise NoonsongError("the board could not store its calibration")
        return {"kind": "calibrating", "output": self._channel + 1, "says": "Stored in the board."}

    def _next(self, now_s: float) -> dict[str, Any]:
        """The next voltage, put out, or the outcome."""
        answer: dict[str, Any] = {"kind": "calibrating", "output": self._channel + 1}
        steps = len(MEASURED_CODES) + len(CHECKED_VOLTS)
        if len(self._measured) < len(MEASURED_CODES):
            code = MEASURED_CODES[len(self._measured)]
            self._board.apply(wire.DacCode(self._channel, code))
            return answer | {"volts": code / 1000, "step": len(self._measured) + 1, "steps": steps}
        if len(self._checked) < len(CHECKED_VOLTS):
            volts = CHECKED_VOLTS[len(self._checked)]
            self._board.schedule(CvLevel(self._channel, volts), now_s + AHEAD_S)
            return answer | {
                "volts": volts,
                "step": steps - len(CHECKED_VOLTS) + len(self._checked) + 1,
                "steps": steps,
            }
        before = max(abs(cents(m.volts, m.dac_code / 1000)) for m in self._measured)
        return answer | {"before_cents": round(before, 1), "after_cents": round(max(self._checked), 1)}
