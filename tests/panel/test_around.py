"""What is around the music on the page: accessibility, the past, settings, a board, other devices."""

import io
import json
import os
import socket
import sqlite3
import urllib.request
from collections.abc import Callable
from pathlib import Path

import mido
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from pythonosc.osc_message_builder import OscMessageBuilder

from host.config import load_config
from host.controls import control_table
from host.presets import Presets
from tests.panel.conftest import Box, address_of_this_machine, wait_for, wait_for_knob, wait_until
from tests.panel.test_page import PANEL, tick_of
from tests.sim.sim_board import SimBoard

pytestmark = pytest.mark.xdist_group("browser")

OpenPage = Callable[..., Page]
StartBox = Callable[..., Box]


def serious(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical, in words."""
    found = Axe().run(page).response["violations"]
    return [
        f"{v['id']}: {v['help']}: {[node['html'] for node in v['nodes']][:3]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def test_axe_finds_nothing_serious(box: Box, open_page: OpenPage) -> None:
    for size in ((1280, 800), (390, 844)):
        # axe-core looks at the page by eval, which the page itself forbids
        page = open_page(box.url, *size, bypass_csp=True)
        assert serious(page) == []
        page.get_by_role("button", name="Past", exact=True).click()
        page.locator(".hours button").first.click()
        assert serious(page) == []
        page.get_by_role("button", name="Settings").click()
        page.locator("summary").first.click()
        assert serious(page) == []
        page.context.close()


def test_the_past_is_listed_played_again_and_saved(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    wait_until(lambda: tick_of(page) > 24 * 6, "some music")
    page.keyboard.press("l")
    page.get_by_role("button", name="Past", exact=True).click()
    page.locator(".hours button").last.click()
    expect(page.locator("#excerpt h3")).to_contain_text("notes")
    page.get_by_role("button", name="Play it again").click()
    wait_for(page, f"{PANEL}.sound.orchestra.sounding.size > 0")
    page.get_by_role("button", name="Stop").click()
    wait_for(page, f"{PANEL}.sound.waits === false")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save as MIDI").click()
    assert saving.value.suggested_filename.startswith("noonsong-")
    saved = mido.MidiFile(file=io.BytesIO(Path(saving.value.path()).read_bytes()))
    assert sum(m.type == "note_on" for m in saved) > 4
    assert [m.text for m in saved if m.type == "marker"] == ["loved"]


def test_settings_are_written_and_hold_after_starting_again(
    start_box: StartBox, open_page: OpenPage, tmp_path: Path
) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[board]\nzero_pitch = 24  # low C\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = start_box("--config", str(config), port=port)
    page = open_page(box.url)
    page.get_by_role("button", name="Settings").click()
    page.locator("summary", has_text="board").click()
    field = page.get_by_role("textbox", name="zero pitch")
    expect(field).to_have_value("24")
    field.fill("999")
    field.press("Enter")
    expect(page.locator("#faults")).to_contain_text("zero_pitch")
    assert load_config(config).board.zero_pitch == 24
    field = page.get_by_role("textbox", name="zero pitch")
    field.fill("36")
    field.press("Enter")
    wait_until(lambda: load_config(config).board.zero_pitch == 36, "it is written")
    assert "# low C" in config.read_text()
    before = tick_of(page)
    right = config.read_text()
    config.write_text(right + '[panel]\nport = "low"\n')  # somebody else wrote into it meanwhile
    page.get_by_role("button", name="Start again with these settings").click()
    expect(page.locator("#faults")).to_contain_text("panel.port")
    wait_until(lambda: tick_of(page) > before, "it plays on")
    config.write_text(right)
    page.get_by_role("button", name="Start again with these settings").click()
    box.wait_until_said(r"the panel is at")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(lambda: tick_of(page) > before, "the piece goes on")
    expect(page.locator("#faults")).to_be_empty()


@pytest.mark.xdist_group("browser")
def test_the_boards_knob_moves_the_page(start_box: StartBox, open_page: OpenPage) -> None:
    with SimBoard() as board:
        for index in range(6):
            board.set_knob(index, 0.5)
        box = start_box("--board", board.port)
        box.wait_until_said("is ready", before=True)
        page = open_page(box.url)
        board.set_knob(0, 1.0)
        wait_for_knob(page, "temperature", "2")
        expect(page.locator("[data-control=temperature] .who")).to_have_text("board")
        expect(page.locator("#state")).to_contain_text(board.port)
        page.get_by_role("slider", name="temperature").press("Home")
        wait_for_knob(page, "temperature", "0.2")
        board.unplug()
        expect(page.locator(".fault").first).to_contain_text("plug it in")
        board.plug()


@pytest.mark.xdist_group("browser")
def test_a_knob_of_the_board_learns_to_go_through_the_presets(
    start_box: StartBox, open_page: OpenPage, tmp_path: Path
) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[board]\nknobs = ["", "", "", "", ""]  # none yet\n')
    with SimBoard() as board:
        board.set_knob(2, 0.1)
        box = start_box("--board", board.port, "--config", str(config))
        box.wait_until_said("is ready", before=True)
        page = open_page(box.url)
        for name, key in (("calm", "Home"), ("wild", "End")):
            page.get_by_role("slider", name="temperature").press(key)
            page.get_by_role("button", name="Keep this").click()
            page.get_by_label("name", exact=True).fill(name)
            page.get_by_role("button", name="Keep", exact=True).click()
            expect(page.locator(".preset", has_text=name)).to_be_visible()
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("Control", exact=True).select_option("preset")
        page.get_by_role("button", name="Learn").click()
        expect(page.locator(".says")).to_contain_text("Now move")
        for position in (0.15, 0.2, 0.25, 0.3):  # a hand passes all of them
            board.set_knob(2, position)
            page.wait_for_timeout(50)
        expect(page.locator(".says")).to_contain_text("knob 3 moves preset from now on")
        assert load_config(config).inputs.map[0].control == "preset" and "# none yet" in config.read_text()
        page.get_by_role("button", name="Play", exact=True).click()
        board.set_knob(2, 0.35)  # where it stands, once it is assigned
        page.wait_for_timeout(100)
        for position, name, value in ((1.0, "wild", "2"), (0.2, "calm", "0.2"), (0.7, "wild", "2")):
            board.set_knob(2, position)
            expect(page.locator(".preset[aria-pressed=true]")).to_contain_text(name)
            wait_for_knob(page, "temperature", value)
        expect(page.locator("[data-control=temperature] .who")).to_have_text("preset wild")


def test_faders_and_pads_that_speak_osc_mark_moments_and_recall_presets(
    start_box: StartBox, open_page: OpenPage, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as osc:
        osc.bind(("127.0.0.1", 0))
        port = osc.getsockname()[1]
    config = tmp_path / "own.toml"
    config.write_text(
        f"[inputs]\nosc_port = {port}\n"
        '[[inputs.map]]\ncontrol = "preset"\nby = "osc /fader/1"\n'
        '[[inputs.map]]\ncontrol = "disliked"\nby = "osc /pad/1"\n'
    )
    Presets(tmp_path / "presets.json", control_table(), print).save(4, "five", {"temperature": 0.5})
    Presets(tmp_path / "presets.json", control_table(), print).save(6, "seven", {"temperature": 0.7})
    box = start_box("--config", str(config))
    page = open_page(box.url)

    def send(address: str, value: float) -> None:
        message = OscMessageBuilder(address)
        message.add_arg(value)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as osc:
            osc.sendto(message.build().dgram, ("127.0.0.1", port))

    send("/noonsong/preset", 7)
    wait_for_knob(page, "temperature", "0.7")
    for position in (1.0, 0.8, 0.2):
        send("/fader/1", position)
    wait_for_knob(page, "temperature", "0.5")
    send("/noonsong/preset", 9)
    expect(page.locator("#faults")).to_contain_text("preset 9 is empty")
    for address in ("/noonsong/loved", "/pad/1"):
        send(address, 1.0)

    def marks() -> list[tuple[str, str]]:
        db = sqlite3.connect(box.journal)
        rows = db.execute("SELECT kind, who FROM marks ORDER BY rowid").fetchall()
        db.close()
        return rows

    wait_until(lambda: marks() == [("loved", "a key"), ("disliked", "a key")], "both are kept")


def test_another_device_needs_the_code_and_then_a_token(
    start_box: StartBox, open_page: OpenPage, tmp_path: Path
) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[panel]\nnetwork = true\n")
    box = start_box("--config", str(config))
    code = box.wait_until_said(r"pairing code for other devices: (\d{6})", before=True)
    url = f"http://{address_of_this_machine()}:{box.port}"
    page = open_page(url, ready=False)
    expect(page.get_by_role("heading", name="Pair this device")).to_be_visible()
    page.get_by_label("pairing code").fill("000000" if code != "000000" else "111111")
    page.get_by_role("button", name="Pair").click()
    expect(page.get_by_role("alert")).to_contain_text("not the code")
    page.get_by_label("pairing code").fill(code)
    page.get_by_role("button", name="Pair").click()
    wait_for(page, "document.querySelector('#bar').textContent > 0")
    page.get_by_role("slider", name="temperature").press("End")
    wait_for_knob(page, "temperature", "2")
    cookie = next(c for c in page.context.cookies() if c["name"] == "noonsong")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    kept = json.loads((box.journal.parent / "panel-tokens").read_text())
    assert len(kept) == 1 and cookie["value"] not in kept[0]


def test_who_only_looks_on_turns_nothing(start_box: StartBox, open_page: OpenPage, tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[panel]\nnetwork = true\nspectators = true\n")
    box = start_box("--config", str(config))
    page = open_page(f"http://{address_of_this_machine()}:{box.port}")
    page.evaluate(f"async () => {PANEL}.live.ask({{ask: 'turn', control: 'temperature', position: 1}})")
    expect(page.locator("#faults")).to_contain_text("only looks on")
    db = sqlite3.connect(box.journal)
    assert db.execute("SELECT count(*) FROM moves WHERE who LIKE 'panel%'").fetchone() == (0,)
    db.close()


def test_the_page_is_light_and_needs_nothing_from_elsewhere(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)  # the fixture fails on a request to anywhere else
    for name in ("Past", "Settings"):
        page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_timeout(200)
    loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    paths = {"/", *(url.removeprefix(box.url) for url in loaded)}
    size = 0
    for path in paths:
        if "." in path or path == "/":
            with urllib.request.urlopen(box.url + path) as answer:
                size += len(answer.read())
    assert len(paths) > 8 and size < 150_000


def test_a_panel_that_dies_is_started_again_and_the_music_never_stops(box: Box, open_page: OpenPage) -> None:
    page = open_page(box.url)
    child = next(p for p in Path("/proc").glob("[0-9]*/stat") if _parent(p) == box.process.pid)
    os.kill(int(child.parent.name), 9)
    expect(page.locator("#faults")).to_contain_text("The box is not there")
    box.wait_until_said("it is started again")
    box.wait_until_said(f"the panel is at {box.url}")
    expect(page.locator("#faults")).to_be_empty()
    before = tick_of(page)
    wait_until(lambda: tick_of(page) > before, "the music plays on")


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1
