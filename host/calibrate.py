"""`noonsong calibrate`: a person with a multimeter makes every output's volts right."""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from host import wire
from host.board import Board
from host.board_events import CV_HIGHEST_VOLTS, CvLevel
from model.errors import NoonsongError

# Near the whole volts that the table keeps, but off the ends, where an output amplifier may bend.
MEASURED_CODES = (50, 1000, 2000, 3000, 4000)
CHECKED_VOLTS = (0.5, 2.25, 3.75)
# Further off than this is a wrong range, a slip of the finger or a broken output.
MOST_OFF_VOLTS = 0.2
CENTS_PER_VOLT = 1200
GOOD_CENTS = 2.0


class Measured(NamedTuple):
    """Volts read at an output while its converter had a code."""

    dac_code: int
    volts: float


def parse_volts(text: str, expected: float) -> float:
    """Volts from what a person types: 1.003, 1,003 or 1003 mV. Raises NoonsongError saying what is odd."""
    cleaned = text.strip().lower().replace(",", ".")
    scale = 1.0
    if cleaned.endswith("mv"):
        cleaned, scale = cleaned[:-2], 1e-3
    try:
        volts = float(cleaned.removesuffix("v")) * scale
    except ValueError:
        raise NoonsongError(
            f"{text.strip()!r} is no voltage: type what the meter shows, such as {expected:.3f}."
        ) from None
    if not abs(volts - expected) <= MOST_OFF_VOLTS:
        hint = " (is the meter set to millivolts? then type 'mV' after the number)" if volts > 40 else ""
        raise NoonsongError(
            f"{volts:g} V is too far from the {expected:.3f} V this output should have{hint}: check the "
            "socket, the meter's range and its ground, and type it again."
        )
    return volts


def corrections_of(measured: Sequence[Measured]) -> list[int]:
    """Levels to add at 0, 1, 2, 3 and 4 V so that the output has these volts.

    Between measured points the output is taken as straight, outside them as going on. Raises NoonsongError
    when the readings do not rise as the codes do, or lie beyond what the board corrects.
    """
    points = sorted(measured)
    for low, high in itertools.pairwise(points):
        slope = (high.volts - low.volts) / (high.dac_code - low.dac_code) * 1000
        if not 0.9 < slope < 1.1:
            raise NoonsongError(
                f"From {low.volts:.3f} V to {high.volts:.3f} V the readings rise by {slope:.2f} of what they "
                "should: one of them is another output's, or was typed wrongly. Start this output again."
            )
    corrections = []
    for volts in range(wire.CALIBRATION_POINTS):
        pairs = list(itertools.pairwise(points))
        low, high = next(((a, b) for a, b in pairs if volts <= b.volts), pairs[-1])
        code = low.dac_code + (volts - low.volts) * (high.dac_code - low.dac_code) / (high.volts - low.volts)
        corrections.append(round(code * 16) - volts * wire.LEVELS_PER_VOLT)
    if max(map(abs, corrections)) > 4000:
        raise NoonsongError(
            "This output is more than a quarter of a volt off: the board cannot correct that."
        )
    return corrections


def cents(volts: float, wanted: float) -> float:
    """How far a pitch is off, at one volt per octave."""
    return (volts - wanted) * CENTS_PER_VOLT


class Result(NamedTuple):
    """A channel's outcome: worst errors in cents before and after, and the table."""

    channel: int
    before_cents: float
    after_cents: float
    corrections: list[int]


def calibrate_channel(
    board: Board,
    channel: int,
    ask: Callable[[str], str],
    say: Callable[[str], None],
    now_s: Callable[[], float],
    pause: Callable[[float], None],
) -> Result:
    """Measure one output, correct it, measure again. Raises NoonsongError when that cannot be done."""
    say(f"Output {channel + 1}: connect the multimeter (20 V range or finer) to its socket.")
    measured = []
    for code in MEASURED_CODES:
        expected = code / 1000
        board.apply(wire.DacCode(channel, code))
        measured.append(
            Measured(code, _ask_volts(ask, say, f"  {expected:.3f} V asked for, meter shows", expected))
        )
    before = max(abs(cents(m.volts, m.dac_code / 1000)) for m in measured)
    corrections = corrections_of(measured)
    board.apply(wire.WriteCalibration(channel, *corrections))
    after = 0.0
    for volts in CHECKED_VOLTS:
        board.schedule(CvLevel(channel, volts), now_s() + 0.05)
        pause(0.3)
        read = _ask_volts(ask, say, f"  corrected: {volts:.3f} V asked for, meter shows", volts)
        after = max(after, abs(cents(read, volts)))
    say(f"Output {channel + 1}: off by up to {before:.1f} cents before, {after:.1f} cents now.")
    if after > max(GOOD_CENTS, before):
        say("  That is no better: perhaps a reading was typed wrongly. Do this output once more.")
    return Result(channel, before, after, corrections)


def _ask_volts(ask: Callable[[str], str], say: Callable[[str], None], prompt: str, expected: float) -> float:
    while True:
        try:
            return parse_volts(ask(f"{prompt}: "), expected)
        except NoonsongError as error:
            say(f"  {error}")


def calibrate(
    board: Board,
    channels: Sequence[int],
    ask: Callable[[str], str],
    say: Callable[[str], None],
    now_s: Callable[[], float],
    pause: Callable[[float], None],
) -> list[Result]:
    """Walk through the channels and store the outcome in the board. Nothing is stored if it is broken off."""
    results = []
    for channel in channels:
        while True:
            try:
                results.append(calibrate_channel(board, channel, ask, say, now_s, pause))
                break
            except NoonsongError as error:
                if not board.status().connected:
                    raise
                say(str(error))
    saved = board.request(wire.SaveCalibration(0), wire.Saved, timeout_s=3.0)
    state = wire.CALIBRATION_STATES.get(saved.state) if isinstance(saved, wire.Saved) else None
    if state != "stored":
        raise NoonsongError(
            "The board could not store its calibration: its EEPROM does not keep what is written."
        )
    say("Stored in the board.")
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of `noonsong calibrate`."""
    parser.add_argument(
        "--board", metavar="PORT", help="the board's serial port (otherwise it is looked for)"
    )
    parser.add_argument("--output", type=int, action="append", metavar="N", help="only this output, 1 to 4")
    parser.add_argument("--erase", action="store_true", help="go back to the default calibration")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON, at the end")


def run(args: argparse.Namespace) -> int:
    """Calibrate; returns 0. Raises NoonsongError when no board is there or an answer makes no sense."""
    channels = [n - 1 for n in args.output or (1, 2, 3, 4)]
    if not all(0 <= c < 4 for c in channels):
        raise NoonsongError(f"--output takes 1 to 4, not {', '.join(map(str, args.output))}.")
    board = Board(args.board, time.monotonic)
    try:
        if not board.wait_open(6.0):
            raise NoonsongError(board.status().sentence or "No board found: plug it in.")
        if args.erase:
            board.request(wire.SaveCalibration(1), wire.Saved, timeout_s=3.0)
            print("The board plays with the default calibration again.")
            return 0
        print(f"The range is 0 to {CV_HIGHEST_VOLTS} V. A meter good to 1 mV makes pitches good to 1 cent.")
        try:
            results = calibrate(board, channels, input, print, time.monotonic, time.sleep)
        except (EOFError, KeyboardInterrupt):
            raise NoonsongError("Broken off: the board keeps what it had stored before.") from None
        if args.json:
            print(json.dumps([result._asdict() for result in results]))
    finally:
        board.close()
    return 0
