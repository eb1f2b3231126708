import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.clock import Clock
from host.swing import PAIR_TICKS, Swing

shares = st.floats(0.5, 0.75)


@given(shares, st.floats(-100, 1000))
def test_there_and_back(share: float, tick: float) -> None:
    swing = Swing()
    swing.set(share, 0.0)
    assert swing.written(swing.sounding(tick)) == pytest.approx(tick, abs=1e-6)


@given(shares, shares, st.floats(0, 500), st.lists(st.floats(0, 600), min_size=2))
def test_order_is_kept_whenever_it_changes(a: float, b: float, at: float, ticks: list[float]) -> None:
    swing = Swing()
    swing.set(a, 0.0)
    swing.set(b, at)
    sounding = [swing.sounding(tick) for tick in sorted(ticks)]
    assert sounding == sorted(sounding)


def test_second_sixteenths_are_late_and_beats_are_not() -> None:
    swing = Swing()
    swing.set(2 / 3, 0.0)
    assert [swing.sounding(tick) for tick in (0, 6, 12, 18, 24)] == pytest.approx([0, 8, 12, 20, 24])


def test_a_change_waits_for_the_next_pair() -> None:
    swing = Swing()
    swing.set(0.75, 7.0)
    assert swing.sounding(6) == 6
    assert swing.sounding(PAIR_TICKS + 6) == PAIR_TICKS + 9


def test_a_swung_clock_puts_notes_where_they_sound() -> None:
    clock = Clock(120.0, 0.0, 10.0)  # 48 ticks a second
    clock.run(10.0)
    clock.swing.set(0.75, 0.0)
    assert clock.time_of(6) == pytest.approx(10 + 9 / 48)
    assert clock.tick_at(10 + 9 / 48) == pytest.approx(6)
    assert clock.time_of_straight(12) == clock.time_of(12) == pytest.approx(10.25)
