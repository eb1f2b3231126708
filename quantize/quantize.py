"""`noonsong quantize`: a trained network -> the int8 weights file, and what the rounding cost.

The cost is measured by playing the held-out music on the very engine that the box has.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.batches import Batch, fixed_sequences
from model.errors import NoonsongError
from model.held_out import Measure, measure
from model.shape import Shape, rotary_turns
from model.tokens import VOCABULARY_SIZE
from model.transformer import Transformer
from quantize.engine import Engine
from quantize.reference import Reference
from quantize.weights import Matrix, Tensors, make_header, read_weights, write_weights

PARTS = ("qkv", "out", "up", "down")
VALID_PIECES, VALID_TIME = 32, 512  # as training measures by default
TRACED_TOKENS = 256


def quantize_weights(matrix: NDArray[np.float32]) -> Matrix:
    """A float matrix [rows, columns] as int8: a row's largest number becomes 127."""
    largest = np.abs(matrix).max(axis=1)
    quant_scales = np.where(largest > 0, largest, 1).astype(np.float32) / np.float32(127)
    q = np.rint(matrix / quant_scales[:, None])
    return Matrix(np.clip(q, -127, 127).astype(np.int8), quant_scales)


def float_matrices(network: Transformer) -> dict[str, NDArray[np.float32]]:
    """Every matrix of a network by its name in the weights file."""
    with torch.no_grad():
        matrices = {"token_table": network.token_table(), "side_table": network.side_table()}
        for i, layer in enumerate(network.stack):
            matrices |= {f"layers.{i}.{part}": getattr(layer, part).weight for part in PARTS}
        return {name: matrix.float().cpu().numpy() for name, matrix in matrices.items()}


def tensors_of(network: Transformer) -> Tensors:
    """The tensors of one checkpoint of a weights file."""
    tensors: dict[str, NDArray[Any]] = {
        "final_gain": network.final_gain.detach().float().cpu().numpy(),
        "rotary_cos": network.cos_table.cpu().numpy(),
        "rotary_sin": network.sin_table.cpu().numpy(),
    }
    for name, matrix in float_matrices(network).items():
        tensors[name + ".q"], tensors[name + ".scale"] = quantize_weights(matrix)
    return tensors


def weight_errors(network: Transformer) -> dict[str, float]:
    """By matrix: what the rounding changed, as a share of the matrix (root mean squares)."""
    errors = {}
    for name, matrix in float_matrices(network).items():
        q, scales = quantize_weights(matrix)
        off = q.astype(np.float64) * scales[:, None] - matrix
        errors[name] = float(np.sqrt((off**2).sum() / (matrix.astype(np.float64) ** 2).sum()))
    return errors


def stream_errors(network: Transformer, weights_file: Path, batch: Batch) -> list[float]:
    """After each layer: how far int8's stream is from float's, as a share of it (root mean squares)."""
    time = min(TRACED_TOKENS, batch.token.shape[1])
    exact: list[NDArray[np.float32]] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, x: exact.append(x[0].cpu().numpy()))
        for layer in network.stack
    ]
    with torch.inference_mode():
        network(*(torch.from_numpy(part[:, :time]) for part in (batch.token, batch.rows, batch.weights)))
    for hook in hooks:
        hook.remove()
    reference = Reference(read_weights(weights_file), time, 0)
    reference.trace = []
    sides = [_side(rows, weights) for rows, weights in zip(batch.rows[0], batch.weights[0], strict=True)]
    reference.feed(0, 0, batch.token[0, :time].tolist(), sides[:time])
    rounded = np.array(reference.trace).reshape(time, len(exact), -1)
    return [float(np.sqrt(((rounded[:, i] - x) ** 2).sum() / (x**2).sum())) for i, x in enumerate(exact)]


