"""Locked memory in a process of its own, as the system permits it; and what is said where it does not."""

import subprocess
import sys

from host import priority

LOCK = """
from host.priority import lock_memory, may_lock_memory
assert lock_memory() == may_lock_memory()
more = bytearray(3_000_000)  # taken later: locked too
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(may_lock_memory(), int(status["VmLck"].split()[0]))
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
from host import priority
priority._CAP_IPC_LOCK = 63  # one that nobody has
assert not priority.may_lock_memory() and not priority.lock_memory()
"""


ALL = """
import os, threading
from host.priority import real_time_for_all
stop = threading.Event()
before = threading.Thread(target=stop.wait)
before.start()
permitted = real_time_for_all(3)
after = threading.Thread(target=stop.wait)
after.start()
policies = {os.sched_getscheduler(thread.native_id) for thread in (before, after)} | {os.sched_getscheduler(0)}
stop.set()
assert policies == {os.SCHED_FIFO if permitted else os.SCHED_OTHER}, policies
"""


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_memory_is_locked_where_it_may_be() -> None:
    permitted, kilobytes = run(LOCK)
    assert (int(kilobytes) > 3000) == (permitted == "True")


def test_under_a_limit_it_is_left_alone() -> None:
    run(LIMITED)


def test_every_thread_has_it_or_none() -> None:
    run(ALL)


def test_what_is_refused_is_said() -> None:
    assert priority.refusal(True, True) == ""
    assert priority.refusal(False, True).startswith("real-time priority (rtprio 95) not permitted")
    assert "rtprio 95) and locked memory" in priority.refusal(False, False)
