import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.board_events import BoardEvent, CvLevel, CvNote, GateLevel
from host.config import Board
from host.events import ControlAt, NoteOff, NoteOn
from host.outputs.cv import CvOutput, folded_volts
from host.outputs.cv_roles import CHANNELS, outlets_with_role
from host.outputs.lanes import LastNoteLanes, family_lanes, register_lanes
from model.errors import NoonsongError
from model.tokens import DRUMS, VOICE_NAMES
from tests.host.playing import TABLE

KEYS = VOICE_NAMES.index("keys")


@given(st.integers(0, 127), st.integers(24, 48))
def test_every_note_is_folded_into_the_range_by_octaves(pitch: int, zero: int) -> None:
    volts = folded_volts(pitch, zero)
    assert 0 <= volts <= 4.095
    octaves = (pitch - zero) / 12 - volts
    assert octaves == pytest.approx(round(octaves))
    if 0 <= pitch - zero <= 49:
        assert volts == pytest.approx((pitch - zero) / 12)


def test_a_line_stays_on_its_channel() -> None:
    lanes = LastNoteLanes(CHANNELS)
    low, high = NoteOn(2, 40, 90), NoteOn(2, 72, 90)
    channels = (lanes.start(low), lanes.start(high))
    assert channels == (0, 1)
    for step in range(1, 6):
        lanes.end(NoteOff(2, 40 + step - 1))
        lanes.end(NoteOff(2, 72 + step - 1))
        assert lanes.start(NoteOn(2, 72 + step, 90)) == 1
        assert lanes.start(NoteOn(2, 40 + step, 90)) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=80))
def test_no_gate_is_left_high_and_none_is_used_twice(events: list[tuple[bool, int]]) -> None:
    lanes = LastNoteLanes(CHANNELS)
    high: dict[int, int] = {}
    for begins, pitch in events:
        if begins:
            channel = lanes.start(NoteOn(2, pitch, 90))
            assert channel is not None
            if channel in high:
                assert len(high) == CHANNELS
            high[channel] = pitch
        else:
            ended = lanes.end(NoteOff(2, pitch))
            if ended is not None:
                assert high.pop(ended) == pitch
            else:
                assert pitch not in high.values()


class KeptBoard:
    """Keeps what a board would be asked for; test_cv_board.py has the board itself."""

    sessions = 1

    def __init__(self) -> None:
        self.events: list[tuple[BoardEvent | str, float]] = []

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        self.events.append((event, due_s))

    def release_all(self) -> None:
        self.events.append(("release", 0.0))

    def taken(self) -> list[tuple[BoardEvent | str, float]]:
        events, self.events = self.events, []
        return sorted(events, key=lambda event: event[1])


def output(board: KeptBoard, **settings: object) -> CvOutput:
    return CvOutput(board, Board(**settings), TABLE, lambda: 9.0)  # type: ignore[arg-type]


def test_notes_become_pitch_and_gate_drums_do_not() -> None:
    board = KeptBoard()
    cv = output(board, cv_voices=("keys",))
    cv.send(NoteOn(KEYS, 48, 90), 1.0)
    cv.send(NoteOn(DRUMS, 40, 90), 1.0)
    cv.send(NoteOff(KEYS, 48), 2.0)
    cv.panic(3.0)
    assert board.events == [(CvNote(0, 1.0), 1.0), (GateLevel(0, False), 2.0), ("release", 0.0)]


def test_every_role_says_its_part_voltages_first() -> None:
    board = KeptBoard()
    cv = output(
        board,
        cv=("pitch 1", "velocity 1", "control density", "gate 1"),
        gates=("trigger 1", "gate 2", "gate 1", "trigger drums 36"),
        slew_ms=(30, 0, 5, 0),
        trigger_ms=8.0,
        allot="register",
        registers=(60,),
    )
    cv.send(NoteOn(KEYS, 48, 127), 1.0)
    assert board.taken() == [
        (CvLevel(3, 0.0), 0.998),
        (CvLevel(1, 4.0), 0.999),
        (CvNote(0, 1.0, 0.008, 30), 1.0),
        (CvLevel(3, 4.0), 1.0),
        (GateLevel(2, True), 1.0),
    ]
    cv.send(NoteOn(KEYS, 72, 100), 1.5)
    assert board.taken() == [(GateLevel(1, True), 1.5)]
    cv.send(NoteOff(KEYS, 48), 2.0)
    assert board.taken() == [(GateLevel(2, False), 2.0), (CvLevel(3, 0.0), 2.0)]
    cv.send(NoteOn(DRUMS, 36, 90), 3.0)
    cv.send(NoteOn(DRUMS, 38, 90), 3.0)
    assert board.taken() == [(GateLevel(3, True, 0.008), 3.0)]
    cv.send(ControlAt("density", 0.25), 4.0)
    cv.send(ControlAt("tempo", 0.25), 4.0)
    assert board.taken() == [(CvLevel(2, 1.0, 5), 4.0)]
    board.sessions = 2  # replugged: it stands at nothing
    cv.watch()
    cv.watch()
    assert board.taken() == [(CvLevel(2, 1.0), 9.0)]


def test_families_and_registers_keep_to_their_lanes_and_the_newest_wins() -> None:
    families = family_lanes([[1], [2, 3]])
    assert [families.start(NoteOn(voice, 50, 90)) for voice in (1, 2, 3, 4)] == [0, 1, 1, None]
    assert families.end(NoteOff(2, 50)) is None  # taken over
    assert [families.end(NoteOff(voice, 50)) for voice in (3, 1, 4)] == [1, 0, None]
    registers = register_lanes([48, 60])
    assert [registers.start(NoteOn(2, pitch, 90)) for pitch in (47, 48, 60, 100)] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"cv": ("pitch 5",)}, r'board.cv cannot hold "pitch 5": it may be "pitch 1"'),
        ({"cv": ("clock 2",)}, "board.cv cannot hold"),
        ({"gates": ("pitch 1",)}, r'board.gates cannot hold "pitch 1": it may be "gate 1"'),
        ({"gates": ("trigger horns",)}, "board.gates cannot hold"),
        ({"cv": ("control loudness",)}, r'no control "loudness" in board.cv: the controls are temperature'),
        ({"gates": ("off",) * 5}, "4 outputs of each kind, not 5"),
    ],
)
def test_roles_that_cannot_be_are_said(settings: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(NoonsongError, match=says):
        output(KeptBoard(), **settings)


def test_the_clock_finds_its_outputs() -> None:
    settings = Board(cv=("off", "clock"), gates=("gate 1", "clock", "reset", "clock"))
    assert outlets_with_role(settings, "clock") == ([1], [1, 3])
    assert outlets_with_role(settings, "reset") == ([], [2])


def test_voltages_that_serve_as_gates_are_down_at_the_end() -> None:
    board = KeptBoard()
    cv = output(board, cv=("gate 1", "clock", "pitch 1", "reset"), gates=())
    cv.send(NoteOn(KEYS, 48, 127), 1.0)
    cv.panic(2.0)
    assert [event for event, _ in board.events[-4:]] == [
        "release", CvLevel(0, 0.0), CvLevel(1, 0.0), CvLevel(3, 0.0)
    ]  # fmt: skip
    board.events.clear()
    cv.close(3.0)
    assert [event for event, _ in board.taken()] == [CvLevel(0, 0.0), CvLevel(1, 0.0), CvLevel(3, 0.0)]
