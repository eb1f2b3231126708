import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.config import Mapped
from host.inputs.mapping import CURVES, Assignment
from host.inputs.sources import Source, parse_source
from model.errors import NoonsongError
from tests.host.playing import TABLE


def knob(control: str = "temperature", **settings: object) -> Assignment:
    return Assignment(Mapped(control, "cc 1", **settings), TABLE)  # type: ignore[arg-type]


def follow(assignment: Assignment, value: float | None, *positions: float) -> list[float | None]:
    """The control's values as its source goes through positions."""
    out = []
    for position in positions:
        new = assignment.turned(position, value)
        value = value if new is None else new[0]
        out.append(value)
    return out


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("knob 1", Source("knob", 1)),
        ("cv 2", Source("cv", 2)),
        ("cc 21", Source("cc", 21)),
        ("CC 0 channel 16", Source("cc", 0, 15)),
        ("bend channel 1", Source("bend", 0, 0)),
        ("note 36", Source("note", 36)),
        ("osc /a/Fader1", Source("osc", address="/a/Fader1")),
    ],
)
def test_sources_as_they_are_written(text: str, source: Source) -> None:
    assert parse_source(text) == source
    assert parse_source(source.text) == source


@pytest.mark.parametrize(
    "text", ["", "cc", "cc 120", "cc 1 channel 17", "knob 0", "knob 1 channel 1", "bend 3", "x"]
)
def test_what_cannot_move_is_said(text: str) -> None:
    with pytest.raises(NoonsongError, match=r'nothing that moves: it may be "knob 1"'):
        parse_source(text)


def test_a_source_with_a_channel_covers_that_channel_only() -> None:
    assert parse_source("cc 7").covers(Source("cc", 7, 3))
    assert parse_source("cc 7 channel 4").covers(Source("cc", 7, 3))
    assert not parse_source("cc 7 channel 5").covers(Source("cc", 7, 3))
    assert not parse_source("cc 7").covers(Source("note", 7, 3))


@pytest.mark.parametrize("curve", CURVES)
def test_curves_rise_from_end_to_end(curve: str) -> None:
    values = [CURVES[curve](i / 100) for i in range(101)]
    assert values[0] == pytest.approx(0.0) and values[-1] == pytest.approx(1.0)
    assert values == sorted(values)


def test_range_and_invert() -> None:
    half = knob(low=0.5, high=1.5)
    assert follow(half, 1.0, 0.0, 1.0) == [pytest.approx(0.5), pytest.approx(1.5)]
    assert follow(knob(low=0.5, high=1.5, invert=True), 1.0, 0.0, 1.0) == [
        pytest.approx(1.5),
        pytest.approx(0.5),
    ]
    assert follow(knob("meter", low="3/4", high="5/4"), 0.0, 0.0, 1.0) == [
        TABLE["meter"].parse("3/4"),
        TABLE["meter"].parse("5/4"),
    ]
    with pytest.raises(NoonsongError, match="low must be below high"):
        knob(low=1.5, high=0.5)
    with pytest.raises(NoonsongError, match=r"temperature cannot be 9"):
        knob(high=9.0)
    with pytest.raises(NoonsongError, match=r'no control "loudness" for cc 1: there are temperature'):
        knob("loudness")


def test_pickup_waits_until_it_meets_the_value_and_then_holds_it() -> None:
    a = knob(pickup="pickup")
    stand = TABLE["temperature"].value_at(0.5)
    values = follow(a, stand, 0.1, 0.3, 0.45, 0.6, 0.2)
    assert values[:3] == [stand] * 3
    assert values[3:] == [TABLE["temperature"].value_at(p) for p in (0.6, 0.2)]
    # moved by somebody else: it must be met again
    elsewhere = TABLE["temperature"].value_at(0.9)
    assert a.turned(0.21, elsewhere) is None
    assert a.turned(0.95, elsewhere) is not None


@given(st.floats(0.01, 0.99), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_scaled_never_jumps_and_both_reach_the_ends_together(stands: float, way: list[float]) -> None:
    control = TABLE["temperature"]
    a = knob(pickup="scaled")
    value = control.value_at(stands)
    before = way[0]
    assert a.turned(before, value) is None
    for position in way[1:]:
        old = control.position_of(value)
        (value,) = follow(a, value, position)
        new = control.position_of(value)
        assert (new - old) * (position - before) >= -1e-9  # the same way, or nowhere
        before = position
    assert follow(a, value, 0.5, 1.0)[-1] == pytest.approx(control.high)
    assert follow(a, value, 0.5, 0.0)[-1] == pytest.approx(control.low)


def test_a_button_turns_over_and_steps_on() -> None:
    assert follow(knob("freeze", pickup="toggle"), 0.0, 1.0, 0.0, 1.0, 0.0) == [1.0, 1.0, 0.0, 0.0]
    last = TABLE["meter"].high
    assert follow(knob("meter", pickup="toggle"), last, 1.0, 0.0, 1.0) == [0.0, 0.0, 1.0]
    assert follow(knob(low=0.5, high=1.5, pickup="toggle"), 0.5, 1.0, 0.0, 1.0) == [
        pytest.approx(1.5),
        pytest.approx(1.5),
        pytest.approx(0.5),
    ]


def test_an_endless_encoder_moves_by_clicks() -> None:
    position = TABLE["temperature"].position_of
    up, down = follow(knob(pickup="relative"), 1.0, 3 / 127, 127 / 127)
    assert position(up) == pytest.approx(position(1.0) + 3 / 128)
    assert position(down) == pytest.approx(position(1.0) + 2 / 128)
