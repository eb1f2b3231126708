"""What the system can do so that notes are not late: real-time priority, memory that is never swapped out."""

import contextlib
import ctypes
import os
import re
import sys
from pathlib import Path

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # the same on x86-64 and arm64 (linux/mman.h)
_CAP_IPC_LOCK = 14


def real_time(priority: int) -> bool:
    """Run this thread before all ordinary ones (SCHED_FIFO, 1 to 99); returns whether that is permitted.

    Threads that it starts from then on have it too.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (AttributeError, OSError):  # not Linux, or not permitted
        return False
    return True


def real_time_for_all(priority: int) -> bool:
    """The same for every thread that this process has: one that holds the interpreter, and had to wait for
    other programs, would keep all of them waiting. So either all have it or none.
    """
    if not real_time(priority):
        return False
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
    return True


def ordinary(process: int = 0) -> None:
    """Take it back, from this thread or from a program just started."""
    with contextlib.suppress(ProcessLookupError):
        os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))


def may_lock_memory() -> bool:
    """Whether this process may lock as much memory as it wants. Under a limit, memory taken later would be
    refused, and the process die of it: so a limit counts as no.
    """
    if not sys.platform.startswith("linux"):
        return False
    import resource

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.M)
    return capabilities is not None and bool(int(capabilities[1], 16) >> _CAP_IPC_LOCK & 1)


def lock_memory() -> bool:
    """Keep all of this process in memory, what it will take later too; returns whether that is permitted."""
    if not may_lock_memory():
        return False
    # As it is touched: else every thread's whole stack would be taken at once.
    failed: int = ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    return not failed


def refusal(real_time_permitted: bool, memory_locked: bool) -> str:
    """What was not permitted, in a sentence; empty when nothing was refused, or no system but Linux offers it."""
    missing = [
        *([] if real_time_permitted else ["real-time priority (rtprio 95)"]),
        *([] if memory_locked else ["locked memory (memlock unlimited)"]),
    ]
    if not missing or not sys.platform.startswith("linux"):
        return ""
    return (
        f"{' and '.join(missing)} not permitted: on a busy machine notes may come late."
        " Permit it in /etc/security/limits.d; `noonsong doctor` says how"
    )
