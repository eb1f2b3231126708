"""Eight minutes of the box, for reading and hearing: `.venv/bin/python docs/examples.py`.

Seeds 1 to 8 and a source each, chosen before anybody listened; every other control at its default, but the
density is left to the model. Each becomes a .opus file (noonsong render, fluidsynth, opusenc) and a roll.
Needs fluidsynth, a sound font and opus-tools.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import mido

mpl.use("Agg")
from matplotlib import pyplot as plt

from model.tokens import VOICE_NAMES

SOURCES = ("early", "sacred", "chorale", "fiddle", "classical", "quartet", "song", "romantic")
SECONDS = 60.0
KILOBITS = "30"
CHANNELS = {9: 0} | {channel: channel + 1 for channel in range(6)}  # channel to voice, as by default


def main() -> int:
    """Render, encode and draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="default: the released ones")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "examples")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    for seed, source in enumerate(SOURCES, 1):
        name = f"{seed}-{source}"
        with tempfile.TemporaryDirectory() as folder:
            midi, wave = Path(folder) / "a.mid", Path(folder) / "a.wav"
            command = [sys.executable, "-m", "host", "render", "--seed", str(seed), "--seconds", str(SECONDS)]
            command += ["--control", f"source={source}", "--control", "density=auto"]
            command += ["--weights", str(args.weights)] if args.weights else []
            for file in (midi, wave):
                subprocess.run([*command, str(file)], check=True)
            opus = args.out / f"{name}.opus"
            encode = [
                "opusenc",
                "--quiet",
                "--downmix-mono",
                "--hard-cbr",
                "--bitrate",
                KILOBITS,
                "--serial",
                str(seed),
            ]
            subprocess.run([*encode, str(wave), str(opus)], check=True)
            draw(midi, args.out / f"{name}.png", f"seed {seed}, source {source}")
    return 0


def draw(midi: Path, picture: Path, title: str) -> None:
    """A piano roll: seconds to the right, pitch up, a colour a voice, fainter where softer."""
    figure, axes = plt.subplots(figsize=(10, 2.6), dpi=80, layout="constrained")
    now, sounding = 0.0, {}
    voices = set()
    for message in mido.MidiFile(midi):
        now += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        key = (message.channel, message.note)
        if key in sounding:
            begin, velocity = sounding.pop(key)
            voice = CHANNELS[message.channel]
            colour, alpha = f"C{voice}", 0.25 + 0.75 * velocity / 127
            axes.barh(message.note, now - begin, left=begin, height=0.9, color=colour, alpha=alpha)
            voices.add(voice)
        if message.type == "note_on" and message.velocity:
            sounding[key] = (now, message.velocity)
    named = ", ".join(f"{VOICE_NAMES[v]}" for v in sorted(voices))
    axes.set(xlim=(0, SECONDS), xlabel="seconds", ylabel="pitch", title=f"{title} ({named})")
    axes.grid(alpha=0.3)
    figure.savefig(picture)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
