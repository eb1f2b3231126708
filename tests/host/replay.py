"""Plays a journal again from nothing but its seed, its settings and the weights."""

import json
import sqlite3
from pathlib import Path

import numpy as np

from host.events import Note, Spelled
from host.journal import read_spelled
from host.player import Player
from host.settings import first_settings
from quantize.engine import Engine


def replayed(weights: Path, journal: Path) -> list[tuple[int, bytes]]:
    """The rows (position, tokens) that a pure player gives for the moves in the journal."""
    db = sqlite3.connect(journal)
    seed = int(db.execute("SELECT value FROM piece WHERE key = 'seed'").fetchone()[0])
    settings = db.execute("SELECT floor_tick, controls, meter_tick FROM settings ORDER BY number").fetchall()
    rows = db.execute("SELECT settings, tick, tokens FROM spelled ORDER BY position").fetchall()
    query = (
        "SELECT settings, position, tick, tokens FROM spelled WHERE position IN (SELECT position FROM heard)"
    )
    heard: dict[int, list[Note]] = {}
    for number, position, tick, blob in db.execute(f"{query} ORDER BY position"):
        note = read_spelled(position, tick, number, blob).note
        heard.setdefault(number, []).extend([note] if note else [])
    db.close()
    player = Player(Engine.load(weights), seed, first_settings(json.loads(settings[0][1])))
    out: list[Spelled] = []
    for number, (floor_tick, controls, meter_tick) in enumerate(settings):
        if number > 0:
            now = player.settings.controls
            changes = {k: v for k, v in json.loads(controls).items() if k not in now or now[k] != v}
            expected = player.settings.moved(changes, floor_tick)
            moved = None if expected.meter.tick == meter_tick else meter_tick
            begins = rows[len(out) :][:1] and rows[len(out)][::2] == (number, bytes(2))  # the token END alone
            if number in heard:
                out += player.hear(heard[number])
            else:
                player.move(changes, floor_tick, bool(begins), moved, skip=True)
        while len(out) < len(rows) and rows[len(out)][0] <= number:
            if json.loads(controls)["step"] and player.planned_tick < rows[len(out)][1]:
                out += player.play_onset(rows[len(out)][1])
                continue
            while not player.planned or player.planned_tick <= rows[len(out)][1]:
                player.plan_note()
            again = player.commit(rows[len(out)][1])
            if not again:
                break  # it is not the same piece
            out += again
    return [(s.position, np.array(s.tokens, dtype="<u2").tobytes()) for s in out][: len(rows)]
