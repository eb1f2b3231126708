"""Commands as a person calls them: what they print, what they leave, how they fail."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import mido
import pytest

from host.cli import COMMANDS, main
from tests.host.talk import ROOT


def noonsong(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "host", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_play_for_scripts_records_and_ends_by_itself(small_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    options = [
        "--seed",
        "4",
        "--seconds",
        "2.5",
        "--record",
        str(out),
        "--no-panel",
        "--json",
        "--port",
        "none",
    ]
    options += [
        "--weights",
        str(small_weights),
        "--journal",
        str(tmp_path / "j.sqlite"),
        "--control",
        "density=8",
    ]
    done = noonsong("play", *options)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    recorded = [m for m in mido.MidiFile(out) if m.type == "note_on"]
    assert len(recorded) == figures["notes"] > 3
    assert figures["journal_fault"] == "" and figures["faults"] == {}
    ends = [m for m in mido.MidiFile(out) if m.type == "note_off"]
    assert len(ends) >= len(recorded)
    exported = noonsong(
        "export", "--last", "1m", "--journal", str(tmp_path / "j.sqlite"), str(tmp_path / "e.mid")
    )
    assert exported.returncode == 0, exported.stderr
    kinds = [m.type for m in mido.MidiFile(tmp_path / "e.mid")]
    assert kinds.count("note_on") >= figures["notes"] and "set_tempo" in kinds and "program_change" in kinds


def test_render_is_the_same_for_the_same_seed(small_weights: Path, tmp_path: Path) -> None:
    options = ["--weights", str(small_weights), "--seconds", "20", "--control", "density=4"]
    files = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        files.append(tmp_path / f"{name}.mid")
        assert main(["render", *options, "--seed", seed, str(files[-1])]) == 0
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    assert mido.MidiFile(files[0]).length == pytest.approx(20, abs=9)


def test_render_to_sound(small_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    assert main(["render", "--weights", str(small_weights), "--seconds", "3", "--seed", "1", str(out)]) == 0
    sound = out.read_bytes()
    assert sound[:4] == b"RIFF" and len(sound) > 3 * 44100 * 2 and any(sound[1000:])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["render", "--seconds", "-1", "x.mid"], "--seconds may be more than 0"),
        (["render", "x.ogg"], "it may be a .mid or a .wav file"),
        (
            ["render", "--weights", "missing.safetensors", "x.mid"],
            "there are no weights at missing.safetensors",
        ),
        (["render", "--control", "density=99", "x.mid"], "density cannot be 99: it may be 0.25 to 8"),
        (["play", "--config", "missing.toml"], "cannot read missing.toml"),
        (["play", "--api", "smoke"], 'there is no MIDI interface "smoke"'),
        (["play", "--record", "/nowhere/out.mid", "--port", "none"], "cannot write /nowhere/out.mid"),
        (["export", "--day", "yesterday", "x.mid"], "it is written like 2026-11-21"),
        (["export", "--last", "week", "x.mid"], "it may be like 90s, 10m, 2h or 3d"),
        (["export", "--all", "--journal", "missing.sqlite", "x.mid"], "there is no piece at missing.sqlite"),
    ],
)
def test_errors_are_one_sentence_and_status_2(
    arguments: list[str], says: str, small_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if arguments[0] != "export" and "--weights" not in arguments:
        arguments = [arguments[0], "--weights", str(small_weights), *arguments[1:]]
    if arguments[0] == "export" and "--journal" not in arguments:
        (tmp_path / "there").touch()
        arguments = [*arguments, "--journal", "there"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and "Traceback" not in error
    assert not (tmp_path / "x.mid").exists()


def test_an_extra_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from host.cli import Command

    monkeypatch.setitem(COMMANDS, "train", Command("a_module_that_is_not_here", "learn", "train"))
    assert main(["train"]) == 2
    assert 'pip install "noonsong[train]"' in capsys.readouterr().err


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "noonsong.toml"
    assert main(["init", str(path)]) == 0
    assert main(["init", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_doctor_checks_everything(small_weights: Path, tmp_path: Path) -> None:
    journal = tmp_path / "j.sqlite"
    done = noonsong("doctor", "--json", "--weights", str(small_weights), "--journal", str(journal))
    findings = {f["about"]: f for f in json.loads(done.stdout)}
    assert {"settings", "weights", "disk", "MIDI", "serial", "clock", "priority"} <= set(findings)
    assert findings["weights"]["level"] == "good"
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"junk")
    journal.write_bytes(b"junk" * 1000)
    done = noonsong("doctor", "--json", "--weights", str(broken), "--journal", str(journal))
    wrong = [f["about"] for f in json.loads(done.stdout) if f["level"] == "wrong"]
    assert done.returncode == 1 and {"weights", "journal"} <= set(wrong)


def test_the_live_view_in_a_real_terminal(small_weights: Path, tmp_path: Path) -> None:
    """Keys turn knobs; q leaves, and the terminal is as it was."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "110", "LINES": "45"}
        command = [
            "-m",
            "host",
            "play",
            "--weights",
            str(small_weights),
            "--journal",
            str(tmp_path / "j.sqlite"),
        ]
        os.execv(sys.executable, [sys.executable, *command, "--port", "none", "--seed", "1"])
    screen = _read_until(terminal, b"q quit")
    assert b"temperature" in screen and b"96 bpm" in screen
    os.write(terminal, b"TTTTT")
    _read_until(terminal, b"1.18")
    os.write(terminal, b" ")
    _read_until(terminal, b"\xe2\x96\x88\x1b[0m on")  # the bar of the switch, full
    os.write(terminal, b"q")
    _read_until(terminal, b"the piece waits in")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + 15
    while wanted not in seen:
        assert time.monotonic() < deadline, seen[-2000:].decode(errors="replace")
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # Linux: the child has closed its end
                assert wanted in seen, seen[-2000:].decode(errors="replace")
    return seen
