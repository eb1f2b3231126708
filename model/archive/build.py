"""Builds an archive from sources: finds what is new, reads it on all cores, stores it, resumes."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from model.archive.pool import Pool
from model.archive.reading import has_spare_reader, parse, reader_of
from model.archive.sources import Item, find_items
from model.archive.store import Parsed, Writer
from model.errors import NoonsongError

COMMIT_EVERY_S = 2.0
DEFAULT_LIMIT_S = 300.0


def build(
    folder: str | Path,
    sources: list[str],
    workers: int = 0,
    limit_s: float = DEFAULT_LIMIT_S,
    watch: Callable[[str, Item], None] = lambda status, item: None,
) -> Counter[str]:
    """Read every new item of the sources into the archive in `folder`; counts by status (and of cached).

    `watch` hears of each item as it is done. An interrupt keeps all that was read. Raises NoonsongError for a
    source that is not there, before anything is read.
    """
    for source in sources:
        next(find_items(source), None)
    counts: Counter[str] = Counter()
    try:
        with Writer(folder) as writer:
            _fill(writer, sources, workers, limit_s, watch, counts)
    except sqlite3.Error as error:
        raise NoonsongError(
            f"the archive in {folder} cannot be written ({error}): is the disk full? What was read is kept"
        ) from error
    return counts


def _fill(
    writer: Writer,
    sources: list[str],
    workers: int,
    limit_s: float,
    watch: Callable[[str, Item], None],
    counts: Counter[str],
) -> None:
    def fresh() -> Iterator[Item]:
        for source in sources:
            for item in find_items(source):
                if writer.has(item, reader_of(item)):
                    counts["cached"] += 1
                    watch("cached", item)
                else:
                    yield item

    committed = time.monotonic()
    for parsed in read(fresh(), workers, limit_s):
        status = writer.add(parsed)
        counts[status] += 1
        watch(status, parsed.item)
        if time.monotonic() - committed > COMMIT_EVERY_S:
            writer.commit()
            committed = time.monotonic()


def read(items: Iterable[Item], workers: int = 0, limit_s: float = DEFAULT_LIMIT_S) -> Iterator[Parsed]:
    """What comes of each item, in order, read in `workers` processes (0: one a core); nothing is stored.

    Those on which a reader crashed come last, read by another one where there is one.
    """
    pool: Pool[Item, Parsed] = Pool(parse, _failed, workers or os.cpu_count() or 1, limit_s)
    crashed: list[Item] = []
    for parsed in chain(pool.map(items), pool.map(_drain(crashed))):
        if not parsed.content_hash and has_spare_reader(parsed.item):
            crashed.append(replace(parsed.item, spare_reader=True))
        else:
            yield parsed


def _drain(items: list[Item]) -> Iterator[Item]:
    while items:
        yield items.pop(0)


def _failed(item: Item, reason: str) -> Parsed:
    return Parsed(item, reader_of(item), "", reason=reason)
