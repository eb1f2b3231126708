import pytest

from host.config import Board, Config, Inputs, Mapped
from host.inputs.dispatch import Dispatch
from host.inputs.echoes import Echoes
from host.inputs.mappings import Mappings, describe, settings_of, with_learnt
from host.inputs.sources import Source, parse_source
from model.errors import NoonsongError
from tests.host.playing import TABLE, controls

Move = tuple[str, float | None, str]


class Box:
    """What an instrument offers its inputs."""

    def __init__(self, *wanted: Mapped) -> None:
        self.mappings = Mappings(wanted, TABLE)
        self.values = controls()
        self.moves: list[Move] = []
        self.phrases = 0
        self.dispatch = Dispatch(self.mappings, Echoes())

    def connect(self) -> "Box":
        self.mappings.connect(self.move, self.values, {"phrase": self.begin, "panic": lambda: None})
        return self

    def move(self, control: str, value: float | None, who: str) -> None:
        self.values[control] = value
        self.moves.append((control, value, who))

    def begin(self) -> None:
        self.phrases += 1

    def midi(self, *message: int, port: str = "nano") -> None:
        self.dispatch(port, message, 0.0)


def test_knobs_also_count_when_they_were_turned_before_the_instrument_was_there() -> None:
    box = Box(
        *settings_of(Config(board=Board(knobs=("temperature", "", "density"), cv_inputs=("tempo", ""))))
    )
    box.mappings.turned(Source("knob", 1), "", 1.0)
    box.connect()
    box.mappings.turned(Source("knob", 2), "", 0.5)
    box.mappings.turned(Source("knob", 3), "", 0.0)
    box.mappings.turned(Source("knob", 6), "", 0.0)
    box.mappings.turned(Source("cv", 1), "", 1.0)
    assert box.moves == [("temperature", 2.0, "board"), ("density", None, "board"), ("tempo", 300.0, "board")]


def test_a_mapping_of_a_knob_replaces_what_the_board_section_says() -> None:
    config = Config(
        board=Board(knobs=("temperature", "density")), inputs=Inputs(map=(Mapped("rhythm", "knob 1"),))
    )
    assert [(m.by, m.control) for m in settings_of(config)] == [("knob 2", "density"), ("knob 1", "rhythm")]


def test_midi_moves_what_is_assigned_to_it_by_port_and_channel() -> None:
    box = Box(
        Mapped("temperature", "cc 21"),
        Mapped("density", "cc 22 channel 2", port="nano"),
        Mapped("rhythm", "bend"),
        Mapped("phrase", "note 36"),
    ).connect()
    box.midi(0xB0, 21, 127)
    box.midi(0xB0, 22, 127)
    box.midi(0xB1, 22, 127, port="other")
    box.midi(0xB1, 22, 127)
    box.midi(0xE3, 0x7F, 0x7F)
    assert [(m[0], m[1]) for m in box.moves] == [("temperature", 2.0), ("density", 8.0), ("rhythm", 2.0)]
    assert box.moves[0][2] == "cc 21 channel 1 nano"
    for velocity in (100, 0, 90):
        box.midi(0x90, 36, velocity)
    assert box.phrases == 2


def test_keys_and_programs_go_where_they_belong() -> None:
    box = Box().connect()
    keys: list[tuple[object, ...]] = []
    programs: list[int] = []
    box.dispatch.on_key = lambda *key: keys.append(key)
    box.dispatch.on_program = programs.append
    box.midi(0x92, 60, 80)
    box.midi(0x82, 60, 64)
    box.midi(0x92, 61, 0)
    box.midi(0xC0, 5)
    box.midi(0xF8)
    assert keys == [("nano", 2, 60, 80, 0.0), ("nano", 2, 60, 0, 0.0), ("nano", 2, 61, 0, 0.0)]
    assert programs == [5]


def test_what_was_sent_and_comes_back_moves_nothing() -> None:
    box = Box(Mapped("temperature", "cc 21")).connect()
    echoes = Echoes()
    dispatch = Dispatch(box.mappings, echoes)
    for value in (10, 20, 30):
        echoes.sent((0xB0, 21, value), 1.0)
    for value in (10, 20, 30):
        dispatch("daw", (0xB0, 21, value), 1.01)
    assert box.moves == []
    dispatch("daw", (0xB0, 21, 20), 1.02)  # each explains one
    assert len(box.moves) == 1
    echoes.sent((0xB0, 21, 99), 1.0)
    dispatch("daw", (0xB0, 21, 99), 2.5)  # nobody's echo is that late
    assert len(box.moves) == 2


def test_learns_the_next_thing_that_moves_so_far() -> None:
    box = Box(Mapped("temperature", "cc 21", port="nano")).connect()
    learnt: list[Mapped] = []
    box.mappings.learn("density", learnt.append)
    box.midi(0xB0, 7, 60)
    box.midi(0xB0, 21, 64)
    box.midi(0xB0, 7, 62)  # trembles
    assert not learnt and not box.moves
    box.midi(0xB0, 21, 80, port="nano 24:0")
    box.midi(0xB0, 21, 72)
    assert learnt == [Mapped("density", "cc 21 channel 1", port="nano")]
    box.midi(0xB0, 21, 127)
    assert ("density", 8.0, "cc 21 channel 1 nano") in box.moves
    assert describe(learnt[0]) == "cc 21 channel 1 (port nano)"


def test_learning_takes_a_source_from_what_it_moved_before() -> None:
    before = [Mapped("temperature", "knob 1"), Mapped("rhythm", "cc 1", port="nano")]
    after = with_learnt(before, Mapped("pitch", "cc 1", port="nano"))
    assert [m.control for m in after] == ["temperature", "pitch"]
    box = Box(*before).connect()
    learnt: list[Mapped] = []
    box.mappings.learn("pitch", learnt.append)
    box.mappings.turned(parse_source("knob 1"), "", 0.2)
    box.mappings.turned(parse_source("knob 1"), "", 0.6)
    assert [m.control for m in box.mappings.rows()] == ["rhythm", "pitch"]
    assert not box.moves


def test_learns_a_key_for_a_switch_but_not_for_a_knob() -> None:
    box = Box().connect()
    learnt: list[Mapped] = []
    box.mappings.learn("temperature", learnt.append)
    box.midi(0x90, 60, 100)
    assert not learnt
    box.mappings.learn("freeze", learnt.append)
    box.midi(0x90, 60, 100)
    assert learnt[0].by == "note 60 channel 1" and learnt[0].pickup == "toggle"
    box.mappings.learn("phrase", learnt.append)
    box.midi(0x90, 61, 100)
    box.midi(0x80, 61, 0)
    box.midi(0x90, 61, 100)
    assert box.phrases == 1
    with pytest.raises(NoonsongError, match='no control "x"'):
        box.mappings.learn("x", learnt.append)
