"""A MIDI keyboard: what is played on it enters the model's past, or says which scale to play in."""

import threading
from collections import deque
from collections.abc import Callable
from statistics import median

from host.config import Inputs
from host.events import Heard
from host.midi_ports import port_matches
from host.scales import bits_of
from model.tokens import DRUMS, VOICE_NAMES

DRUM_CHANNEL = 9
FIRST_LENGTH_S = 0.25  # of a key, before any was let go
LENGTHS_KEPT = 9
SCALE_PAUSE_S = 2.0  # so long without a new key, and the scale is complete
LONGEST_SCALE_S = 15.0


class Keyboard:
    """Takes keys from any thread. A key's length is not known when it is pressed: it is taken to be held as long
    as the last ones were, in the middle.
    """

    def __init__(self, settings: Inputs) -> None:
        self._pattern = settings.keyboard
        self._channel = settings.keyboard_channel - 1  # -1: all
        self._voice = VOICE_NAMES.index(settings.keyboard_voice)
        self._lock = threading.Lock()
        self._pressed: dict[tuple[str, int, int], float] = {}
        self._lengths_s: deque[float] = deque([FIRST_LENGTH_S], maxlen=LENGTHS_KEPT)
        self._hear: Callable[[Heard], None] = lambda heard: None
        self._take_scale: Callable[[int, int], None] = lambda root, intervals: None
        self._scale: list[int] | None = None  # keys pressed so far, while a scale is being played
        self._scale_end: threading.Timer | None = None
        self._scale_begun_s = 0.0

    def connect(self, hear: Callable[[Heard], None], take_scale: Callable[[int, int], None]) -> None:
        """From now on: `hear` takes keys, `take_scale` a root 0-11 and the bits of the semitones above it."""
        self._hear, self._take_scale = hear, take_scale

    def key(self, port: str, channel: int, pitch: int, velocity: int, t_s: float) -> None:
        """A key was pressed, or let go (velocity 0)."""
        if not self._pattern or not port_matches(self._pattern, port) or self._channel not in (-1, channel):
            return
        with self._lock:
            begun_s = self._pressed.pop((port, channel, pitch), None)
            if not velocity:
                if begun_s is not None:
                    self._lengths_s.append(t_s - begun_s)
                return
            self._pressed[port, channel, pitch] = t_s
            if self._scale is not None:
                self._scale_begun_s = self._scale_begun_s if self._scale else t_s
                self._scale.append(pitch)
                self._await_scale_end(min(SCALE_PAUSE_S, self._scale_begun_s + LONGEST_SCALE_S - t_s))
                return
            length_s = median(self._lengths_s)
        voice = DRUMS if channel == DRUM_CHANNEL else self._voice
        self._hear(Heard(voice, pitch, velocity, length_s, t_s))

    def listen_for_scale(self) -> None:
        """What is played next is no music but a scale: its first key the root, until a pause of two seconds."""
        with self._lock:
            self._scale = []
            self._await_scale_end(LONGEST_SCALE_S)

    def close(self) -> None:
        """Wait for nothing any more."""
        with self._lock:
            if self._scale_end is not None:
                self._scale_end.cancel()

    def _await_scale_end(self, seconds: float) -> None:
        if self._scale_end is not None:
            self._scale_end.cancel()
        self._scale_end = threading.Timer(max(0.0, seconds), self._end_scale)
        self._scale_end.daemon = True
        self._scale_end.start()

    def _end_scale(self) -> None:
        with self._lock:
            keys, self._scale = self._scale, None
        if keys:
            root = keys[0] % 12
            self._take_scale(root, bits_of(tuple((pitch - root) % 12 for pitch in keys)))
