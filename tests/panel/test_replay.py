"""The past played again through the outputs: as it was, with nothing left hanging, and no trace in the piece."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mido
import pytest
from playwright.sync_api import Page, expect

from host.config import Day
from host.history import History
from host.instrument import Instrument
from host.panel.past import PastReader
from host.panel.replay import Replay, Sounded
from host.panel.requests import Excerpt
from tests.host.playing import Stage
from tests.panel.conftest import Box, wait_until
from tests.panel.test_page import last_tick, tick_of
from tests.sim.sim_board import SimBoard
from tests.sim.simulator import GATE_PINS, Simulator


class Player:
    """A stage whose past can be played."""

    def __init__(self, weights: Path, folder: Path) -> None:
        self.stage = stage = Stage(weights, folder, density=4.0)
        self.instrument = Instrument(
            stage.performance, stage.scheduler, stage.piece, [], Day(), stage.said.append, lambda: stage.now_s
        )
        self.replay = Replay(self.instrument)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.stage.run(0.05)
            self.replay.look(self.stage.now_s)

    def begin(self, rows: list[Sounded], number: int = 1, from_s: float = 0.0, beside: bool = False) -> None:
        length_s = max(row.at_s + row.length_s for row in rows)
        self.replay.begin(Excerpt(number, "2026-11-21T14", from_s, length_s, beside))
        self.replay.add(number, rows)


@pytest.fixture
def player(small_weights: Path, tmp_path: Path) -> Iterator[Player]:
    player = Player(small_weights, tmp_path)
    yield player
    player.replay.end()
    player.stage.kill()


ROWS = [Sounded(0.1 * n, 0.25, 1 + n % 3, 40 + n, 90) for n in range(20)]


def spelled(folder: Path) -> list[tuple[int, int, bytes]]:
    db = sqlite3.connect(folder / "journal.sqlite")
    rows = db.execute("SELECT position, tick, tokens FROM spelled ORDER BY position").fetchall()
    db.close()
    return rows


def test_the_piece_waits_and_goes_on_where_it_was(
    player: Player, small_weights: Path, tmp_path: Path
) -> None:
    player.run(3.0)
    player.begin(ROWS)
    player.run(0.25)
    silent, position = len(player.stage.heard.events), player.stage.piece.playhead.position
    tick = player.stage.performance.clock.tick_at(player.stage.now_s)
    assert not player.stage.heard.hanging()
    player.run(2.6)
    again = player.stage.heard.events[silent:]
    assert [(e.voice, e.pitch) for _, e in again if hasattr(e, "velocity")] == [row[2:4] for row in ROWS]
    times_s = [at_s for at_s, e in again if hasattr(e, "velocity")]
    assert times_s == pytest.approx([times_s[0] + row.at_s for row in ROWS])
    assert not player.stage.heard.hanging()
    assert player.stage.piece.playhead.position == position  # a death now would go on from there
    assert player.stage.performance.clock.tick_at(player.stage.now_s) == tick
    player.run(4.0)
    assert player.replay.state() is None
    # The same piece as without it.
    (tmp_path / "other").mkdir()
    other = Player(small_weights, tmp_path / "other")
    other.run(9.0)
    mine, theirs = spelled(tmp_path), spelled(tmp_path / "other")
    assert position < mine[-1][0] and mine == theirs[: len(mine)]
    other.stage.kill()


def test_beside_the_piece_both_sound(player: Player) -> None:
    player.run(2.0)
    player.begin(ROWS, beside=True)
    position = player.stage.piece.playhead.position
    player.run(2.6)
    assert player.stage.piece.playhead.position > position + 10
    for row in ROWS:
        assert (row.voice, row.pitch) in player.stage.heard.ons()
    player.run(6.0)
    player.instrument.panic()
    assert not player.stage.heard.hanging()


@pytest.mark.parametrize("how", ["end", "panic", "another"])
def test_however_it_ends_nothing_hangs(player: Player, how: str) -> None:
    player.run(2.0)
    player.begin([row._replace(length_s=9.0) for row in ROWS])
    player.run(1.5)
    assert player.stage.heard.hanging()
    if how == "end":
        player.replay.end()
    elif how == "panic":
        player.instrument.panic()
    else:
        player.begin(ROWS, number=2, from_s=1.0)
        player.replay.add(1, ROWS)  # notes of the first that were still on their way
        assert not player.stage.heard.hanging()
        before = len(player.stage.heard.ons())
        player.run(3.0)
        assert player.stage.heard.ons()[before : before + 10] == [row[2:4] for row in ROWS[10:]]
        return
    player.run(0.1)
    assert player.replay.state() is None and not player.instrument.waiting
    before = len(player.stage.heard.ons())
    player.run(4.0)
    assert len(player.stage.heard.ons()) > before  # the piece plays


def test_seconds_follow_the_tempo_as_it_was(player: Player, tmp_path: Path) -> None:
    player.run(4.0)
    heard = list(player.stage.heard.events)
    past = PastReader(tmp_path / "journal.sqlite")
    hour = History(tmp_path / "journal.sqlite").hours()[0]
    told = past.notes(hour.name)
    played = [(at_s, e.voice, e.pitch) for at_s, e in heard if hasattr(e, "velocity")]
    rows = sorted((at_s, voice, pitch) for at_s, _, voice, pitch, _ in told["notes"])[: len(played)]
    offset_s = played[0][0] - rows[0][0]
    assert [row[1:] for row in rows] == [row[1:] for row in sorted(played)]
    assert [row[0] + offset_s for row in rows] == pytest.approx([row[0] for row in sorted(played)], abs=0.001)


# --- the whole box, in a browser


@pytest.mark.xdist_group("browser")
def test_the_box_plays_its_past_while_the_piece_waits(
    start_box: Callable[..., Box], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    with SimBoard() as board:
        for index in range(6):
            board.set_knob(index, 0.5)
        record = tmp_path / "out.mid"
        box = start_box("--board", board.port, "--record", str(record), "--seed", "5")
        box.wait_until_said("is ready", before=True)
        page, other = open_page(box.url), open_page(box.url)
        wait_until(lambda: tick_of(page) > 24 * 8, "some music")
        page.get_by_role("button", name="Past", exact=True).click()
        page.locator(".hours button").last.click()
        page.get_by_label("Where it is played").select_option("by the box, the piece waits")
        page.get_by_role("button", name="Play it again").click()
        for each in (page, other):
            expect(each.locator("#past-bar")).to_contain_text("The piece waits")
        wait_until(lambda: any(board.at(Simulator.gates)), "the board plays it")
        stood = last_tick(box.journal)
        time.sleep(1.0)
        assert last_tick(box.journal) == stood
        other.get_by_role("button", name="Stop playing the past").click()
        expect(page.locator("#past-bar")).to_be_hidden()
        expect(page.get_by_role("button", name="Play it again")).to_be_visible()
        wait_until(lambda: last_tick(box.journal) > stood, "the piece goes on")
        page.get_by_label("Where it is played").select_option("by the box, beside the piece")
        page.get_by_role("button", name="Play it again").click()
        expect(page.locator("#past-bar")).to_contain_text("plays on beside it")
        before = tick_of(page)
        wait_until(lambda: tick_of(page) > before + 24, "the piece plays on")
        other.get_by_role("button", name="Panic").click()
        expect(page.locator("#past-bar")).to_be_hidden()
        kept = {(n.tick, n.voice, n.pitch) for n in History(box.journal).excerpt(0.0, 1e12).notes}
        box.stop()
        wait_until(lambda: not any(board.at(Simulator.gates)), "every gate is low")
        assert {p.pin for p in board.at(lambda sim: sim.pins)} & set(GATE_PINS)
    sounded = [m for m in mido.MidiFile(record) if m.type == "note_on" and m.velocity]
    assert len(sounded) > len(kept)  # the past is in what sounded, not in the journal
    db = sqlite3.connect(box.journal)
    ticks = [t for (t,) in db.execute("SELECT tick FROM spelled ORDER BY position")]
    db.close()
    assert ticks == sorted(ticks)
