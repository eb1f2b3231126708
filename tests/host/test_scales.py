from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.controls import parse_assignments
from host.scales import EVERY_PITCH, ROOTS, SCALES, bits_of, in_scale, pitch_classes
from model import tokens
from model.tokens import DRUMS, END, FIRST_NOTE, FIRST_TOUCH, State
from tests.host.playing import TABLE, new_player, planned

D_MINOR = {2, 4, 5, 7, 9, 10, 0}


def spread(ranges: tuple[tokens.TokenRange, ...]) -> set[int]:
    return {token for first, stop in ranges for token in range(first, stop)}


@given(st.integers(1, EVERY_PITCH), st.integers(FIRST_NOTE - 1, FIRST_TOUCH - 1), st.integers(0, 3))
def test_the_mask_takes_the_pitches_outside_and_nothing_else(classes: int, cell: int, shifts: int) -> None:
    state = State(0, shifts, cell if cell >= FIRST_NOTE and not shifts else END)
    allowed = tokens.allowed(state)
    kept = in_scale(allowed, classes)
    assert all(a[1] <= b[0] for a, b in zip(kept, kept[1:], strict=False))
    expected = {
        token
        for token in spread(allowed)
        if not tokens.is_note(token)
        or tokens.note_of(token)[0] == DRUMS
        or classes >> tokens.note_of(token)[1] % 12 & 1
    }
    assert spread(kept) == expected and kept


def test_named_scales_on_their_roots() -> None:
    minor = pitch_classes(SCALES.index("minor"), ROOTS.index("D"), 0)
    assert {n for n in range(12) if minor >> n & 1} == D_MINOR
    assert pitch_classes(SCALES.index("off"), 5, 1) == EVERY_PITCH
    played = SCALES.index("played")
    assert pitch_classes(played, 0, 0) == EVERY_PITCH  # nothing was played yet
    assert pitch_classes(played, 11, bits_of((0, 1, 12 - 1))) == bits_of((11, 0, 10))
    values = parse_assignments(["scale=hirajoshi", "root=f#"], TABLE)
    assert values == {"scale": SCALES.index("hirajoshi"), "root": 6.0}


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_player_stays_in_the_scale(small_weights: Path, temperature: float) -> None:
    scale, root = float(SCALES.index("minor")), float(ROOTS.index("D"))
    player = new_player(small_weights, scale=scale, root=root, temperature=temperature, thickness=4.0)
    notes = [s.note for s in planned(player, 400) if s.note is not None]
    pitched = [note for note in notes if note.voice != DRUMS]
    assert {note.pitch % 12 for note in pitched} <= D_MINOR and len(pitched) > 150
    assert {note.pitch % 12 for note in notes if note.voice == DRUMS} - D_MINOR


def test_a_scale_is_heard_in_the_next_note(small_weights: Path) -> None:
    player = new_player(small_weights)
    while player.planned_tick <= 400:
        player.plan_note()
    player.move({"scale": float(SCALES.index("whole tone"))}, 100)
    while player.planned_tick <= 800:
        player.plan_note()
    later = [s.note for s in player.commit(800) if s.note is not None and s.note.tick > 100]
    assert {note.pitch % 2 for note in later if note.voice != DRUMS} == {0}
