import time

from host.config import Inputs
from host.events import Heard
from host.inputs import keyboard as keyboard_module
from host.inputs.keyboard import Keyboard
from model.tokens import DRUMS, VOICE_NAMES


def new(**settings: object) -> tuple[Keyboard, list[Heard], list[tuple[int, int]]]:
    keyboard = Keyboard(Inputs(**settings))  # type: ignore[arg-type]
    heard: list[Heard] = []
    scales: list[tuple[int, int]] = []
    keyboard.connect(heard.append, lambda root, intervals: scales.append((root, intervals)))
    return keyboard, heard, scales


def test_keys_are_heard_with_the_voice_and_the_usual_length() -> None:
    keyboard, heard, _ = new(keyboard_voice="strings")
    for number in range(12):
        keyboard.key("keystation", 0, 60, 90, float(number))
        keyboard.key("keystation", 0, 60, 0, number + 0.5)
    keyboard.key("keystation", 9, 38, 70, 20.0)
    assert heard[0] == Heard(VOICE_NAMES.index("strings"), 60, 90, 0.25, 0.0)
    assert heard[-2].length_s == 0.5
    assert heard[-1].voice == DRUMS and len(heard) == 13


def test_other_ports_and_channels_are_not_heard() -> None:
    keyboard, heard, _ = new(keyboard="keystation", keyboard_channel=2)
    keyboard.key("nano", 1, 60, 90, 0.0)
    keyboard.key("keystation 24:0", 0, 60, 90, 0.0)
    assert heard == []
    keyboard.key("keystation 24:0", 1, 60, 90, 0.0)
    assert len(heard) == 1
    none, heard, _ = new(keyboard="")
    none.key("keystation", 0, 60, 90, 0.0)
    assert heard == []


def test_a_played_scale_ends_with_a_pause(monkeypatch) -> None:
    monkeypatch.setattr(keyboard_module, "SCALE_PAUSE_S", 0.05)
    keyboard, heard, scales = new()
    keyboard.listen_for_scale()
    for pitch in (62, 64, 66, 74, 57):  # D, E, F#, D, A
        keyboard.key("keystation", 0, pitch, 90, 1.0)
        keyboard.key("keystation", 0, pitch, 0, 1.0)
    assert heard == [] and scales == []
    deadline = time.monotonic() + 10
    while not scales:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert scales == [(2, 1 << 0 | 1 << 2 | 1 << 4 | 1 << 7)]
    keyboard.key("keystation", 0, 60, 90, 3.0)
    assert len(heard) == 1  # music again
    keyboard.close()


def test_no_key_no_scale(monkeypatch) -> None:
    monkeypatch.setattr(keyboard_module, "LONGEST_SCALE_S", 0.02)
    keyboard, heard, scales = new()
    keyboard.listen_for_scale()
    deadline = time.monotonic() + 10
    while not heard:
        keyboard.key("keystation", 0, 60, 0, 1.0)
        time.sleep(0.05)
        keyboard.key("keystation", 0, 60, 90, 1.0)
        assert time.monotonic() < deadline
    assert scales == []
    keyboard.close()
