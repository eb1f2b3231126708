"""`noonsong evaluate`: how well weights foretell music, streamed through the engine that the box plays with.

Bits a note: -log2 of the likelihood of all tokens of a piece, its end included, over its notes. Each piece
is heard from its start, in its own key, with nothing told beside the tokens unless asked.
Nats a pitch: -ln of the probability of the right voice and pitch among all notes, where a note came.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.dataset import Split, encode_steps, side_pairs
from model.errors import NoonsongError
from model.markov import Markov
from model.playing import command as playing
from model.tokens import END, FIRST_NOTE, FIRST_TOUCH, VOCABULARY_SIZE

RESAMPLES = 1000

Logits = Callable[[NDArray[np.void], NDArray[np.int32], NDArray[np.float32]], Iterator[NDArray[np.float32]]]


@dataclass(frozen=True)
class Heard:
    """What one piece cost; sums over its tokens."""

    collection: str
    notes: int
    tokens: int
    bits: float
    pitch_nats: float
    markov_bits: float  # NaN without a Markov model


@dataclass(frozen=True)
class Item:
    """A piece to measure: END first; source is a row of the weights, -1 for none."""

    collection: str
    source: int
    steps: NDArray[np.void]


def engine_logits(engine: Any) -> Logits:
    """Logits [vocabulary] after each token, from quantize.engine.Engine."""

    def logits(
        steps: NDArray[np.void], rows: NDArray[np.int32], weights: NDArray[np.float32]
    ) -> Iterator[NDArray[np.float32]]:
        engine.reset()
        for token, row, weight in zip(steps["token"].tolist(), rows.tolist(), weights.tolist(), strict=True):
            engine.step(token, [(r, w) for r, w in zip(row, weight, strict=True) if w])
            yield engine.logits(((0, VOCABULARY_SIZE),))

    return logits


def float_logits(weights_file: Path, checkpoint: int = -1) -> Logits:
    """The same from the torch network with the file's weights, all sums in float32."""
    import torch

    from model.from_weights import network_of
    from quantize.weights import read_weights

    network = network_of(read_weights(weights_file, checkpoint))
    reach = network.shape.layers * network.shape.window  # nothing older is heard

    def logits(
        steps: NDArray[np.void], rows: NDArray[np.int32], side_weights: NDArray[np.float32]
    ) -> Iterator[NDArray[np.float32]]:
        token = torch.from_numpy(steps["token"].astype(np.int64))[None]
        row, weight = torch.from_numpy(rows)[None], torch.from_numpy(side_weights)[None]
        stride = max(reach, 1024)
        for begin in range(0, token.size(1), stride):
            first = max(0, begin - reach)
            piece = slice(first, begin + stride)
            with torch.inference_mode():
                out = network(token[:, piece], row[:, piece], weight[:, piece])[0, begin - first :]
            yield from out.numpy()

    return logits


def hear(item: Item, logits: Logits, markov: Markov | None, conditioned: bool = False) -> Heard:
    """Measure one piece."""
    steps = item.steps
    target = np.append(steps["token"][1:], END).astype(np.int64)
    keep = np.full((len(steps), 5), conditioned)
    rows, weights = side_pairs(steps, np.full(len(steps), item.source), keep)
    nats = pitch_nats = 0.0
    for wanted, given in zip(target.tolist(), logits(steps, rows, weights), strict=True):
        row = given.astype(np.float64)
        nats += _log_sum(row) - row[wanted]
        if FIRST_NOTE <= wanted < FIRST_TOUCH:
            pitch_nats += _log_sum(row[FIRST_NOTE:FIRST_TOUCH]) - row[wanted]
    counted = float("nan")
    if markov is not None:
        counted = -float(markov.log2_likelihoods(np.append(steps["token"].astype(np.int64), END)).sum())
    notes = int((target >= FIRST_TOUCH).sum())
    return Heard(item.collection, notes, len(target), nats / np.log(2), pitch_nats, counted)


def _log_sum(row: NDArray[np.float64]) -> float:
    top = float(row.max())
    return top + float(np.log(np.exp(row - top).sum()))


def figures(pieces: list[Heard]) -> dict[str, Any]:
    """Totals over pieces, with 95 % intervals from resampling the pieces."""
    table = np.array([(p.notes, p.tokens, p.bits, p.pitch_nats, p.markov_bits) for p in pieces])
    random = np.random.default_rng(0)
    drawn = table[random.integers(0, len(table), (RESAMPLES, len(table)))].sum(axis=1)
    whole = table.sum(axis=0)

    def ratio(column: int) -> dict[str, float]:
        low, high = np.percentile(drawn[:, column] / drawn[:, 0], (2.5, 97.5))
        return {"value": float(whole[column] / whole[0]), "low": float(low), "high": float(high)}

    result: dict[str, Any] = {
        "pieces": len(pieces), "notes": int(whole[0]), "tokens_per_note": float(whole[1] / whole[0]),
        "bits_per_note": ratio(2), "nats_per_pitch": ratio(3),
    }  # fmt: skip
    if np.isfinite(whole[4]):
        result["markov_bits_per_note"] = ratio(4)
        result["below_markov_percent"] = float(100 * (1 - whole[2] / whole[4]))
    return result


