"""Real-time priority for the calling thread, where the system permits it."""

import os


def real_time(priority: int) -> bool:
    """Run this thread before all ordinary ones (SCHED_FIFO, 1 to 99); returns whether that is permitted.

    A thread that holds the interpreter keeps the others of its process waiting, so either all of them
    have it or none.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (AttributeError, OSError):  # not Linux, or not permitted
        return False
    return True


def ordinary() -> None:
    """Take it back."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
