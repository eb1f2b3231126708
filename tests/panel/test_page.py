"""The page in a real browser, played as a person would."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.panel.conftest import Box, knob, wait_for, wait_for_knob, wait_until

pytestmark = pytest.mark.xdist_group("browser")

OpenPage = Callable[..., Page]
StartBox = Callable[..., Box]

# What the page's own parts say, by name of their module.
PANEL = "(await import('/main.js')).panel"


def onsets_a_beat(journal: Path, after_tick: int) -> float:
    db = sqlite3.connect(journal)
    ticks = [t for (t,) in db.execute("SELECT DISTINCT tick FROM spelled WHERE tick > ?", (after_tick,))]
    db.close()
    return (len(ticks) - 1) / ((max(ticks) - min(ticks)) / 24) if len(ticks) > 1 else 0.0


def last_tick(journal: Path) -> int:
    db = sqlite3.connect(journal)
    tick: int = db.execute("SELECT max(tick) FROM spelled").fetchone()[0] or 0
    db.close()
    return tick


def moves(journal: Path, control: str) -> list[tuple[float | None, str]]:
    db = sqlite3.connect(journal)
    rows = db.execute("SELECT value, who FROM moves WHERE control = ? ORDER BY rowid", (control,)).fetchall()
    db.close()
    return rows


def tick_of(page: Page) -> float:
    tick: float = page.evaluate(f"async () => {PANEL}.roll.tick()")
    return tick


def test_from_nothing_to_music_and_a_knob_that_is_heard(start_box: StartBox, open_page: OpenPage) -> None:
    box = start_box("--seed", "5", "--control", "tempo=300", "--control", "density=0.5")
    page = open_page(box.url)
    assert page.title() == "noonsong"
    wait_until(lambda: last_tick(box.journal) > 24 * 24, "a beginning was played")
    sparse = onsets_a_beat(box.journal, 0)
    dial = page.get_by_role("slider", name="density")
    assert "0.5" in (dial.get_attribute("aria-valuetext") or "")
    place = dial.bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 400, steps=8)
    page.mouse.up()
    wait_for_knob(page, "density", "8")
    turned = last_tick(box.journal) + 24
    wait_until(lambda: last_tick(box.journal) > turned + 24 * 24, "more was played")
    dense = onsets_a_beat(box.journal, turned)
    assert sparse < 1.2 and dense > 5
    assert moves(box.journal, "density")[-1] == (8.0, "panel 1")


def test_every_control_of_the_table_can_be_turned(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    table = page.evaluate(f"async () => {PANEL}.controls.table")
    assert {"temperature", "density", "tempo", "meter", "source"} <= {row["name"] for row in table}
    for row in table:
        if row["name"] == "morph":  # times to choose from, beside the presets
            page.get_by_label("morph").select_option("1 min")
            wait_until(lambda: moves(box.journal, "morph") == [(60.0, "panel 1")], "the time moved")
        elif row["kind"] == "knob":
            page.get_by_role("slider", name=row["name"].replace("top_p", "top-p"), exact=True).press("End")
            dial = f"document.querySelector('[data-control={row['name']}] [role=slider]')"
            wait_for(page, f"{dial}.getAttribute('aria-valuenow') === '100'")
            wait_until(partial(moves, box.journal, row["name"]), f"{row['name']} moved")
    page.get_by_role("combobox", name="meter").select_option("3/4")
    wait_until(lambda: moves(box.journal, "meter") == [(2.0, "panel 1")], "the metre moved")
    wait_for(page, "document.querySelectorAll('#beats i').length === 3")


def test_mouse_wheel_default_and_a_typed_value(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    dial = page.get_by_role("slider", name="temperature")
    dial.hover()
    page.mouse.wheel(0, -400)
    wait_for(page, "document.querySelector('[data-control=temperature] .value-text').textContent > 1")
    dial.dblclick()
    wait_for_knob(page, "temperature", "1")
    dial.press("Enter")
    page.keyboard.type("0.7")
    page.keyboard.press("Enter")
    wait_for_knob(page, "temperature", "0.7")
    dial.press("Enter")
    page.keyboard.type("99")
    page.keyboard.press("Enter")
    expect(page.locator("#faults")).to_contain_text("temperature cannot be 99: it may be 0.2 to 2")
    assert knob(page, "temperature") == "0.7"


def test_only_the_keyboard(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('[data-control=temperature]') !== null"):
            break
    else:
        pytest.fail("no way to the temperature by the tabulator")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    wait_for_knob(page, "temperature", "1.2")
    page.keyboard.press("Delete")
    wait_for_knob(page, "temperature", "1")
    page.keyboard.press("D")
    wait_for(page, "document.querySelector('[data-control=density] .value-text').textContent > 2")
    page.keyboard.press(" ")
    expect(page.locator("#freeze")).to_have_attribute("aria-pressed", "true")
    wait_until(lambda: tick_of(page) == tick_of(page), "time stands still")
    stood = tick_of(page)
    page.keyboard.press(" ")
    wait_until(lambda: tick_of(page) > stood + 12, "time goes on")


def test_two_browsers_stay_together(box: Box, open_page: OpenPage) -> None:
    first, second = open_page(box.url), open_page(box.url)
    first.get_by_role("slider", name="temperature").press("Home")
    wait_for_knob(second, "temperature", "0.2")
    expect(second.locator("[data-control=temperature] .who")).to_have_text("panel 1")
    expect(first.locator("[data-control=temperature] .who")).to_have_text("you")
    second.get_by_role("slider", name="tempo").press("End")
    wait_for_knob(first, "tempo", "300")
    notes = "n => n.filter(n => n.position <= 400).map(n => [n.position, n.tick, n.voice, n.pitch])"
    first.get_by_role("slider", name="density").press("End")  # both see the plan written anew
    wait_until(lambda: tick_of(first) > 24 * 40, "some music")
    for page in (first, second):
        page.get_by_role("button", name="Freeze").click() if page is first else None
    wait_until(lambda: not first.evaluate(f"async () => {PANEL}.music.running"), "frozen")
    first.wait_for_timeout(200)
    told = [page.evaluate(f"async () => ({notes})({PANEL}.music.notes)") for page in (first, second)]
    assert told[0] == told[1] and len(told[0]) > 20


def test_killed_and_started_again_the_page_comes_back_to_the_same_piece(
    start_box: StartBox, open_page: OpenPage
) -> None:
    box = start_box("--seed", "5", "--control", "tempo=200")
    page = open_page(box.url)
    page.get_by_role("slider", name="temperature").press("PageUp")
    wait_for_knob(page, "temperature", "1.18")
    wait_until(lambda: tick_of(page) > 24 * 8, "some music")
    piece, before = page.evaluate(f"async () => {PANEL}.music.piece"), tick_of(page)
    box.kill()
    expect(page.locator("#faults")).to_contain_text("The box is not there")
    again = start_box(port=box.port)
    assert again.port == box.port
    expect(page.locator("#faults")).to_be_empty()
    wait_until(lambda: tick_of(page) > before, "it goes on")
    assert page.evaluate(f"async () => {PANEL}.music.piece") == piece
    assert tick_of(page) < before + 24 * 60
    assert knob(page, "temperature") == "1.18"


def test_what_is_planned_is_shown_and_written_anew_when_a_knob_moves(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    wait_until(lambda: tick_of(page) > 24 * 4, "some music")
    look = (  # as the last frame told it
        f"async () => {{ const {{music}} = {PANEL};"
        " return [music.clock[0], music.final, music.notes.map(n => [n.position, n.tick])] }"
    )
    now, final, notes = page.evaluate(look)
    coming = [tick for position, tick in notes if position > final]
    assert coming and min(coming) > now and max(coming) > now + 6 * 24  # planned, about eight beats
    assert any(tick <= now for position, tick in notes if position <= final)  # played
    page.get_by_role("slider", name="density").press("End")
    wait_for(page, f"{PANEL}.music.rewritten?.tick > 0")
    after = page.evaluate(look)
    assert len([1 for position, _ in after[2] if position > after[1]]) > len(coming)


def test_the_pitches_that_were_weighed(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    page.get_by_role("button", name="Weighed").click()
    wait_for(page, f"{PANEL}.music.weighed.size > 10")
    seen = page.evaluate(
        f"async () => {{ const {{music}} = {PANEL}; return music.notes.filter(n => music.weighed.has(n.position))"
        ".map(n => [n.voice, n.pitch, music.weighed.get(n.position)]) }"
    )
    for voice, pitch, rows in seen:
        assert [voice, pitch] in [row[:2] for row in rows]
        assert 0 < sum(chance for *_, chance in rows) <= 1.001
        assert rows[0][2] == max(chance for *_, chance in rows)


def test_presets_are_kept_recalled_and_morphed_to(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    page.get_by_role("slider", name="temperature").press("Home")
    wait_for_knob(page, "temperature", "0.2")
    page.get_by_role("button", name="Keep this").click()
    page.get_by_label("name", exact=True).fill("calm")
    page.get_by_role("button", name="Keep", exact=True).click()
    chip = page.locator(".preset", has_text="calm")
    page.get_by_role("slider", name="temperature").press("End")
    wait_for_knob(page, "temperature", "2")
    page.get_by_label("morph").select_option("2")
    chip.click()
    wait_for_knob(page, "temperature", "0.2")
    steps = [value for value, who in moves(box.journal, "temperature") if who == "preset calm"]
    falling = [value or 0.0 for value in steps]
    assert len(steps) > 10 and falling == sorted(falling, reverse=True) and steps[-1] == pytest.approx(0.2)
    other = open_page(box.url)
    expect(other.locator(".preset")).to_contain_text("calm")


def test_a_phone_in_portrait(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url, 390, 844, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    dial = page.get_by_role("slider", name="density")
    place = dial.bounding_box()
    assert place is not None and place["width"] >= 120 and place["y"] + place["height"] < 844
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, [role=slider]')].filter(e => e.offsetParent)"
        ".filter(e => Math.min(e.offsetWidth, e.offsetHeight) < 30).map(e => e.outerHTML)"
    )
    assert small == []
    page.get_by_role("button", name="Freeze").tap()
    expect(page.locator("#freeze")).to_have_attribute("aria-pressed", "true")
    assert moves(box.journal, "freeze")[-1] == (1.0, "panel 1")


def test_rest_wake_and_loved_moments(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    wait_until(lambda: tick_of(page) > 24, "some music")
    page.keyboard.press("l")
    page.get_by_role("button", name="Disliked").click()

    def marks() -> list[str]:
        db = sqlite3.connect(box.journal)
        rows = [kind for (kind,) in db.execute("SELECT kind FROM marks ORDER BY rowid")]
        db.close()
        return rows

    wait_until(lambda: marks() == ["loved", "disliked"], "both marks are kept")
    page.get_by_role("button", name="Rest").click()
    expect(page.locator("#rest")).to_have_attribute("aria-pressed", "true")
    stood = tick_of(page)
    page.get_by_role("button", name="Rest").click()
    wait_until(lambda: tick_of(page) > stood + 6, "awake")


def test_a_clock_that_is_not_there_is_said_and_gone_when_another_leads(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    page.get_by_role("combobox", name="clock").select_option("gate")
    expect(page.locator("#faults")).to_contain_text("Waiting for the first pulse of the clock input")
    expect(page.locator("#faults")).to_contain_text("patch it into the board")
    page.get_by_role("combobox", name="clock").select_option("internal")
    expect(page.locator("#faults")).to_be_empty()
    expect(page.locator("#state")).to_contain_text("Clockinternal")


def test_tapping_a_tempo(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    page.evaluate(
        "async () => { for (let n = 0; n < 5; n++) {"
        " document.querySelector('#tap').click(); await new Promise(r => setTimeout(r, 400)) } }"
    )
    wait_until(lambda: moves(box.journal, "tempo")[-1][1] == "panel 1", "the tempo moved")
    tempo = moves(box.journal, "tempo")[-1][0]
    assert tempo is not None and 100 < tempo < 152  # 150 where timers are exact; a busy machine is slower
