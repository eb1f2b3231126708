"""One **kern token to its duration and pitches."""

import re
from functools import lru_cache

# Time is counted in whole units, fine enough for every tuplet up to 13 on a 128th note.
QUARTER = 32 * 9 * 5 * 7 * 11 * 13

Token = tuple[int, tuple[tuple[int, str], ...], bool]  # duration in units, (pitch, tie), is a grace note
_TREMOLO = re.compile(r"@+\d+@+")
_PITCH = re.compile(r"([a-gA-G])\1*")
_RECIP = re.compile(r"(\d+)(?:%(\d+))?(\.*)")
_STEP = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


@lru_cache(maxsize=1 << 16)
def parse_token(token: str) -> Token:
    """One **kern token; a chord's first duration holds for all of its notes. Rests have no pitches."""
    duration = -1
    notes: list[tuple[int, str]] = []
    grace = False
    for part in _TREMOLO.sub("", token).split(" "):
        if "q" in part:
            grace = True
        recip = _RECIP.search(part)
        if recip and duration < 0:
            duration = units_of(*recip.groups())
        pitch = _PITCH.search(part)
        if pitch and "r" not in part:
            tie = "[" if "[" in part else "_" if "_" in part else "]" if "]" in part else ""
            notes.append((_midi_pitch(pitch.group(0), part), tie))
    return duration, tuple(notes), grace


def units_of(number: str, divisor: str | None, dots: str) -> int:
    """Units of a duration as **kern writes it, such as ("4", None, "."); 0 is a breve, 00 a long."""
    whole = 4 * QUARTER
    units = whole << len(number) if set(number) == {"0"} else whole * int(divisor or 1) // int(number)
    return units * 2 - (units >> len(dots)) if dots else units


def _midi_pitch(letters: str, token: str) -> int:
    octave = 3 + len(letters) if letters[0].islower() else 4 - len(letters)
    return 12 * (octave + 1) + _STEP[letters[0].lower()] + token.count("#") - token.count("-")
