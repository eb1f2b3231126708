"""The few pitches that the model weighed most for each coming note, and their probabilities."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from host.player import Player
from model.tokens import FIRST_NOTE, FIRST_TOUCH, TokenRange, note_of

KEPT_PITCHES = 6
KEPT_NOTES = 1024

Weighed = tuple[tuple[int, int, float], ...]  # (voice, pitch, probability), the likeliest first


class _Engine(Protocol):
    def logits(self, allowed: tuple[TokenRange, ...]) -> NDArray[np.float32]: ...


class Weighing:
    """While `on`, looks at every choice of a note; the choice itself is not touched.

    The probability is the one that the choice among notes had at its temperature, before top-p cut the tail.
    """

    def __init__(self, player: Player, engine: _Engine) -> None:
        self._player = player
        self._engine = engine
        self._weighed: dict[int, Weighed] = {}

    @property
    def on(self) -> bool:
        """Whether choices are looked at."""
        return self._player.on_note_choice is not None

    @on.setter
    def on(self, wanted: bool) -> None:
        self._player.on_note_choice = self._look if wanted else None

    def of(self, positions: Sequence[int]) -> dict[int, Weighed]:
        """What was weighed for the notes at these positions, where it was looked at."""
        return {p: self._weighed[p] for p in positions if p in self._weighed}

    def _look(self, position: int, allowed: tuple[TokenRange, ...], temperature: float, token: int) -> None:
        """On the planning thread, between the choice and its being read by the engine."""
        ranges = tuple(
            (max(first, FIRST_NOTE), min(stop, FIRST_TOUCH))
            for first, stop in allowed
            if stop > FIRST_NOTE and first < FIRST_TOUCH
        )
        probabilities = _softmax(self._engine.logits(ranges), temperature)
        words = np.concatenate([np.arange(first, stop) for first, stop in ranges])
        likeliest = np.argsort(-probabilities, kind="stable")[:KEPT_PITCHES]
        kept = likeliest[probabilities[likeliest] >= 0.005].tolist()
        chosen = int(np.searchsorted(words, token))
        if chosen not in kept:
            kept.append(chosen)
        self._weighed.pop(position, None)
        self._weighed[position] = tuple(
            (*note_of(int(words[i])), round(float(probabilities[i]), 4)) for i in kept
        )
        if len(self._weighed) > KEPT_NOTES:
            del self._weighed[next(iter(self._weighed))]


def _softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    return weights / weights.sum()
