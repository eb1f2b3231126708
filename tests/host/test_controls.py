import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.clock import Clock
from host.controls import bar_ticks_of, control_table, parse_assignments, source_mix
from model.errors import NoonsongError

TABLE = control_table(["song", "quartet"])


@given(st.sampled_from(list(TABLE.values())), st.floats(0, 1))
def test_every_knob_position_is_an_allowed_value_and_comes_back(control, position) -> None:
    value = control.value_at(position)
    assert control.check(value) == value
    if value is not None:
        again = control.value_at(control.position_of(value))
        assert again is not None and math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-9)


def test_ends_of_a_knob_are_the_ends_of_its_range() -> None:
    assert TABLE["temperature"].value_at(0.0) == 0.2
    assert TABLE["temperature"].value_at(1.0) == 2.0
    assert TABLE["density"].value_at(0.0) is None
    assert TABLE["density"].value_at(1.0) == pytest.approx(8.0)


def test_values_as_people_type_them() -> None:
    texts = ["density=auto", "temperature=0.9", "meter=3/4", "freeze=on", "source=quartet"]
    values = parse_assignments(texts, TABLE)
    assert values["density"] is None and values["temperature"] == 0.9
    assert bar_ticks_of(values["meter"]) == 72
    assert values["freeze"] == 1.0 and values["source"] == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("loudness=3", "no control .loudness.: the controls are temperature, density"),
        ("temperature=9", "temperature cannot be 9: it may be 0.2 to 2"),
        ("temperature=nan", "temperature cannot be nan"),
        ("temperature=warm", "temperature cannot be .warm."),
        ("temperature", "temperature=VALUE"),
        ("temperature=auto", "temperature cannot be .auto."),
        ("meter=13/16", "4/4"),
        ("freeze=maybe", "on or off"),
    ],
)
def test_errors_name_the_control_and_what_it_may_be(text: str, says: str) -> None:
    with pytest.raises(NoonsongError, match=says):
        parse_assignments([text], TABLE)


def test_between_two_sources_is_a_mix() -> None:
    assert source_mix(None) == {}
    assert source_mix(0.0) == {0: 1.0}
    assert source_mix(0.25) == {0: 0.75, 1: 0.25}
    assert TABLE["source"].text(0.25) == "song 75% quartet 25%"


def test_clock_bends_without_jumping() -> None:
    clock = Clock(120.0, 10.0, 0.0)
    assert clock.tick_at(5.0) == 10.0
    clock.run(5.0)
    assert clock.tick_at(6.0) == 58.0
    clock.set_tempo(60.0, 6.0)
    assert clock.tick_at(6.0) == 58.0 and clock.tick_at(7.0) == 82.0
    assert clock.time_of(82.0) == 7.0
    clock.stop(7.5)
    assert clock.tick_at(100.0) == 94.0
    clock.run(100.0)
    assert clock.tick_at(101.0) == 118.0
