"""The day: play always, or wake at a time for a length and rest until the next day."""

import datetime

from host.config import Day


def resting(day: Day, local: datetime.datetime) -> bool:
    """Whether the box rests at that local time."""
    if day.mode == "always":
        return False
    hour, minute = map(int, day.wake.split(":"))
    woke = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if woke > local:
        woke -= datetime.timedelta(days=1)
    return local - woke >= datetime.timedelta(minutes=day.length_minutes)


def next_wake(day: Day, local: datetime.datetime) -> datetime.datetime:
    """When it wakes next, local time."""
    hour, minute = map(int, day.wake.split(":"))
    wake = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return wake if wake > local else wake + datetime.timedelta(days=1)
