"""Tidies what a reader found into the notes of a piece, and rejects what is not music."""

import numpy as np

from model.archive.piece import LONGEST_NOTE, NOTE_DTYPE, Bars, Notes, Reading, Rejected
from model.tokens import DRUMS, PPQN, VOICES

LONGEST_SILENCE = 8 * PPQN
FEWEST_NOTES = 16
MOST_NOTES = 300_000
MOST_BEATS = 60_000
MOST_NOTES_A_BEAT = 150


def tidy(reading: Reading) -> tuple[Notes, Bars]:
    """Sorted notes without overlaps within a voice and pitch, without long silences, and the bars that fit.

    Raises Rejected when what is left is not music.
    """
    notes = reading.notes[reading.notes["duration"] > 0]
    if len(notes) > MOST_NOTES:
        raise Rejected(f"it is absurdly long: {len(notes)} notes, at most {MOST_NOTES} are taken")
    if len(notes) and int(notes["tick"].max()) > MOST_BEATS * PPQN:
        raise Rejected(f"it is absurdly long: over {MOST_BEATS} beats")
    notes = _move_into_range(notes)
    notes = _cut_overlaps(notes)
    _check(notes)
    return shorten_silences(notes, reading.bars)


def _move_into_range(notes: Notes) -> Notes:
    notes = notes.copy()
    low = np.array([v.low for v in VOICES])[notes["voice"]]
    high = np.array([v.high for v in VOICES])[notes["voice"]]
    pitch = notes["pitch"].astype(np.int64)
    below = np.maximum(0, -(-(low - pitch) // 12)) * 12
    above = np.maximum(0, -(-(pitch - high) // 12)) * 12
    fits = (notes["voice"] != DRUMS) | ((pitch >= low) & (pitch <= high))
    notes["pitch"] = pitch + below - above
    inside: Notes = notes[fits]
    return inside


def _cut_overlaps(notes: Notes) -> Notes:
    """A note ends where the next one of its voice and pitch begins; of two at one tick the longer stays."""
    order = np.lexsort((-notes["duration"], notes["tick"], notes["pitch"], notes["voice"]))
    notes = notes[order]
    cell = notes["voice"].astype(np.int64) * 128 + notes["pitch"]
    same = np.empty(len(notes), dtype=bool)
    if len(notes):
        same[0] = False
        same[1:] = (np.diff(cell) == 0) & (np.diff(notes["tick"]) == 0)
    notes, cell = notes[~same], cell[~same]
    room = np.full(len(notes), LONGEST_NOTE, dtype=np.int64)
    if len(notes) > 1:
        gaps = np.diff(notes["tick"])
        room[:-1] = np.where(np.diff(cell) == 0, gaps, LONGEST_NOTE)
    notes["duration"] = np.minimum(np.minimum(notes["duration"], room), LONGEST_NOTE)
    return notes[np.lexsort((notes["pitch"], notes["voice"], notes["tick"]))]


def _check(notes: Notes) -> None:
    if len(notes) == 0:
        raise Rejected("it has no notes")
    if len(notes) < FEWEST_NOTES:
        raise Rejected(f"it has only {len(notes)} notes, at least {FEWEST_NOTES} are wanted")
    beats = (int(notes["tick"][-1]) - int(notes["tick"][0])) / PPQN
    if len(notes) > MOST_NOTES_A_BEAT * max(beats, 1):
        raise Rejected(f"it has {len(notes)} notes in {beats:.0f} beats, which is noise rather than music")
    counts = np.bincount(notes["pitch"], minlength=128)
    if notes["voice"].max() > DRUMS and counts.max() > 0.6 * len(notes):
        raise Rejected(f"it is full of one note: {counts.max()} of {len(notes)} have pitch {counts.argmax()}")


def shorten_silences(notes: Notes, bars: Bars) -> tuple[Notes, Bars]:
    """Silences over LONGEST_SILENCE lose whole bars (beats without a metre), leading ones all they can."""
    ticks = notes["tick"].astype(np.int64)
    ends = np.maximum.accumulate(ticks + notes["duration"])
    starts = np.concatenate(([0], ends[:-1]))
    allowed = np.full(len(notes), LONGEST_SILENCE)
    allowed[0] = 0
    cuts: list[tuple[int, int]] = []  # (from tick, ticks cut away)
    for i in np.flatnonzero(ticks - starts > allowed):
        cuts.extend(_cuts(int(starts[i]), int(ticks[i]), int(allowed[i]), bars, leading=i == 0))
    if not cuts:
        return notes, bars
    cuts.sort()
    at = np.array([tick for tick, _ in cuts])
    gone = np.concatenate(([0], np.cumsum([length for _, length in cuts])))
    notes = notes.copy()
    notes["tick"] = ticks - gone[np.searchsorted(at, ticks, side="right")]
    # A segment that begins where a cut does begins before it.
    moved = [(tick - int(gone[np.searchsorted(at, tick, side="left")]), bar) for tick, bar in bars]
    return notes, tuple(moved)


def _cuts(start: int, stop: int, allowed: int, bars: Bars, leading: bool) -> list[tuple[int, int]]:
    """Parts to cut from the silence [start, stop), each a whole number of the bars that it lies in."""
    excess = stop - start - allowed
    pieces: list[tuple[int, int, int]] = []
    if bars:
        edges = [*(tick for tick, _ in bars[1:]), stop]
        for (tick, bar), edge in zip(bars, edges, strict=True):
            low, high = max(start, tick), min(stop, edge)
            if high > low:
                pieces.append((low, high, bar))
    else:
        pieces.append((start, stop, PPQN))
    found = []
    for low, high, bar in reversed(pieces):
        wanted = excess // bar if leading else -(-excess // bar)
        length = min(wanted, (high - low) // bar) * bar
        if length > 0:
            found.append((low, length))
            excess -= length
        if excess <= 0:
            break
    return found


def empty_notes() -> Notes:
    """No notes."""
    return np.empty(0, dtype=NOTE_DTYPE)
