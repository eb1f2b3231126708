"""Plays a journal again from nothing but its seed, its settings and the weights."""

import json
import sqlite3
from pathlib import Path

import numpy as np

from host.events import Spelled
from host.player import Player
from host.settings import first_settings
from quantize.engine import Engine


def replayed(weights: Path, journal: Path) -> list[tuple[int, bytes]]:
    """The rows (position, tokens) that a pure player gives for the moves in the journal."""
    db = sqlite3.connect(journal)
    seed = int(db.execute("SELECT value FROM piece WHERE key = 'seed'").fetchone()[0])
    settings = db.execute("SELECT floor_tick, controls FROM settings ORDER BY number").fetchall()
    last = db.execute("SELECT max(tick) FROM spelled").fetchone()[0]
    count = db.execute("SELECT count(*) FROM spelled").fetchone()[0]
    db.close()
    player = Player(Engine.load(weights), seed, first_settings(json.loads(settings[0][1])))
    out: list[Spelled] = []
    for floor_tick, controls in settings[1:]:
        while player.planned_tick <= floor_tick:
            player.plan_note()
        out += player.commit(floor_tick)
        now = player.settings.controls
        player.move({k: v for k, v in json.loads(controls).items() if now[k] != v}, floor_tick)
    while player.planned_tick <= last:
        player.plan_note()
        out += player.commit(player.planned_tick - 1)
    rows = [(s.position, np.array(s.tokens, dtype="<u2").tobytes()) for s in out]
    return rows[:count]
