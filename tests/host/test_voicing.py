import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.config import MidiPort
from host.outputs.voicing import Sounding, Voicing
from model.tokens import DRUMS, VOICE_NAMES

KEYS = VOICE_NAMES.index("keys")
BASS = VOICE_NAMES.index("bass")


@given(st.integers(0, 127), st.integers(-48, 48), st.integers(0, 115), st.integers(11, 60))
def test_notes_are_transposed_then_moved_into_the_range_by_octaves(
    pitch: int, transpose: int, low: int, width: int
) -> None:
    high = min(low + width, 127)
    where = Voicing(MidiPort(transpose=transpose, lowest=low, highest=high)).note(KEYS, pitch)
    assert where is not None
    assert low <= where[1] <= high and (where[1] - pitch - transpose) % 12 == 0
    if low <= pitch + transpose <= high:
        assert where[1] == pitch + transpose
    assert Voicing(MidiPort(transpose=transpose, lowest=low, highest=high)).note(DRUMS, pitch) == (9, pitch)


def test_a_range_under_an_octave_is_silent_for_notes_that_have_no_place_in_it() -> None:
    narrow = Voicing(MidiPort(lowest=60, highest=64))
    assert narrow.note(KEYS, 48) is not None and narrow.note(KEYS, 77) is None
    assert Voicing(MidiPort(lowest=64, highest=60)).note(KEYS, 62) is None


def test_channels_mutes_and_sounds() -> None:
    port = MidiPort(
        channels={"keys": 5}, mute=("bass",), programs={"keys": 12, "drums": 1}, banks={"keys": 130}
    )
    voicing = Voicing(port)
    assert voicing.note(KEYS, 60) == (4, 60)
    assert voicing.note(BASS, 40) is None
    assert (4, 130, 11) in voicing.sounds and (9, None, 0) in voicing.sounds
    assert len(voicing.sounds) == len(VOICE_NAMES) - 1
    assert Voicing(MidiPort(send_programs=False)).sounds == []


@pytest.mark.parametrize("curve", ["linear", "soft", "hard"])
def test_velocities_rise_within_their_bounds(curve: str) -> None:
    voicing = Voicing(MidiPort(velocity_curve=curve, velocity_lowest=30, velocity_highest=90))  # type: ignore[arg-type]
    sent = [voicing.velocity(v) for v in range(1, 128)]
    assert sent == sorted(sent) and 30 <= sent[0] < 40 and sent[-1] == 90
    middle = Voicing(MidiPort(velocity_curve=curve)).velocity(64)  # type: ignore[arg-type]
    assert {"linear": middle == 64, "soft": middle > 70, "hard": middle < 56}[curve]
    assert {Voicing(MidiPort(velocity_curve="fixed", velocity_highest=77)).velocity(v) for v in (1, 99)} == {
        77
    }


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_on_and_off_alternate_however_many_hold_a_note(events: list[tuple[bool, int]]) -> None:
    sounding = Sounding()
    high: set[int] = set()
    holders: dict[int, int] = {}
    for begins, note in events:
        if begins:
            assert sounding.on(0, note) == (note in high)
            high.add(note)
            holders[note] = holders.get(note, 0) + 1
        else:
            ended = sounding.off(0, note)
            assert ended == (holders.get(note, 0) == 1)
            holders[note] = max(0, holders.get(note, 0) - 1)
            if ended:
                high.remove(note)
    assert sounding.clear() == [(0, note) for note in sorted(high)]
    assert sounding.clear() == []
