"""Notes <-> tokens: one streaming encoder and decoder, shared by training and by the box.

A note is, in this order: time shift (none when simultaneous), voice and pitch, velocity and duration.
A piece is one flat stream that ends with END, and END also stands before the first note of all music,
so a model that reads END is about to begin. 24 ticks to the beat, MIDI clock's own grid.

Everything here is a pure function of a small immutable `State`, so that the player can roll back
to any earlier token by keeping that token's state.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

PPQN = 24


class Voice(NamedTuple):
    """An instrument family: its pitch range in MIDI note numbers (ends included) and the General MIDI
    programs (0-127) that belong to it; `program` is the one it sounds with by default.
    """

    name: str
    low: int
    high: int
    program: int
    programs: tuple[range, ...]


# Low families first: within an onset tokens ascend, so the bass is chosen before what it carries.
VOICES = (
    Voice("drums", 35, 81, 0, ()),
    Voice("bass", 24, 67, 32, (range(32, 40),)),
    Voice("keys", 21, 108, 0, (range(0, 24), range(80, 104))),
    Voice("plucked", 36, 91, 24, (range(24, 32), range(46, 47), range(104, 109))),
    Voice("strings", 28, 103, 48, (range(40, 46), range(48, 52), range(110, 111))),
    Voice("winds", 29, 101, 73, (range(55, 80), range(109, 110), range(111, 112))),
    Voice("voice", 36, 88, 52, (range(52, 55),)),
)
DRUMS = 0
VOICE_NAMES = tuple(voice.name for voice in VOICES)

# Ticks. Every value up to a beat, then those that notation uses; longer or odd shifts are chains.
SHIFTS = (
    *range(1, 25), 26, 27, 28, 30, 32, 33, 36, 39, 40, 42, 44, 45, 48, 54, 56, 60, 64, 66, 72, 80, 84, 90, 96,
    108, 120, 132, 144, 168, 192,
)  # fmt: skip
DURATIONS = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 21, 22, 24, 28, 32, 36, 42, 48, 60, 72, 84, 96,
    144, 192,
)  # fmt: skip
VELOCITIES = (20, 36, 50, 62, 74, 86, 100, 116)
MAX_CHAINED_SHIFTS = 3
LONGEST_SHIFT = 16 * PPQN  # a longer silence is written as this one; every value up to it is a chain of three

END = 0
FIRST_SHIFT = 1
FIRST_NOTE = FIRST_SHIFT + len(SHIFTS)
_NOTE_CELLS = tuple((v, p) for v, voice in enumerate(VOICES) for p in range(voice.low, voice.high + 1))
FIRST_TOUCH = FIRST_NOTE + len(_NOTE_CELLS)
VOCABULARY_SIZE = FIRST_TOUCH + len(VELOCITIES) * len(DURATIONS)

_VOICE_OFFSETS = tuple(
    FIRST_NOTE + sum(w.high - w.low + 1 for w in VOICES[:v]) - voice.low for v, voice in enumerate(VOICES)
)


class Note(NamedTuple):
    """A note in musical time: onset `tick` since the stream's start, `duration` in ticks (at least 1),
    `voice` an index into VOICES, `pitch` 0-127, `velocity` 1-127.
    """

    tick: int
    voice: int
    pitch: int
    velocity: int
    duration: int


class State(NamedTuple):
    """Where a stream stands between two tokens."""

    tick: int = 0  # the onset now being written
    shifts: int = 0  # shift tokens since the last note
    cell: int = END  # the last note token at this onset (tokens ascend within an onset), END when none
    pending: int = END  # a note token that still waits for its touch, END when none


START = State()
TokenRange = tuple[int, int]  # first token, one past the last


def vocabulary_hash() -> str:
    """Hex digest of every table above: weights and box must agree on it, or the tokens mean other notes."""
    tables = [VOICES, SHIFTS, DURATIONS, VELOCITIES, PPQN, MAX_CHAINED_SHIFTS]
    text = json.dumps(tables, default=lambda r: [r.start, r.stop])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def note_token(voice: int, pitch: int) -> int:
    """The token of a pitch in a voice; a pitch outside the voice's range is moved into it by octaves."""
    low, high = VOICES[voice].low, VOICES[voice].high
    if pitch < low:
        pitch += -(-(low - pitch) // 12) * 12
    elif pitch > high:
        pitch -= -(-(pitch - high) // 12) * 12
    return _VOICE_OFFSETS[voice] + pitch


def touch_token(velocity: int, duration: int) -> int:
    """The token of the nearest velocity level and the nearest duration (ratio, not difference)."""
    return FIRST_TOUCH + _nearest(VELOCITIES, velocity) * len(DURATIONS) + _nearest_ratio(DURATIONS, duration)


def note_of(token: int) -> tuple[int, int]:
    """(voice, pitch) of a note token."""
    return _NOTE_CELLS[token - FIRST_NOTE]


def touch_of(token: int) -> tuple[int, int]:
    """(velocity, duration in ticks) of a touch token."""
    level, length = divmod(token - FIRST_TOUCH, len(DURATIONS))
    return VELOCITIES[level], DURATIONS[length]


def is_shift(token: int) -> bool:
    """Whether the token lets time pass."""
    return FIRST_SHIFT <= token < FIRST_NOTE


def is_note(token: int) -> bool:
    """Whether the token names a voice and pitch."""
    return FIRST_NOTE <= token < FIRST_TOUCH


def is_touch(token: int) -> bool:
    """Whether the token gives velocity and duration, and so completes a note."""
    return token >= FIRST_TOUCH


def shift_tokens(ticks: int) -> list[int]:
    """The canonical chain of shift tokens for an elapsed time: largest first. Empty for 0."""
    chain = []
    while ticks > 0:
        index = bisect_right(SHIFTS, ticks) - 1
        chain.append(FIRST_SHIFT + index)
        ticks -= SHIFTS[index]
    return chain


def advance(state: State, token: int) -> tuple[State, Note | None]:
    """Read one token: the state after it, and the note that it completes, if any.

    Any sequence is read without error: a token out of place (one that `allowed` would have masked)
    drops the unfinished note and is taken for what it says. END starts a new piece at the same tick.
    """
    if is_touch(token):
        if not state.pending:
            return state, None
        voice, pitch = note_of(state.pending)
        velocity, duration = touch_of(token)
        note = Note(state.tick, voice, pitch, velocity, duration)
        return State(state.tick, 0, state.pending, END), note
    if is_note(token):
        return state._replace(pending=token), None
    if is_shift(token):
        return State(state.tick + SHIFTS[token - FIRST_SHIFT], state.shifts + 1, END, END), None
    return State(state.tick), None


def allowed(state: State) -> tuple[TokenRange, ...]:
    """The grammar mask: ranges of tokens that may follow while playing (END never: the piece is endless)."""
    if state.pending:
        return ((FIRST_TOUCH, VOCABULARY_SIZE),)
    # Within an onset tokens ascend, so no note can come twice and each chord has one spelling.
    first_note = max(FIRST_NOTE, state.cell + 1)
    notes = ((first_note, FIRST_TOUCH),) if first_note < FIRST_TOUCH else ()
    if state.shifts < MAX_CHAINED_SHIFTS:
        return ((FIRST_SHIFT, FIRST_NOTE), *notes)
    return notes


def decode(tokens: Iterable[int], state: State = START) -> Iterator[Note]:
    """The notes of a token stream, one by one as they are completed."""
    for token in tokens:
        state, note = advance(state, token)
        if note is not None:
            yield note


def encode(notes: Iterable[Note], end: bool = True) -> list[int]:
    """The tokens of notes sorted by tick (order within a tick does not matter), counted from tick 0.

    A note that would come twice at one onset is kept once, with the longer duration. A silence longer than
    LONGEST_SHIFT is shortened to it.

    Raises ValueError when the notes are not sorted.
    """
    tokens: list[int] = []
    at = 0
    onset: dict[int, Note] = {}

    def write_onset() -> None:
        for cell in sorted(onset):
            tokens.append(cell)
            tokens.append(touch_token(onset[cell].velocity, onset[cell].duration))
        onset.clear()

    for note in notes:
        if note.tick > at:
            write_onset()
            tokens.extend(shift_tokens(min(note.tick - at, LONGEST_SHIFT)))
            at = note.tick
        elif note.tick < at:
            raise ValueError(f"notes must be sorted by tick: {note.tick} comes after {at}")
        cell = note_token(note.voice, note.pitch)
        if cell not in onset or onset[cell].duration < note.duration:
            onset[cell] = note
    write_onset()
    if end:
        tokens.append(END)
    return tokens


def _nearest(levels: tuple[int, ...], value: int) -> int:
    return min(range(len(levels)), key=lambda i: abs(levels[i] - value))


def _nearest_ratio(lengths: tuple[int, ...], value: int) -> int:
    value = max(1, value)
    return min(range(len(lengths)), key=lambda i: max(lengths[i] / value, value / lengths[i]))
