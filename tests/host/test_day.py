import datetime

import pytest

from host.config import Day
from host.day import next_wake, resting

NOON = Day(mode="daily", wake="12:00", length_minutes=60)


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f"2026-11-21T{text}")


@pytest.mark.parametrize(
    ("time", "rests"), [("11:59:59", True), ("12:00:00", False), ("12:59:59", False), ("13:00:00", True)]
)
def test_wakes_at_noon_for_an_hour(time: str, rests: bool) -> None:
    assert resting(NOON, at(time)) is rests
    assert resting(Day(), at(time)) is False


def test_a_day_may_end_after_midnight() -> None:
    late = Day(mode="daily", wake="23:30", length_minutes=60)
    assert not resting(late, at("00:15:00")) and resting(late, at("00:31:00"))


def test_next_wake() -> None:
    assert next_wake(NOON, at("11:00:00")) == at("12:00:00")
    assert next_wake(NOON, at("12:30:00")) == at("12:00:00") + datetime.timedelta(days=1)
