"""Calibration with a simulated board and a simulated multimeter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from host import wire
from host.board import Board
from host.calibrate import CENTS_PER_VOLT, Measured, calibrate, corrections_of, parse_volts
from model.errors import NoonsongError
from tests.sim.sim_board import SimBoard

# What the output amplifiers make of a code: offset, gain, and a bend of the converter's.
Output = Callable[[int], float]
OUTPUTS: list[Output] = [
    lambda code: code / 1000 * 1.012 + 0.006,
    lambda code: code / 1000 * 0.985 - 0.004,
    lambda code: code / 1000 + 0.003 * (code / 2048 - 1) ** 2,
    lambda code: code / 1000 * 1.03 - 0.02,
]


@pytest.fixture(scope="module")
def rig() -> Iterator[tuple[SimBoard, Board]]:
    with SimBoard() as sim:
        board = Board(sim.port, time.monotonic)
        assert board.wait_open(20)
        yield sim, board
        board.close()


def _code(sim: SimBoard, channel: int) -> int:
    return [w.dac_code for w in sim.sim.dac_writes if w.channel == channel][-1]


def test_all_four_outputs(rig: tuple[SimBoard, Board]) -> None:
    sim, board = rig
    said: list[str] = []
    answers = iter(["what?", "9.9", "1003"])  # nonsense first: asked again, nothing lost

    def meter(prompt: str) -> str:
        odd = next(answers, None)
        if odd is not None:
            return odd
        channel = sum("cents now" in sentence for sentence in said)
        return f"{OUTPUTS[channel](_code(sim, channel)):.4f}".replace(".", ",")

    results = calibrate(board, [0, 1, 2, 3], meter, said.append, time.monotonic, time.sleep)
    assert any("no voltage" in s for s in said) and any("too far" in s for s in said)
    for result in results:
        print(
            f"\noutput {result.channel + 1}: {result.before_cents:.1f} cents before, {result.after_cents:.1f} after"
        )
        assert result.before_cents > 2 and result.after_cents <= 2
    # The table is the board's now, and every pitch from 0 to 4 V is within two cents.
    for result in results:
        told = board.request(wire.ReadCalibration(result.channel), wire.Calibration)
        assert isinstance(told, wire.Calibration) and told.state == 1
        table = [told.at_0v, told.at_1v, told.at_2v, told.at_3v, told.at_4v]
        assert table == result.corrections
        for semitone in range(49):
            volts = semitone / 12
            octave = min(int(volts), 3)
            level = volts * 16_000 + table[octave] + (table[octave + 1] - table[octave]) * (volts - octave)
            code = min(max(round(level / 16), 0), 4095)
            if semitone:  # 0 V itself may lie below what an output with a positive offset reaches
                assert abs(OUTPUTS[result.channel](code) - volts) * CENTS_PER_VOLT <= 2


def test_a_perfect_output_needs_nothing() -> None:
    assert corrections_of([Measured(c, c / 1000) for c in (50, 1000, 2000, 3000, 4000)]) == [0] * 5


def test_swapped_readings_are_noticed() -> None:
    codes = (50, 1000, 2000, 3000, 4000)
    with pytest.raises(NoonsongError, match="Start this output again"):
        corrections_of([Measured(c, v) for c, v in zip(codes, (0.05, 1.0, 2.18, 3.0, 4.0), strict=True)])


@pytest.mark.parametrize(("text", "volts"), [("1.003", 1.003), (" 1,003 V", 1.003), ("1003 mV", 1.003)])
def test_answers_as_people_type_them(text: str, volts: float) -> None:
    assert parse_volts(text, 1.0) == pytest.approx(volts)


@pytest.mark.parametrize("text", ["", "one", "2.0", "-1", "nan", "inf", "1003"])
def test_nonsense_is_named(text: str) -> None:
    with pytest.raises(NoonsongError):
        parse_volts(text, 1.0)
