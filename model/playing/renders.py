"""Plays the box without devices, as fast as the engine can: the one place of model/ that knows host/."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from host.controls import METERS, control_table, defaults
from host.player import Player
from host.settings import first_settings
from model.tokens import FIRST_NOTE, FIRST_TOUCH, PPQN, Note
from quantize.engine import Engine

Controls = Mapping[str, float | None]


class Turn(NamedTuple):
    """Controls that are turned at a tick."""

    tick: int
    changes: Controls


def play(
    engine: Engine,
    seed: int,
    beats: float,
    controls: Controls | None = None,
    turns: Sequence[Turn] = (),
    surprises: list[float] | None = None,
) -> list[Note]:
    """The notes of the first `beats` of the piece that a box with this seed plays.

    Controls stand at the box's defaults where `controls` does not say otherwise. `turns` ascend. The entropy
    of each choice of a note, in bits, is added to `surprises`.
    Raises NoonsongError for a control that there is not, or a value that it cannot have.
    """
    table = control_table(engine.header.sources)
    asked = {name: table[name].check(value) for name, value in (controls or {}).items()}
    player = Player(engine, seed, first_settings({**defaults(table), **asked}))
    if surprises is not None:
        player.on_note_choice = _entropy_teller(engine, surprises)
    notes: list[Note] = []
    for turn in turns:
        notes += _play_to(player, turn.tick + 1)
        player.move(turn.changes, turn.tick)
    end = round(beats * PPQN)
    return [note for note in notes + _play_to(player, end) if note.tick < end]


def meter_control(bar_ticks: int) -> float | None:
    """The value of the control `meter` for bars of that length; None when the box has no such bars."""
    lengths = list(METERS.values())
    return float(lengths.index(bar_ticks)) if bar_ticks in lengths else None


def _play_to(player: Player, tick: int) -> list[Note]:
    notes: list[Note] = []
    while player.planned_tick < tick:
        player.plan_note()
        if player.full:
            notes += [s.note for s in player.commit(player.planned_tick - 1) if s.note is not None]
    return notes + [s.note for s in player.commit(tick - 1) if s.note is not None]


def _entropy_teller(
    engine: Engine, surprises: list[float]
) -> Callable[[int, tuple[tuple[int, int], ...], float, int], None]:
    def tell(_position: int, allowed: tuple[tuple[int, int], ...], temperature: float, _token: int) -> None:
        notes = tuple((a, b) for a, b in allowed if FIRST_NOTE <= a < FIRST_TOUCH)
        logits = engine.logits(notes).astype(np.float64) / temperature
        chance = np.exp(logits - logits.max())
        chance /= chance.sum()
        surprises.append(float(-(chance * np.log2(chance + 1e-300)).sum()))

    return tell
