"""Musical scales, and what a scale leaves of the tokens that may be chosen. Pure.

A scale is twelve bits: bit n for the pitch n semitones above the root. Notes outside are masked before anything
is chosen, so the model plays in the scale; nothing is bent afterwards. Drums have no pitch and stay.
"""

from functools import lru_cache

from model.tokens import DRUMS, FIRST_NOTE, FIRST_TOUCH, VOICES, TokenRange, note_token

OFF, PLAYED = "off", "played"
ROOTS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_INTERVALS = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic minor": (0, 2, 3, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole tone": (0, 2, 4, 6, 8, 10),
    "diminished": (0, 2, 3, 5, 6, 8, 9, 11),
    "augmented": (0, 3, 4, 7, 8, 11),
    "hirajoshi": (0, 2, 3, 7, 8),
    "in": (0, 1, 5, 7, 8),
    "phrygian dominant": (0, 1, 4, 5, 7, 8, 10),
    "hungarian minor": (0, 2, 3, 6, 7, 8, 11),
}
SCALES = (OFF, *_INTERVALS, PLAYED)
EVERY_PITCH = 0xFFF


def bits_of(intervals: tuple[int, ...]) -> int:
    """The bits of some semitones above the root."""
    return sum(1 << interval for interval in set(intervals))


def pitch_classes(scale: int, root: int, played_bits: int) -> int:
    """Twelve bits, bit 0 for C, of SCALES[scale] on ROOTS[root]; `played_bits` is the scale "played"."""
    name = SCALES[scale]
    bits = played_bits if name == PLAYED else bits_of(_INTERVALS.get(name, ()))
    return ((bits << root) | (bits >> (12 - root))) & EVERY_PITCH if bits else EVERY_PITCH


@lru_cache(maxsize=4096)  # the grammar has few masks, and a scale stays for a while
def in_scale(ranges: tuple[TokenRange, ...], classes: int) -> tuple[TokenRange, ...]:
    """What a scale leaves of allowed tokens. Where notes of a whole voice were allowed, some always stay."""
    if classes == EVERY_PITCH:
        return ranges
    kept: list[TokenRange] = []
    for first, stop in ranges:
        if not FIRST_NOTE <= first < FIRST_TOUCH:
            kept.append((first, stop))
            continue
        for low, high in _note_ranges(classes):
            low, high = max(low, first), min(high, stop)
            if low < high:
                kept.append((low, high))
    return tuple(kept)


@lru_cache(maxsize=64)
def _note_ranges(classes: int) -> tuple[TokenRange, ...]:
    ranges: list[TokenRange] = []
    for voice, row in enumerate(VOICES):
        for pitch in range(row.low, row.high + 1):
            if voice != DRUMS and not classes >> pitch % 12 & 1:
                continue
            cell = note_token(voice, pitch)
            if ranges and ranges[-1][1] == cell:
                ranges[-1] = (ranges[-1][0], cell + 1)
            else:
                ranges.append((cell, cell + 1))
    return tuple(ranges)
