"""Ableton Link with real peers on this machine."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from host.clocks.link import LinkClock, Session, open_session
from host.events import Move
from tests.host.playing import Stage

PATIENCE_S = 60.0
OLDER_S = 1.0  # of two sessions that are less than half a second apart in age, Link takes either


def peer(tempo_bpm: float) -> Session:
    session = open_session(tempo_bpm)
    session.quantum = 4.0
    session.enabled = True
    return session


def play_until(stage: Stage, done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"never: {what}"
        stage.now_s = time.monotonic()
        while stage.performance.step(stage.now_s) <= stage.now_s:
            pass
        stage.scheduler.run_due(stage.now_s)
        time.sleep(0.002)


def test_two_peers_share_tempo_and_beat(small_weights: Path, tmp_path: Path) -> None:
    other, there_s = peer(126.0), time.monotonic()
    link = LinkClock(open_session(100.0))
    stage = Stage(small_weights, tmp_path, sources={"link": link}, density=4.0, tempo=100.0)
    stage.performance.clock.move_to(0, time.monotonic())
    try:
        play_until(stage, lambda: len(stage.heard.events) > 3, "the first notes")
        play_until(stage, lambda: time.monotonic() - there_s > OLDER_S, "its age")
        stage.performance.move(Move("clock", 3.0, "test"))
        performance = stage.performance
        play_until(
            stage,
            lambda: (
                performance.conductor.settled and performance.clock.tempo_bpm == pytest.approx(126, abs=0.01)
            ),
            "their tempo, which was there first",
        )
        assert "with 1 other" in performance.clock_status(stage.now_s).sentence

        def apart_beats() -> float:
            now_s, beat = time.monotonic(), other.beat
            meter = performance.player.settings.meter
            ours = (performance.clock.straight_at(now_s) - meter.tick) / 24
            return abs((ours - beat + 2) % 4 - 2)

        play_until(stage, lambda: apart_beats() < 0.02, "the same beat of the same bar")
        other.tempo = 90.0
        play_until(stage, lambda: performance.clock.tempo_bpm == pytest.approx(90.0, abs=0.01), "their tempo")
        play_until(stage, lambda: apart_beats() < 0.02, "the same beat at their tempo")
        performance.move(Move("tempo", 140.0, "test"))
        play_until(stage, lambda: other.tempo == pytest.approx(140.0, abs=0.01), "our tempo at theirs")
        stage.performance.move(Move("clock", 0.0, "test"))
        play_until(stage, lambda: performance.conductor.following is None, "leaving")
        assert performance.clock.tempo_bpm == pytest.approx(140.0, abs=0.5)
    finally:
        link.close()
        other.enabled = False
