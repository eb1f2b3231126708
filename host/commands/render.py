"""Plays into a file without devices, as fast as the engine can."""

import argparse
import json
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from host.commands.common import add_playing_arguments, load
from host.midi_file import MeterChange, TempoChange, write_piece
from host.player import Player
from host.settings import first_settings
from model.errors import NoonsongError
from model.tokens import PPQN, Note

SOUND_FONTS = (
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong render`."""
    add_playing_arguments(parser)
    parser.add_argument("out", type=Path, help="a .mid file, or .wav with fluidsynth and a sound font")
    parser.add_argument("--seconds", type=float, default=60.0, help="how much (default 60)")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Render, and say how fast it was."""
    if arguments.out.suffix not in (".mid", ".wav"):
        raise NoonsongError(f"cannot render {arguments.out}: it may be a .mid or a .wav file")
    if not 0 < arguments.seconds <= 24 * 3600:
        raise NoonsongError("--seconds may be more than 0 and at most 86400")
    loaded = load(arguments)
    controls = {**loaded.controls, **loaded.asked}
    seed = secrets.randbits(63) if arguments.seed is None else arguments.seed
    tempo_bpm = controls["tempo"]
    assert tempo_bpm is not None
    settings = first_settings(controls)
    began_s = time.perf_counter()
    notes = render(Player(loaded.engine, seed, settings), int(arguments.seconds * tempo_bpm * PPQN / 60))
    spent_s = time.perf_counter() - began_s
    tempos, meters = [TempoChange(0, tempo_bpm)], [MeterChange(0, settings.meter.bar_ticks)]
    if arguments.out.suffix == ".mid":
        write_piece(arguments.out, notes, tempos, meters)
    else:
        with tempfile.TemporaryDirectory() as folder:
            midi = Path(folder) / "render.mid"
            write_piece(midi, notes, tempos, meters)
            synthesize(midi, arguments.out)
    figures = {
        "file": str(arguments.out),
        "seed": seed,
        "notes": len(notes),
        "seconds": arguments.seconds,
        "times_real_time": round(arguments.seconds / spent_s, 1),
        "kernel": loaded.engine.kernel,
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(
            f"{arguments.out}: {len(notes)} notes in {arguments.seconds:g} s of music, seed {seed},"
            f" {figures['times_real_time']} times real time ({loaded.engine.kernel})"
        )
    return 0


def render(player: Player, ticks: int) -> list[Note]:
    """The notes of the first `ticks` of a player's piece."""
    notes: list[Note] = []
    while not player.planned or player.planned_tick < ticks:
        player.plan_note()
        if player.full:
            notes += [s.note for s in player.commit(player.planned_tick - 1) if s.note is not None]
    notes += [s.note for s in player.commit(ticks - 1) if s.note is not None]
    return [note for note in notes if note.tick < ticks]


def synthesize(midi: Path, out: Path) -> None:
    """MIDI file to sound, by fluidsynth. Raises NoonsongError when it or a sound font is missing."""
    program = shutil.which("fluidsynth")
    font = next((f for f in SOUND_FONTS if Path(f).exists()), None)
    if program is None or font is None:
        raise NoonsongError(
            "a .wav needs fluidsynth and a sound font: apt install fluidsynth timgm6mb-soundfont;"
            " or render a .mid"
        )
    command = [program, "-ni", "-q", "-F", str(out), "-r", "44100", "-g", "0.8", font, str(midi)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not out.exists():
        raise NoonsongError(f"fluidsynth failed: {done.stderr.strip() or done.returncode}")
