"""Workers for untrusted files: one that crashes or hangs costs its own file, never the build.

Results come back in the order in which items went in, so an archive does not depend on who was quicker.
"""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from model.errors import NoonsongError

T = TypeVar("T")
R = TypeVar("R")

AHEAD_PER_WORKER = 64  # results kept back while an earlier item is still being read
_POLL_S = 0.5
_MOST_FALSE_STARTS = 8


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    ready: bool = False  # it has started and waits for work, which takes it a second
    busy_with: int = -1
    since: float = 0.0


class Pool(Generic[T, R]):
    """Maps `work` over items in `count` processes; `failed(item, sentence)` speaks for a lost item."""

    def __init__(
        self, work: Callable[[T], R], failed: Callable[[T, str], R], count: int, limit_s: float
    ) -> None:
        self._work, self._failed, self._limit_s = work, failed, limit_s
        self._context = multiprocessing.get_context("spawn")
        self._count = count
        self._workers: list[_Worker] = []
        self._false_starts = 0

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def map(self, items: Iterable[T]) -> Iterator[R]:
        """The result of every item, in order, as soon as it and all before it are there."""
        source = enumerate(items)
        waiting: deque[tuple[int, T]] = deque()
        pending: dict[int, T] = {}
        done: dict[int, R] = {}
        following = 0
        more = True
        self._workers = [self._start() for _ in range(self._count)]
        try:
            while more or pending or done:
                while more and len(waiting) + len(pending) + len(done) < AHEAD_PER_WORKER * self._count:
                    try:
                        waiting.append(next(source))
                    except StopIteration:
                        more = False
                for worker in self._workers:
                    if worker.ready and worker.busy_with < 0 and waiting:
                        self._give(worker, *waiting.popleft(), pending)
                self._collect(pending, done)
                while following in done:
                    yield done.pop(following)
                    following += 1
                more = more or bool(waiting)
        finally:
            self.close()

    def _give(self, worker: _Worker, number: int, item: T, pending: dict[int, T]) -> None:
        pending[number] = item
        worker.busy_with, worker.since = number, time.monotonic()
        worker.pipe.send(item)

    def _collect(self, pending: dict[int, T], done: dict[int, R]) -> None:
        talking = {
            worker.pipe: worker for worker in self._workers if worker.busy_with >= 0 or not worker.ready
        }
        for pipe in wait(list(talking), timeout=_POLL_S):
            worker = talking[pipe]  # type: ignore[index]
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError):
                self._lose(worker, "the reader crashed on it", pending, done)
                continue
            if not worker.ready:
                worker.ready = True
                self._false_starts = 0
                continue
            done[worker.busy_with] = result
            pending.pop(worker.busy_with)
            worker.busy_with = -1
        for worker in self._workers:
            if worker.busy_with >= 0 and time.monotonic() - worker.since > self._limit_s:
                reason = f"the reader did not finish within {self._limit_s:.0f} s"
                self._lose(worker, reason, pending, done)

    def _lose(self, worker: _Worker, reason: str, pending: dict[int, T], done: dict[int, R]) -> None:
        number = worker.busy_with
        if number >= 0:
            done[number] = self._failed(pending.pop(number), reason)
        else:
            self._false_starts += 1
            if self._false_starts > _MOST_FALSE_STARTS:
                raise NoonsongError("the processes that read files die as they start: is memory short?")
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        fresh = self._start()
        worker.process, worker.pipe, worker.ready, worker.busy_with = fresh.process, fresh.pipe, False, -1

    def close(self) -> None:
        """Stop every worker."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.kill()
            worker.process.join()
        self._workers = []


def _serve(pipe: Connection, work: Callable[[T], R]) -> None:
    # Ctrl-C reaches the whole group; the parent decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pipe.send(None)
        while True:
            pipe.send(work(pipe.recv()))
    except (EOFError, OSError):
        return
