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

T = TypeVar("T")
R = TypeVar("R")

AHEAD_PER_WORKER = 64  # results kept back while an earlier item is still being read
_POLL_S = 0.5


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    busy_with: int = -1
    since: float = 0.0


class Pool(Generic[T, R]):
    """Maps `work` over items in `count` processes; `failed(item, sentence)` speaks for a lost item."""

    def __init__(
        self, work: Callable[[T], R], failed: Callable[[T, str], R], count: int, limit_s: float = 120.0
    ) -> None:
        self._work, self._failed, self._limit_s = work, failed, limit_s
        self._context = multiprocessing.get_context("spawn")
        self._count = count
        self._workers: list[_Worker] = []

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
                    if worker.busy_with < 0 and waiting:
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
        busy = {worker.pipe: worker for worker in self._workers if worker.busy_with >= 0}
        for pipe in wait(list(busy), timeout=_POLL_S):
            worker = busy[pipe]  # type: ignore[index]
            number = worker.busy_with
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError):
                self._replace(worker)
                done[number] = self._failed(pending.pop(number), "the reader crashed on it")
                continue
            worker.busy_with = -1
            pending.pop(number)
            done[number] = result
        for worker in self._workers:
            number = worker.busy_with
            if number >= 0 and time.monotonic() - worker.since > self._limit_s:
                self._replace(worker)
                done[number] = self._failed(
                    pending.pop(number), f"the reader did not finish within {self._limit_s:.0f} s"
                )

    def _replace(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        fresh = self._start()
        worker.process, worker.pipe, worker.busy_with = fresh.process, fresh.pipe, -1

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
    while True:
        try:
            item = pipe.recv()
            pipe.send(work(item))
        except (EOFError, OSError):
            return
