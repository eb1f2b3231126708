"""A picture of what `noonsong bench live` measured."""

from pathlib import Path
from typing import Any

import numpy as np

SHOWN = {
    "do-nothing loop": "#888888",
    "MIDI note": "#1b7f5c",
    "gate at the board": "#b8860b",
    "CC to MIDI": "#2b5fb3",
    "knob to MIDI": "#7a3fa0",
    "knob to SPI": "#c0392b",
    "clock to note": "#00838f",
}
LEAST_MS = 1e-3


def draw(runs: dict[str, Any], to: Path) -> None:
    """For each run, the share of events that took longer than so many milliseconds; for a soak, memory too."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with_memory = [figures for figures in runs.values() if "memory_mb" in figures]
    columns = len(runs) + len(with_memory)
    figure, axes = plt.subplots(1, columns, figsize=(5.2 * columns, 4.2), squeeze=False)
    for axis, (name, figures) in zip(axes[0], runs.items(), strict=False):
        for label, colour in SHOWN.items():
            values = np.sort(np.maximum(figures["distributions"].get(label, []), LEAST_MS))
            if len(values):
                later = 1 - np.arange(len(values)) / len(values)
                axis.step(values, later, where="post", label=label, color=colour)
        axis.set(xscale="log", yscale="log", xlabel="milliseconds", ylabel="share that took longer")
        axis.set_title(f"{name}: {'cores kept busy' if figures['busy'] else 'nothing else started'}")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    for axis, figures in zip(axes[0][len(runs) :], with_memory, strict=True):
        minutes, megabytes = zip(*figures["memory_mb"], strict=True)
        axis.plot(minutes, megabytes, color="#1b7f5c")
        axis.set(xlabel="minutes", ylabel="MB", ylim=(0, 1.2 * max(megabytes)), title="memory of the player")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(to, dpi=110, metadata={"Software": None})
    plt.close(figure)
