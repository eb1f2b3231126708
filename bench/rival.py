"""What every contestant of `noonsong bench engine` is."""

import os
from collections.abc import Callable
from typing import NamedTuple


class Rival(NamedTuple):
    """`feed(position, batch)` computes a step of `batch` sequences; `prefill(count)` many tokens at once."""

    name: str
    feed: Callable[[int, int], None]
    prefill: Callable[[int], None]


def one_core() -> None:
    """Keep this process on the core it is on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
