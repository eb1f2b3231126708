"""Reads MusicXML through music21, for the scores that verovio cannot: much slower, and without dynamics."""

import warnings
from typing import Any

from model.archive.bars import Measure, bar_segments
from model.archive.musicxml import read_musicxml
from model.archive.piece import DEFAULT_TEMPO_BPM, FLAT_VELOCITY, Reading, Rejected, note_array
from model.tokens import PPQN


def read_with_music21(text: str) -> Reading:
    """The notes of a MusicXML score, repeats played out where they are regular.

    Raises Rejected when music21 cannot read it either.
    """
    import music21

    records, parts = read_musicxml(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score: Any = music21.converter.parseData(text, format="musicxml")
            streams = [_played_out(part) for part in score.parts]
            rows: list[tuple[int, int, int, int, int]] = []
            for stream, part in zip(streams, parts.values(), strict=False):
                rows += _rows(stream, part.voice)
            bars = bar_segments(_measures(streams[0])) if streams else ()
            tempo = next(iter(score.recurse().getElementsByClass("MetronomeMark")), None)
            tempo_bpm = float(tempo.getQuarterBPM() or DEFAULT_TEMPO_BPM) if tempo else DEFAULT_TEMPO_BPM
    except Exception as error:  # music21 raises whatever it trips over
        raise Rejected(
            f"neither verovio nor music21 can read it ({type(error).__name__}: {error})"
        ) from error
    return Reading(note_array(rows), bars, tempo_bpm, records=records)


def _played_out(part: Any) -> Any:
    import music21

    try:
        return part.expandRepeats()
    except music21.exceptions21.Music21Exception:
        return part


def _rows(stream: Any, voice: int | None) -> list[tuple[int, int, int, int, int]]:
    rows: list[tuple[int, int, int, int, int]] = []
    for element in stream.stripTies().flatten().notes if voice is not None else ():
        if element.duration.isGrace or element.classSet & {"ChordSymbol", "Unpitched"}:
            continue
        tick = round(float(element.offset) * PPQN)
        length = max(1, round(float(element.offset + element.quarterLength) * PPQN) - tick)
        rows += [(tick, length, pitch.midi, FLAT_VELOCITY, voice or 0) for pitch in element.pitches]
    return rows


def _measures(stream: Any) -> list[Measure]:
    measures: list[Measure] = []
    for measure in stream.getElementsByClass("Measure"):
        start = round(float(measure.offset) * PPQN)
        sign = measure.getContextByClass("TimeSignature")
        nominal = round(float(sign.barDuration.quarterLength) * PPQN) if sign else 0
        measures.append((start, start + round(float(measure.duration.quarterLength) * PPQN), nominal))
    return measures
