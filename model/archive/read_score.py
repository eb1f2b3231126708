"""Reads MusicXML through verovio: its MIDI for notes with repeats played out, its time map for bar lines."""

import base64
from functools import lru_cache
from typing import Any

import numpy as np
import verovio

from model.archive.bars import Measure, bar_segments
from model.archive.dynamics import Mark, says_something, velocities
from model.archive.musicxml import Part, measure_index, name_parts_and_measures, read_musicxml
from model.archive.piece import DEFAULT_TEMPO_BPM, FLAT_VELOCITY, NOTE_DTYPE, Notes, Reading, Rejected
from model.archive.read_midi import load_midi, to_tick, track_notes
from model.archive.voices import voice_of_program
from model.tokens import PPQN

VEROVIO_SHORT_BY = 1  # of its 120 ticks a quarter: nearly every duration is one short

Played = list[tuple[int, int]]  # (start tick, measure index) in playing order


@lru_cache(maxsize=1)
def _toolkit() -> verovio.toolkit:
    """One toolkit a process: setting one up takes a tenth of a second."""
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions({"breaks": "none"})
    return toolkit


def read_score(text: str) -> Reading:
    """The notes of a MusicXML score, repeats played out. Raises Rejected when verovio finds none."""
    if "<score-partwise" not in text[:20000]:
        raise Rejected("it is not MusicXML: it has no score-partwise")
    records, parts = read_musicxml(text)
    toolkit = _toolkit()
    if not toolkit.loadData(name_parts_and_measures(text)):
        raise Rejected("verovio cannot read this score")
    score = load_midi(base64.b64decode(toolkit.renderToMIDI()))
    played, end = _played(toolkit.renderToTimemap({"includeMeasures": True}))
    marks = {name: _unfold(part, played) for name, part in parts.items()}
    written = [own for own in marks.values() if says_something(own)]
    leading = max(written, key=len, default=[])
    found = []
    for track in score.tracks:
        part = parts.get(track.name)
        voice = (
            voice_of_program(track.program, track.is_drum) if track.is_drum or part is None else part.voice
        )
        if voice is None or not len(track.notes):
            continue
        part_notes = track_notes(track, score.ticks_per_quarter, voice, VEROVIO_SHORT_BY)
        own = marks.get(track.name, [])
        part_notes["velocity"] = FLAT_VELOCITY
        if leading:
            heard = own if says_something(own) else leading
            part_notes["velocity"] = velocities(heard, part_notes["tick"], PPQN)
        found.append(part_notes)
    notes: Notes = np.concatenate(found) if found else np.empty(0, NOTE_DTYPE)
    return Reading(
        notes=notes,
        bars=bar_segments(_measures(played, end, score)),
        tempo_bpm=float(score.tempos[0].qpm) if len(score.tempos) else DEFAULT_TEMPO_BPM,
        has_dynamics=bool(leading),
        records=records,
    )


def _played(timemap: list[dict[str, Any]]) -> tuple[Played, int]:
    played: Played = []
    end = 0
    for entry in timemap:
        tick = round(entry["qstamp"] * PPQN)
        end = max(end, tick)
        if "measureOn" in entry and (not played or tick > played[-1][0]):
            played.append((tick, measure_index(entry["measureOn"])))
    return played, end


def _unfold(part: Part, played: Played) -> list[Mark]:
    """A part's dynamics in playing order."""
    return [(start + tick, token) for start, index in played for tick, token in part.marks.get(index, ())]


def _measures(played: Played, end: int, score: Any) -> list[Measure]:
    signs = [
        (to_tick(s.time, score.ticks_per_quarter), 4 * PPQN * s.numerator // s.denominator)
        for s in score.time_signatures
    ]
    starts = [start for start, _ in played]
    measures: list[Measure] = []
    for start, stop in zip(starts, [*starts[1:], end], strict=True):
        nominal = next((bar for tick, bar in reversed(signs) if tick <= start), 0)
        measures.append((start, stop, nominal))
    return measures
