"""Pictures of figures: the loss curve of a run."""

from pathlib import Path
from typing import Any


def loss_curve(metrics: list[dict[str, Any]], path: Path) -> None:
    """Bits a note on the valid split against notes read, with side inputs and without, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), dpi=90, layout="constrained")
    tokens = [row["tokens"] / 1e6 for row in metrics]
    for name, label, colour in (("off", "no side inputs", "#888888"), ("on", "all side inputs", "#1f5fa8")):
        axes.plot(tokens, [row[name]["bits"] for row in metrics], color=colour, label=label)
    for part, style in (("pitch", "--"), ("time", ":"), ("duration", "-."), ("velocity", (0, (1, 4)))):
        axes.plot(tokens, [row["on"][part] for row in metrics], color="#1f5fa8", ls=style, lw=1, label=part)
    axes.set_xlabel("million tokens read")
    axes.set_ylabel("bits a note, held out")
    axes.set_ylim(0, min(16, max(row["off"]["bits"] for row in metrics) * 1.05))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)
    plt.close(figure)