def main_result(heard: list[Heard]) -> dict[str, Any]:
    """Figures in total and by collection."""
    names = sorted({piece.collection for piece in heard})
    by_collection = {name: figures([p for p in heard if p.collection == name]) for name in names}
    return {"total": figures(heard), "collections": by_collection}


def items_of_split(split: Split, sources: list[str], limit: int = 0) -> Iterator[Item]:
    """Pieces of an archive's split, evenly spread over it when there is a limit."""
    count = len(split.pieces)
    chosen = np.arange(count)
    if limit and limit < count:
        chosen = np.unique(np.linspace(0, count - 1, limit).astype(int))
    for index in chosen:
        row = split.pieces[index]
        name = split.sources[int(row["source"])]
        source = sources.index(name) if name in sources else -1
        yield Item(split.collections[int(row["collection"])], source, split.piece_steps(int(index)))


def items_of_paths(paths: list[str], sources: list[str]) -> Iterator[Item]:
    """Pieces of files, folders and zips; what cannot be read is told on stderr."""
    from model.archive.build import read
    from model.archive.sources import find_items

    for path in paths:
        for parsed in read(find_items(path)):
            if parsed.piece is None:
                print(f"{parsed.item.path}: left out, {parsed.reason}", file=sys.stderr)
                continue
            piece = parsed.piece
            source = sources.index(piece.source) if piece.source in sources else -1
            yield Item(piece.provenance.collection, source, encode_steps(piece))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong evaluate`."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="music: files, folders, zips")
    parser.add_argument("--weights", type=Path, required=True, help="weights file")
    parser.add_argument(
        "--checkpoint", type=int, default=-1, help="which of the file's checkpoints (-1: last)"
    )
    parser.add_argument("--archive", type=Path, help="measure a split of this archive instead of paths")
    parser.add_argument("--split", default="test", choices=("train", "valid", "test"))
    parser.add_argument("--limit", type=int, default=0, help="at most so many pieces of the split")
    parser.add_argument("--markov", type=Path, help="Markov model to compare with (`noonsong markov`)")
    parser.add_argument("--conditioned", action="store_true", help="tell the network all side inputs")
    parser.add_argument("--float", action="store_true", help="in torch, without int8 activations")
    parser.add_argument("--json", action="store_true", help="print JSON")
    playing.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.play:
        return playing.run(args)
    from quantize.engine import Engine
    from quantize.weights import read_header

    if bool(args.paths) == bool(args.archive):
        raise NoonsongError("name either music to measure (files, folders, zips) or an --archive")
    sources = read_header(args.weights).sources
    if args.float:
        logits, kernel = float_logits(args.weights, args.checkpoint), "torch float32"
    else:
        engine = Engine.load(args.weights, args.checkpoint)
        logits, kernel = engine_logits(engine), engine.kernel
    markov = Markov.load(args.markov) if args.markov else None
    if args.archive:
        from model.arrays import arrays_of_archive

        items: Iterable[Item] = items_of_split(
            arrays_of_archive(args.archive, args.split), sources, args.limit
        )
    else:
        items = items_of_paths(args.paths, sources)
    musical = (item for item in items if (item.steps["token"] >= FIRST_TOUCH).any())
    heard = [hear(item, logits, markov, args.conditioned) for item in musical]
    if not heard:
        raise NoonsongError("there was no music to measure in what was named")
    result = main_result(heard)
    result |= {"weights": str(args.weights), "kernel": kernel, "conditioned": args.conditioned}
    print(json.dumps(result, indent=1) if args.json else table(result))
    return 0


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{'':28}pieces    notes  tokens/note  bits/note (95 %)        nats/pitch  Markov  below"]
    for name, row in [*result["collections"].items(), ("total", result["total"])]:
        bits = row["bits_per_note"]
        line = f"{name[:27]:28}{row['pieces']:6} {row['notes']:8}  {row['tokens_per_note']:11.2f}"
        line += f"  {bits['value']:6.3f} ({bits['low']:.2f} to {bits['high']:.2f})"
        line += f"  {row['nats_per_pitch']['value']:10.3f}"
        if "markov_bits_per_note" in row:
            line += f"  {row['markov_bits_per_note']['value']:6.3f}  {row['below_markov_percent']:4.1f} %"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(description="measure weights on music")
    add_arguments(_parser)
    sys.exit(run(_parser.parse_args()))
