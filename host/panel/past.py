"""The past for a page: which hours there are, their notes, their MIDI file. Days and hours are named by date and
time: nothing that a client sends is ever a path.
"""

import datetime
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import NoonsongError

if TYPE_CHECKING:
    from host.history import Excerpt, History

MOST_NOTES = 100_000  # of one excerpt: more than an hour holds

_SPAN = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{2}))?")


class PastReader:
    """Reads the journal that is being played; opened when first asked."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._opened: History | None = None
        self._lock = threading.Lock()

    def hours(self) -> list[dict[str, Any]]:
        """Every hour with music: its name (local time), notes and marks, oldest first."""
        with self._lock:
            return [hour._asdict() for hour in self._history().hours()]

    def notes(self, name: str) -> dict[str, Any]:
        """An hour or a day in seconds from its beginning, to be played: notes (at, length, voice, pitch, velocity)
        in their order, marks (at, kind), and its length. Raises NoonsongError for a name that is none.
        """
        excerpt = self._excerpt(name)
        seconds = excerpt.seconds()
        notes = []
        for tick, voice, pitch, velocity, duration in excerpt.notes[:MOST_NOTES]:
            at_s = seconds(tick)
            notes.append((round(at_s, 4), round(seconds(tick + duration) - at_s, 4), voice, pitch, velocity))
        return {
            "notes": sorted(notes),
            "marks": [(round(seconds(mark.tick), 4), mark.text) for mark in excerpt.marks],
            "length_s": round(max((row[0] + row[1] for row in notes), default=0.0), 3),
        }

    def midi(self, name: str) -> bytes:
        """An hour or a day as a MIDI file. Raises NoonsongError for a name that is none, or without music."""
        from host.midi_file import write_piece

        excerpt = self._excerpt(name)
        if not excerpt.notes:
            raise NoonsongError("nothing was played then")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "past.mid"
            write_piece(path, excerpt.notes, excerpt.tempos, excerpt.meters, excerpt.marks)
            return path.read_bytes()

    def _excerpt(self, name: str) -> "Excerpt":
        span = span_of(name)
        with self._lock:
            return self._history().excerpt(*span)

    def _history(self) -> "History":
        from host.history import History  # with numpy: only for those who ask

        if self._opened is None:
            self._opened = History(self._journal)
        return self._opened


def span_of(name: str) -> tuple[float, float]:
    """Seconds since 1970, from and until, of a day (2026-11-21) or an hour (2026-11-21T14), local time.

    Raises NoonsongError when it is neither.
    """
    match = _SPAN.fullmatch(name)
    try:
        if match is None:
            raise ValueError
        day = datetime.datetime.fromisoformat(match[1])
        start = day if match[2] is None else day.replace(hour=int(match[2]))
    except ValueError:
        raise NoonsongError("a day is named like 2026-11-21, an hour like 2026-11-21T14") from None
    length = datetime.timedelta(days=1) if match[2] is None else datetime.timedelta(hours=1)
    return start.timestamp(), (start + length).timestamp()
