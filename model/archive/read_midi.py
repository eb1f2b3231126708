"""Reads standard MIDI files through symusic."""

from typing import Any

import numpy as np
import symusic
from numpy.typing import NDArray

from model.archive.bars import Measure, bar_segments
from model.archive.piece import DEFAULT_TEMPO_BPM, NOTE_DTYPE, Bars, Notes, Reading, Rejected
from model.archive.voices import voice_of_program
from model.tokens import PPQN

# Ticks of a beat that straight and triplet notes fall on; six of 24, so chance alone gives a quarter.
_GRID = (0, 6, 8, 12, 16, 18)
_ON_GRID_IN_SCORES = 0.5


Times = NDArray[np.integer[Any]]


def read_midi(data: bytes) -> Reading:
    """The notes of a MIDI file. Raises Rejected when it cannot be read or is cut off."""
    score = load_midi(data)
    parts = []
    for track in score.tracks:
        voice = voice_of_program(track.program, track.is_drum)
        if voice is not None and len(track.notes):
            parts.append(track_notes(track, score.ticks_per_quarter, voice))
    notes = np.concatenate(parts) if parts else np.empty(0, NOTE_DTYPE)
    performed = _is_performed(notes["tick"])
    return Reading(
        notes=notes,
        bars=() if performed else _bars(score, notes),
        tempo_bpm=float(score.tempos[0].qpm) if len(score.tempos) else DEFAULT_TEMPO_BPM,
        has_dynamics=varied(notes["velocity"]),
        performed=performed,
        records={"OTL": next((t.name for t in score.tracks if t.name), "")},
    )


def load_midi(data: bytes) -> Any:
    """A score as symusic reads it. Raises Rejected with symusic's reason."""
    if data[:4] != b"MThd":
        raise Rejected("it does not begin like a MIDI file (no MThd)")
    _check_chunks(data)
    try:
        return symusic.Score.from_midi(data)
    except Exception as error:  # symusic raises whatever its C++ code throws
        raise Rejected(f"it is not a readable MIDI file ({str(error).splitlines()[0][:80]})") from error


def _check_chunks(data: bytes) -> None:
    """symusic reads a cut-off file without complaint, and what is missing would look like an ending."""
    tracks = int.from_bytes(data[10:12], "big")
    at = 0
    while at < 14 or tracks > 0:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        if at + 8 > len(data) or end > len(data):
            raise Rejected("it is truncated: its last track is cut off or missing")
        tracks -= data[at : at + 4] == b"MTrk"
        at = max(end, 14)


def track_notes(track: Any, ticks_per_quarter: int, voice: int, short_by: int = 0) -> Notes:
    """Notes of a track on our grid; `short_by`: file ticks that every duration was written too short."""
    columns = track.notes.numpy()
    start = columns["time"].astype(np.int64)
    end = start + columns["duration"] + short_by
    notes = np.empty(len(start), NOTE_DTYPE)
    notes["tick"] = to_ticks(start, ticks_per_quarter)
    notes["duration"] = np.maximum(1, to_ticks(end, ticks_per_quarter) - notes["tick"])
    notes["pitch"] = columns["pitch"]
    notes["velocity"] = np.clip(columns["velocity"], 1, 127)
    notes["voice"] = voice
    return notes


def to_ticks(times: Times, ticks_per_quarter: int) -> Times:
    """File ticks as our ticks, rounded half up."""
    return (2 * times * PPQN + ticks_per_quarter) // (2 * ticks_per_quarter)


def to_tick(time: int, ticks_per_quarter: int) -> int:
    """One file tick as our tick, rounded half up."""
    return (2 * time * PPQN + ticks_per_quarter) // (2 * ticks_per_quarter)


def varied(velocities: Times) -> bool:
    """Whether velocities say something: not all but a few notes have the same."""
    if len(velocities) == 0:
        return False
    counts = np.bincount(velocities, minlength=128)
    return bool(np.count_nonzero(counts) >= 3 and counts.max() < 0.95 * len(velocities))


def _is_performed(ticks: Times) -> bool:
    return len(ticks) > 0 and bool(np.isin(ticks % PPQN, _GRID).mean() < _ON_GRID_IN_SCORES)


def _bars(score: Any, notes: Notes) -> Bars:
    if not len(score.time_signatures) or not len(notes):
        return ()
    end = int(notes["tick"].max()) + 1
    signs = [
        (to_tick(s.time, score.ticks_per_quarter), 4 * PPQN * s.numerator // s.denominator)
        for s in score.time_signatures
        if s.numerator > 0 and s.denominator > 0
    ]
    measures: list[Measure] = []
    for (tick, bar), (following, _) in zip(signs, [*signs[1:], (end, 0)], strict=True):
        if bar <= 0:
            continue
        # The last bar may be cut by the next sign or the end: it says no less where bar lines are.
        stop = following if following < end else max(end, tick + bar)
        measures.extend((at, min(at + bar, stop), bar) for at in range(tick, max(stop, tick + 1), bar))
        if following >= end:
            last = measures[-1]
            measures[-1] = (last[0], last[0] + bar, bar)
    return bar_segments(measures)
