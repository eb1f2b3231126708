"""The page's own sound and its MIDI, in time with the box."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.panel.conftest import Box, wait_for, wait_until
from tests.panel.test_page import PANEL, tick_of

pytestmark = pytest.mark.xdist_group("browser")

# Every note that the page plays: when, on the audio clock, and when the box has it, in seconds.
LISTEN = f"""async () => {{
  const {{sound, music, live}} = {PANEL};
  window.heard = [];
  const play = sound.orchestra.play.bind(sound.orchestra);
  sound.orchestra.play = (voice, pitch, velocity, at_s, length_s) => {{
    const ahead_s = sound.context.currentTime - performance.now() / 1000 - live.offset_s;
    heard.push([at_s, ahead_s + sound.delay_s, pitch, velocity]);
    play(voice, pitch, velocity, at_s, length_s);
  }};
}}"""


def test_the_page_sounds_by_itself_in_time_with_the_box(
    start_box: Callable[..., Box], open_page: Callable[..., Page]
) -> None:
    box = start_box("--seed", "5", "--control", "tempo=150", "--control", "density=4")
    page = open_page(box.url)
    page.get_by_role("button", name="Sound").click()
    expect(page.locator("#sound")).to_have_attribute("aria-pressed", "true")
    page.evaluate(LISTEN)
    wait_for(page, "heard.length > 30")
    loudest = (
        f"async () => {{ const {{sound}} = {PANEL}; const s = new Float32Array(2048);"
        " sound.orchestra.analyser.getFloatTimeDomainData(s); return Math.max(...s.map(Math.abs)) }"
    )
    wait_until(lambda: page.evaluate(loudest) > 0.01, "it sounds")
    # A note's distance from its tick's time is the same delay for all.
    rows = page.evaluate(
        f"async () => {{ const {{music, sound}} = {PANEL};"
        " return [heard, music.notes.filter(n => n.voice >= 0).map(n => [music.time_of(n.tick), n.pitch, n.velocity]),"
        " sound.context.outputLatency] }"
    )
    heard, notes, latency_s = rows
    times: dict[tuple[int, int], list[float]] = {}
    for at_s, pitch, velocity in notes:
        times.setdefault((pitch, velocity), []).append(at_s)
    apart = []
    for at_s, offset_s, pitch, velocity in heard:
        box_s = at_s - offset_s
        apart.append(min((box_s - due_s + latency_s for due_s in times[pitch, velocity]), key=abs))
    off = sorted(abs(a) for a in apart)
    assert off[len(off) // 2] < 0.04  # as late as it says, whatever this machine is busy with


def test_freezing_and_panic_silence_the_page(box: Box, open_page: Callable[..., Page]) -> None:
    page = open_page(box.url)
    page.get_by_role("button", name="Sound").click()
    wait_for(page, f"{PANEL}.sound.orchestra.sounding.size > 0")
    page.keyboard.press(" ")
    wait_for(page, f"{PANEL}.sound.orchestra.sounding.size === 0")
    page.keyboard.press(" ")
    wait_for(page, f"{PANEL}.sound.orchestra.sounding.size > 0")
    other = open_page(box.url)
    page.evaluate(f"async () => {{ const s = {PANEL}.sound; const f = s.silence.bind(s); window.silenced = 0;"
                  " s.silence = () => { window.silenced++; f(); } }")  # fmt: skip
    other.get_by_role("button", name="Panic").click()
    wait_for(page, "window.silenced > 0")


# There is no MIDI device on a test machine, so the browser's own API is stood in for; the bytes are the page's.
PORTS = """
window.sent = [];
const port = {id: "one", name: "Synth", state: "connected", send(bytes, at) { sent.push([[...bytes], at ?? 0]) }};
navigator.requestMIDIAccess = async () => ({outputs: new Map([["one", port]]), onstatechange: null});
"""


def test_notes_go_to_a_chosen_midi_port_of_the_browser(box: Box, open_page: Callable[..., Page]) -> None:
    page = open_page(box.url)
    page.add_init_script(PORTS)
    page.reload()
    wait_until(lambda: tick_of(page) > 24, "some music")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Find MIDI ports").click()
    page.get_by_label("Notes of this page to").select_option("Synth")
    wait_for(page, "sent.filter(([b]) => b[0] >> 4 === 9).length > 12")
    page.get_by_label("Notes of this page to").select_option("nowhere")
    sent = page.evaluate("sent")
    programs = {b[0] & 15: b[1] for b, _ in sent if b[0] >> 4 == 0xC}
    assert programs[0] == 32 and 9 not in programs  # a bass; drums have none
    on: dict[tuple[int, int], int] = {}
    for bytes_, _ in sent:
        if bytes_[0] >> 4 == 9:
            on[bytes_[0] & 15, bytes_[1]] = on.get((bytes_[0] & 15, bytes_[1]), 0) + 1
        elif bytes_[0] >> 4 == 8:
            on[bytes_[0] & 15, bytes_[1]] = max(0, on.get((bytes_[0] & 15, bytes_[1]), 0) - 1)
    assert all(count == 0 for count in on.values()), "a note hangs"
    starts = [at for b, at in sent if b[0] >> 4 == 9]
    assert starts == sorted(starts) and starts[0] > 0
