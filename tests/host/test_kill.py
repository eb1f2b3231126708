"""The real process and the real signal: SIGKILL at random moments, and the piece goes on."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

from host.events import Spelled
from tests.host.playing import new_player, planned
from tests.host.talk import PLAY, ROOT
from tests.host.test_performance import record

KILLS = 20
CONTROLS = ["tempo=300", "density=6", "temperature=1.1"]


def start(weights: Path, folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [*PLAY, "--port", "none", "--events"]
    command += ["--weights", str(weights), "--journal", str(folder / "journal.sqlite"), "--seed", "9"]
    for control in CONTROLS:
        command += ["--control", control]
    return subprocess.Popen(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )


def ons(output: bytes) -> list[tuple[str, int, int]]:
    lines = [json.loads(line) for line in output.splitlines()]
    return [(e["voice"], e["pitch"], e["velocity"]) for e in lines if e["event"] == "on"]


def expected(weights: Path, count: int) -> list[Spelled]:
    from host.controls import parse_assignments
    from tests.host.playing import TABLE

    player = new_player(weights, seed=9, **parse_assignments(CONTROLS, TABLE))
    return planned(player, count)


def test_killed_at_random_moments_no_note_is_lost_or_repeated(small_weights: Path, tmp_path: Path) -> None:
    from model.tokens import VOICE_NAMES

    rng = random.Random(2)
    heard: list[tuple[str, int, int]] = []
    for _ in range(KILLS):
        process = start(small_weights, tmp_path)
        assert process.stdout is not None
        first = process.stdout.readline()  # it plays; now at a random moment ...
        time.sleep(rng.uniform(0.0, 0.8))
        process.send_signal(signal.SIGKILL)
        rest, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
        heard += ons(first + rest)
    rows = record(tmp_path)
    whole = expected(small_weights, len(rows))
    assert [(s.position, bytes(b for t in s.tokens for b in t.to_bytes(2, "little"))) for s in whole] == rows
    music = [(VOICE_NAMES[n.voice], n.pitch, n.velocity) for n in (s.note for s in whole) if n is not None]
    assert len(heard) > KILLS
    assert heard == music[: len(heard)]


def test_stopped_by_sigterm_it_ends_every_note_and_says_so(small_weights: Path, tmp_path: Path) -> None:
    process = start(small_weights, tmp_path)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(20)]
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors.decode()
    held: set[tuple[str, int]] = set()
    events = [line for line in (b"".join(lines) + rest).splitlines() if line.startswith(b"{")]
    for event in map(json.loads, events):
        key = (event["voice"], event["pitch"])
        held = held | {key} if event["event"] == "on" else held - {key}
    assert not held
    assert b"the piece waits" in rest


def test_two_cannot_play_one_piece(small_weights: Path, tmp_path: Path) -> None:
    process = start(small_weights, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    second = start(small_weights, tmp_path, "--seconds", "1")
    _, errors = second.communicate(timeout=20)
    process.kill()
    process.communicate()
    assert second.returncode == 2 and b"another noonsong" in errors


def test_a_place_that_cannot_be_written_is_named(small_weights: Path, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    for folder in (in_the_way, Path("/proc/none")):
        process = start(small_weights, folder, "--seconds", "1")
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 2
        assert f"cannot be kept in {folder}" in errors.decode() and b"Traceback" not in errors