class Played(nn.Module):
    """An engine that is called like the network, so that both are measured by the same code."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def forward(self, token: Tensor, side_rows: Tensor, side_weights: Tensor) -> Tensor:
        """As Transformer.forward."""
        logits = np.empty((*token.shape, VOCABULARY_SIZE), np.float32)
        for b in range(len(token)):
            self.engine.reset()
            steps = zip(token[b].tolist(), side_rows[b].numpy(), side_weights[b].numpy(), strict=True)
            for t, (each, rows, weights) in enumerate(steps):
                self.engine.step(each, _side(rows, weights))
                logits[b, t] = self.engine.logits(((0, VOCABULARY_SIZE),))
        return torch.from_numpy(logits)


def compare(network: Transformer, engine: Engine, sequences: list[Batch]) -> tuple[Measure, Measure]:
    """Bits a note of held-out sequences in float and in int8."""
    cpu = torch.device("cpu")
    return measure(network, sequences, cpu), measure(cast(Transformer, Played(engine)), sequences, cpu)


def load_network(path: Path) -> tuple[Transformer, dict[str, Any]]:
    """A checkpoint of `noonsong train` and its network. Raises NoonsongError when it is none."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        network = Transformer(Shape(**saved["shape"]))
        network.load_state_dict(saved["model"])
    except OSError as error:
        raise NoonsongError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:
        raise NoonsongError(
            f"{path} is not a checkpoint of `noonsong train` for this network ({type(error).__name__})."
            " Name a run's folder or one of its checkpoints."
        ) from error
    return network.eval(), saved


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong quantize`."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="folder of a training run, or one checkpoint of it"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the weights file to write")
    parser.add_argument("--archive", type=Path, help="archive whose valid split tells what the rounding cost")
    parser.add_argument(
        "--ages", action="store_true", help="keep every checkpoint of the run, for the age control"
    )
    parser.add_argument("--card", type=Path, help="JSON file of strings (title, licences ...) to put in")
    parser.add_argument(
        "--picture", type=Path, help="picture of the error by layer (default: FILE.error.png)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the weights file; with an archive, print the loss before and after."""
    checkpoints = _checkpoints(args.run, args.ages)
    loaded = [load_network(path) for path in checkpoints]
    network, newest = loaded[-1]
    card = _card(args.card)
    steps = [_card_of(saved) for _, saved in loaded]
    header = make_header(newest["shape"], rotary_turns(network.shape), newest["sources"], steps, card)
    write_weights(args.out, header, [tensors_of(each) for each, _ in loaded])
    engine = Engine.load(args.out)
    figures: dict[str, Any] = {
        "file": str(args.out),
        "bytes": args.out.stat().st_size,
        "checkpoints": [str(path) for path in checkpoints],
        "weight_error": weight_errors(network),
    }
    if args.archive is None:
        print("No --archive was named, so the loss was not measured.", file=sys.stderr)
    else:
        from model.arrays import arrays_of_archive

        valid = arrays_of_archive(args.archive, "valid")
        figures |= held_out_figures(
            network, engine, args.out, lambda on: fixed_sequences(valid, VALID_PIECES, VALID_TIME, on)
        )
    picture = args.picture or args.out.with_suffix(".error.png")
    draw_errors(figures, picture)
    figures["picture"] = str(picture)
    print(json.dumps(figures) if args.json else table(figures))
    return 0


def held_out_figures(
    network: Transformer, engine: Engine, weights_file: Path, sequences: Callable[[bool], list[Batch]]
) -> dict[str, Any]:
    """Bits a note before and after, with side inputs and without, and the stream's error by layer."""
    figures: dict[str, Any] = {"kernel": engine.kernel, "bits_per_note": {}}
    for name, conditioned in (("without side inputs", False), ("with side inputs", True)):
        before, after = compare(network, engine, sequences(conditioned))
        figures["bits_per_note"][name] = {
            "float": asdict(before),
            "int8": asdict(after),
            "worse_percent": 100 * (after.bits / before.bits - 1),
        }
    longest = max(sequences(True), key=lambda batch: batch.token.shape[1])
    figures["stream_error"] = stream_errors(network, weights_file, longest)
    return figures


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{figures['file']}: {figures['bytes']} bytes"]
    if "bits_per_note" in figures:
        lines.append(
            f"\nbits a note, valid split        float     int8   worse   (int8: {figures['kernel']})"
        )
    for name, figure in figures.get("bits_per_note", {}).items():
        worse = figure["worse_percent"]
        for part in ("bits", "time", "pitch", "duration", "velocity"):
            label, tail = (name, f"{worse:+7.2f} %") if part == "bits" else (f"  {part}", "")
            lines.append(f"{label:28}{figure['float'][part]:9.4f}{figure['int8'][part]:9.4f}{tail}")
    lines.append("\nrounding error, % of the matrix" + " " * 6 + "".join(f"{part:>8}" for part in PARTS))
    errors = figures["weight_error"]
    for i in range(sum(name.endswith(".qkv") for name in errors)):
        row = "".join(f"{100 * errors[f'layers.{i}.{part}']:8.2f}" for part in PARTS)
        stream = (
            f"   stream after it {100 * figures['stream_error'][i]:.2f} %"
            if "stream_error" in figures
            else ""
        )
        lines.append(f"layer {i:<31}{row}{stream}")
    lines += [f"{name:37}{100 * errors[name]:8.2f}" for name in ("token_table", "side_table")]
    return "\n".join(lines) + f"\n\npicture: {figures.get('picture', 'none')}"


def draw_errors(figures: dict[str, Any], picture: Path) -> None:
    """Bars of the matrices' errors, and the stream's error through the layers."""
    from matplotlib.figure import Figure

    errors, stream = figures["weight_error"], figures.get("stream_error")
    plot = Figure(figsize=(8, 4), layout="constrained")
    axes = plot.subplots(1, 2 if stream else 1, squeeze=False)[0]
    axes[0].barh(list(errors), [100 * e for e in errors.values()])
    axes[0].invert_yaxis()
    axes[0].set_xlabel("rounding error, % of the matrix")
    if stream:
        axes[1].plot(range(len(stream)), [100 * e for e in stream], "o-")
        axes[1].set(
            xlabel="after layer", ylabel="error of the stream, %", xticks=range(len(stream)), ylim=(0, None)
        )
    plot.savefig(picture, dpi=110)


def _checkpoints(run_path: Path, ages: bool) -> Sequence[Path]:
    if not run_path.is_dir():
        return [run_path]
    kept = sorted((run_path / "checkpoints").glob("step-*.pt"))
    newest = [path for path in (run_path / "resume.pt",) if path.exists()] or kept[-1:]
    if not newest:
        raise NoonsongError(
            f"{run_path} has no checkpoint yet. Name the folder given to `noonsong train --out`."
        )
    if not ages:
        return newest
    last = torch.load(newest[0], map_location="cpu", weights_only=True)["step"]
    return [*(path for path in kept if int(path.stem.removeprefix("step-")) < last), *newest]


def _card_of(saved: dict[str, Any]) -> dict[str, Any]:
    """What the header says of a checkpoint."""
    described = {"step": saved["step"], "tokens_seen": saved.get("tokens_seen", 0)}
    if saved.get("metrics"):
        described["bits_per_note"] = saved["metrics"][-1]["on"]["bits"]
    return described


def _card(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NoonsongError(f"the card {path} cannot be read as JSON: {error}") from error
    if not isinstance(card, dict):
        raise NoonsongError(
            f"the card {path} has to be one JSON object of strings, such as title and licences."
        )
    return card


def _side(rows: NDArray[np.int32], weights: NDArray[np.float32]) -> list[tuple[int, float]]:
    return [(int(r), float(w)) for r, w in zip(rows, weights, strict=True) if w]
