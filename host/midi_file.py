"""Writes standard MIDI files: a performance in seconds, or the piece in ticks with its tempo."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import mido

from model.errors import NoonsongError
from model.tokens import DRUMS, PPQN, VOICES, Note

RECORDING_PPQN = 960
RECORDING_BPM = 120.0  # a recording's beats mean nothing; at this tempo its ticks are 0.52 ms


class TimedEvent(NamedTuple):
    """A note-on, or a note-off when velocity is 0, at a time in seconds."""

    at_s: float
    voice: int
    pitch: int
    velocity: int


class TempoChange(NamedTuple):
    """From this tick on."""

    tick: int
    tempo_bpm: float


class MeterChange(NamedTuple):
    """From the bar line at this tick on."""

    tick: int
    bar_ticks: int


class Marker(NamedTuple):
    """A word at a tick."""

    tick: int
    text: str


def default_channels() -> tuple[int, ...]:
    """The MIDI channel (0-15) of each voice: drums on channel 10, the others from 1 upwards."""
    others = iter(channel for channel in range(16) if channel != 9)
    return tuple(9 if voice == DRUMS else next(others) for voice in range(len(VOICES)))


def write_performance(path: Path, events: Iterable[TimedEvent]) -> None:
    """Events in seconds (any order) to a MIDI file whose first event is at 0.

    Raises NoonsongError when the file cannot be written.
    """
    ordered = sorted(events, key=lambda e: (e.at_s, e.velocity > 0))
    start_s = ordered[0].at_s if ordered else 0.0
    ticks_per_s = RECORDING_PPQN * RECORDING_BPM / 60
    messages = [(round((e.at_s - start_s) * ticks_per_s), e.voice, e.pitch, e.velocity) for e in ordered]
    _write(path, messages, [TempoChange(0, RECORDING_BPM)], RECORDING_PPQN)


def write_piece(
    path: Path,
    notes: Sequence[Note],
    tempos: Sequence[TempoChange],
    meters: Sequence[MeterChange],
    markers: Sequence[Marker] = (),
) -> None:
    """Notes in ticks to a MIDI file with tempo, metre, programs and markers; its first bar begins at tick 0.

    A note that is struck again while it sounds ends where the next one begins.
    Raises NoonsongError when the file cannot be written.
    """
    messages: list[tuple[int, int, int, int]] = []
    ends: dict[tuple[int, int], int] = {}
    for note in sorted(notes, reverse=True):
        key = (note.voice, note.pitch)
        end = min(note.tick + note.duration, ends.get(key, note.tick + note.duration))
        ends[key] = note.tick
        if end > note.tick:
            messages.append((note.tick, *key, note.velocity))
            messages.append((end, *key, 0))
    messages.sort(key=lambda m: (m[0], m[3] > 0))
    _write(path, messages, tempos, PPQN, meters, markers)


def _write(
    path: Path,
    messages: Sequence[tuple[int, int, int, int]],
    tempos: Sequence[TempoChange],
    ppqn: int,
    meters: Sequence[MeterChange] = (),
    markers: Sequence[Marker] = (),
) -> None:
    """messages: (tick, voice, pitch, velocity), velocity 0 for the note's end, sorted by tick."""
    track = mido.MidiTrack()
    channels = default_channels()
    timed: list[tuple[int, mido.Message | mido.MetaMessage]] = []
    timed += [(m.tick, _time_signature(m.bar_ticks)) for m in meters]
    timed += [(t.tick, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(t.tempo_bpm))) for t in tempos]
    timed += [(m.tick, mido.MetaMessage("marker", text=m.text)) for m in markers]
    for voice in sorted({m[1] for m in messages} - {DRUMS}):
        program = VOICES[voice].program
        timed.append((0, mido.Message("program_change", channel=channels[voice], program=program)))
    for tick, voice, pitch, velocity in messages:
        kind = "note_on" if velocity else "note_off"
        timed.append((tick, mido.Message(kind, channel=channels[voice], note=pitch, velocity=velocity)))
    at = 0
    for tick, message in sorted(timed, key=lambda item: item[0]):
        track.append(message.copy(time=tick - at))
        at = tick
    try:
        mido.MidiFile(type=0, ticks_per_beat=ppqn, tracks=[track]).save(path)
    except OSError as error:
        raise NoonsongError(
            f"cannot write {path}: {error.strerror}; choose a folder you may write to"
        ) from None


def _time_signature(bar_ticks: int) -> mido.MetaMessage:
    if bar_ticks % PPQN == 0:
        return mido.MetaMessage("time_signature", numerator=bar_ticks // PPQN, denominator=4)
    return mido.MetaMessage("time_signature", numerator=bar_ticks // (PPQN // 2), denominator=8)
