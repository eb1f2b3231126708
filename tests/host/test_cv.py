import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.board_events import BoardEvent, CvNote, GateLevel
from host.events import NoteOff, NoteOn
from host.outputs.cv import CV_CHANNELS, Allocator, CvOutput, folded_volts


@given(st.integers(0, 127), st.integers(24, 48))
def test_every_note_is_folded_into_the_range_by_octaves(pitch: int, zero: int) -> None:
    volts = folded_volts(pitch, zero)
    assert 0 <= volts <= 4.095
    octaves = (pitch - zero) / 12 - volts
    assert octaves == pytest.approx(round(octaves))
    if 0 <= pitch - zero <= 49:
        assert volts == pytest.approx((pitch - zero) / 12)


def test_a_line_stays_on_its_channel() -> None:
    allocator = Allocator()
    low, high = NoteOn(2, 40, 90), NoteOn(2, 72, 90)
    channels = (allocator.start(low), allocator.start(high))
    assert channels == (0, 1)
    for step in range(1, 6):
        allocator.end(NoteOff(2, 40 + step - 1))
        allocator.end(NoteOff(2, 72 + step - 1))
        assert allocator.start(NoteOn(2, 72 + step, 90)) == 1
        assert allocator.start(NoteOn(2, 40 + step, 90)) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=80))
def test_no_gate_is_left_high_and_none_is_used_twice(events: list[tuple[bool, int]]) -> None:
    allocator = Allocator()
    high: dict[int, int] = {}
    for begins, pitch in events:
        if begins:
            channel = allocator.start(NoteOn(2, pitch, 90))
            if channel in high:
                assert len(high) == CV_CHANNELS
            high[channel] = pitch
        else:
            ended = allocator.end(NoteOff(2, pitch))
            if ended is not None:
                assert high.pop(ended) == pitch
            else:
                assert pitch not in high.values()


class FakeBoard:
    def __init__(self) -> None:
        self.events: list[tuple[BoardEvent | str, float]] = []

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        self.events.append((event, due_s))

    def release_all(self) -> None:
        self.events.append(("release", 0.0))


def test_notes_become_pitch_and_gate_drums_do_not() -> None:
    board = FakeBoard()
    output = CvOutput(board, voices=[2], zero_pitch=36)
    output.send(NoteOn(2, 48, 90), 1.0)
    output.send(NoteOn(0, 40, 90), 1.0)
    output.send(NoteOff(2, 48), 2.0)
    output.panic(3.0)
    assert board.events == [(CvNote(0, 1.0), 1.0), (GateLevel(0, False), 2.0), ("release", 0.0)]
