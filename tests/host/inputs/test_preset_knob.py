"""A knob, a key, an encoder that go through the presets; what of them is learnt."""

import pytest

from host.config import Mapped
from host.inputs.learning import Learner
from host.inputs.mapping import Assignment
from host.inputs.preset_knob import PRESET, PresetKnob
from host.inputs.sources import Source
from model.errors import NoonsongError
from tests.host.inputs.test_mappings import Box
from tests.host.playing import TABLE

SAVED = [0, 4, 9]


def preset_knob(**settings: object) -> PresetKnob:
    knob = Assignment(Mapped("preset", "knob 4", **settings), TABLE).preset  # type: ignore[arg-type]
    assert knob is not None
    return knob


def turn(knob: PresetKnob, *positions: float, slots: list[int] = SAVED) -> list[int | None]:
    recalled = None
    out = []
    for position in positions:
        slot = knob.turned(position, slots, recalled)
        recalled = recalled if slot is None else slot
        out.append(slot)
    return out


def test_a_sweep_goes_through_all_in_their_order() -> None:
    up = [n / 100 for n in range(101)]
    assert [slot for slot in turn(preset_knob(), *up, *up[::-1]) if slot is not None] == [4, 9, 4, 0]
    inverted = preset_knob(invert=True)
    assert [slot for slot in turn(inverted, *up) if slot is not None] == [4, 0]


def test_where_it_stands_at_first_recalls_nothing() -> None:
    assert turn(preset_knob(), 0.9, 0.9, 0.88) == [None, None, None]


def test_a_knob_that_trembles_at_a_border_stays() -> None:
    knob = preset_knob()
    border = 1 / 3
    assert turn(knob, 0.2, border - 0.01, border + 0.01, border - 0.01, border + 0.03) == [None] * 5
    assert turn(knob, border + 0.06, border - 0.01, border - 0.06) == [4, None, 0]


def test_from_one_to_another_and_no_presets_at_all() -> None:
    some = preset_knob(low=5, high=10)
    assert turn(some, 0.1, 0.9, 0.1, slots=[0, 4, 9, 20]) == [None, 9, 4]
    assert turn(some, 0.1, 0.9, 0.1, slots=[0, 20]) == [None, None, None]
    assert turn(preset_knob(), 0.0, 0.5, 1.0, slots=[]) == [None, None, None]
    assert turn(preset_knob(), 0.0, 0.5, 1.0, slots=[7]) == [None, None, None]


def test_one_that_was_saved_meanwhile_moves_nothing_by_itself() -> None:
    knob = preset_knob()
    assert turn(knob, 0.2, 0.45, slots=[0, 1]) == [None, None]
    assert turn(knob, 0.46, slots=[0, 1, 2, 3]) == [None]
    assert turn(knob, 0.9, slots=[0, 1, 2, 3]) == [3]


def test_a_key_steps_to_the_next_and_a_pad_may_stand_for_one() -> None:
    assert turn(preset_knob(pickup="toggle"), 1, 0, 1, 0, 1, 0, 1) == [0, None, 4, None, 9, None, 0]
    assert turn(preset_knob(pickup="toggle", low=5, high=5), 1, 0, 1) == [4, None, 4]


def test_an_endless_encoder_goes_on_from_the_one_recalled() -> None:
    up, down = 1 / 127, 127 / 127
    knob = preset_knob(pickup="relative")
    assert [slot for slot in turn(knob, *[up] * 30) if slot is not None] == [0, 4, 9]
    assert [knob.turned(down, SAVED, 9) for _ in range(6)].count(4) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pickup": "scaled"}, "jump, toggle, relative"),
        ({"low": 9, "high": 3}, "low must not be above high"),
        ({"high": 129}, "1 to 128"),
        ({"low": "first"}, "1 to 128"),
    ],
)
def test_what_cannot_be_is_said(settings: dict[str, object], says: str) -> None:
    with pytest.raises(NoonsongError, match=says):
        preset_knob(**settings)


def test_learning_takes_a_knob_or_a_key() -> None:
    learner = Learner(PRESET, lambda mapped: None)
    assert not learner.heard(Source("knob", 3), "", 0.2)
    assert learner.heard(Source("knob", 3), "", 0.4)
    assert (learner.mapped.by, learner.mapped.pickup) == ("knob 3", "jump")
    learner = Learner(PRESET, lambda mapped: None)
    assert learner.heard(Source("note", 36, 0), "pads", 1.0)
    assert (learner.mapped.by, learner.mapped.pickup) == ("note 36 channel 1", "toggle")


class Shelf:
    """What Presets is to an input."""

    def __init__(self) -> None:
        self.recalls: list[int] = []

    @property
    def recalled(self) -> int | None:
        return self.recalls[-1] if self.recalls else None

    def saved(self) -> list[int]:
        return SAVED

    def recall(self, slot: int) -> None:
        self.recalls.append(slot)


def test_any_source_may_go_through_them() -> None:
    box, shelf = Box(Mapped("preset", "cc 30"), Mapped("density", "cc 31")), Shelf()
    box.mappings.connect(box.move, box.values, {}, shelf)
    for value in (10, 20, 64, 127):
        box.midi(0xB0, 30, value)
    assert shelf.recalls == [4, 9] and box.moves == []
