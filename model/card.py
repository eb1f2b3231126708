"""`python -m model.card CARD --archive ARCHIVE --figures FOLDER`: the figures of a card, written by the program.

Between `<!-- NAME -->` and `<!-- /NAME -->` of a Markdown file everything is replaced by the table of that
name, made from the archive and from what `noonsong evaluate --json` wrote into FOLDER (`plain.json`,
`told.json`, and one file a measure of `--play`). A file that is missing leaves its table as it was.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.archive.labels import COLLECTIONS, SOURCES
from model.archive.store import Archive
from model.arrays import arrays_of_archive
from model.errors import NoonsongError
from model.playing.command import TABLES

ATTRIBUTIONS = {
    "polish-scores": "Polish Music Heritage in Open Access, The Fryderyk Chopin Institute",
    "openscore-lieder": "OpenScore",
    "openscore-string-quartets": "OpenScore",
    "giantmidi-piano": "ByteDance; Kong et al. 2020",
}


def collections_table(archive: Path) -> str:
    """Every collection of the train split: pieces, notes, licence, whose it is."""
    train = arrays_of_archive(archive, "train")
    lines = ["| collection | pieces | notes | licence | of |", "|---|---|---|---|---|"]
    for index, name in enumerate(train.collections):
        mine = train.pieces[train.pieces["collection"] == index]
        known = COLLECTIONS[name]
        of = ATTRIBUTIONS.get(name, "[music21](https://github.com/cuthbertLab/music21)")
        label = f"[{name}]({known.url})"
        lines.append(f"| {label} | {len(mine):,} | {int(mine['notes'].sum()):,} | {known.licence} | {of} |")
    return "\n".join(
        [*lines, f"| **in all** | {len(train.pieces):,} | {int(train.pieces['notes'].sum()):,} | | |"]
    )


def sources_table(archive: Path) -> str:
    """The rows of the source knob."""
    train = arrays_of_archive(archive, "train")
    lines = ["| row | name | what | pieces | notes |", "|---|---|---|---|---|"]
    for index, name in enumerate(train.sources):
        mine = train.pieces[train.pieces["source"] == index]
        what = SOURCES.get(name, "")
        lines.append(f"| {index} | {name} | {what} | {len(mine):,} | {int(mine['notes'].sum()):,} |")
    return "\n".join(lines)


def left_out_list(archive: Path) -> str:
    """Why files were left out, the commonest reason first, with counts."""
    reasons: dict[str, int] = {}
    for _, _, reason in Archive(archive).rejected():
        plain = re.sub(r"(it is the same file as).*", r"\1 another", reason)
        plain = re.sub(
            r"(?<![\w.])\d+(?![\w.])", "so many", plain.split(":")[0] if "full of" in plain else plain
        )
        reasons[plain] = reasons.get(plain, 0) + 1
    ranked = sorted(reasons.items(), key=lambda item: -item[1])
    return "\n".join(f"- {count}: {reason}" for reason, count in ranked)


def held_out_table(plain: dict[str, Any], told: dict[str, Any]) -> str:
    """Bits a note and nats a pitch by collection, against the Markov model on the same notes."""
    lines = [
        "| | pieces | notes | tokens a note | bits a note, plain (95 %) | told | nats a pitch, plain | told"
        " | Markov | below it |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows = [*plain["collections"].items(), ("**total**", plain["total"])]
    for name, row in rows:
        other = told["collections"].get(name, told["total"])
        bits = row["bits_per_note"]
        lines.append(
            f"| {name} | {row['pieces']} | {row['notes']:,} | {row['tokens_per_note']:.2f}"
            f" | {bits['value']:.2f} ({bits['low']:.2f} to {bits['high']:.2f})"
            f" | {other['bits_per_note']['value']:.2f} | {row['nats_per_pitch']['value']:.2f}"
            f" | {other['nats_per_pitch']['value']:.2f} | {row['markov_bits_per_note']['value']:.2f}"
            f" | {row['below_markov_percent']:.0f} % |"
        )
    return "\n".join(lines)


def replaced(text: str, name: str, table: str) -> str:
    """The text with a table of that name. Raises NoonsongError when there is no place for it."""
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    if not pattern.search(text):
        raise NoonsongError(
            f"the card has no place for its table {name}: <!-- {name} --> and <!-- /{name} -->"
        )
    return pattern.sub(lambda found: found.group(1) + table + "\n" + found.group(2), text)


def _figures(folder: Path, name: str) -> Any:
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text()) if path.exists() else None
    except ValueError as error:
        raise NoonsongError(f"{path} is not JSON: {error}") from None


def fill(text: str, archive: Path, figures: Path) -> str:
    """The card's text with every table for which there are figures."""
    text = replaced(text, "collections", collections_table(archive))
    text = replaced(text, "sources", sources_table(archive))
    text = replaced(text, "left out", left_out_list(archive))
    plain, told = _figures(figures, "plain"), _figures(figures, "told")
    if plain and told:
        text = replaced(text, "held out", held_out_table(plain, told))
    for name, table in TABLES.items():
        measured = _figures(figures, name)
        if measured:
            text = replaced(text, name, "```\n" + table(measured) + "\n```")
    return text


def main(arguments: list[str] | None = None, say: Callable[[str], None] = print) -> int:
    """Fill a card in its place."""
    parser = argparse.ArgumentParser(description="write the tables of a card")
    parser.add_argument("card", type=Path)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True, help="folder of JSON files")
    args = parser.parse_args(arguments)
    try:
        text = fill(args.card.read_text(), args.archive, args.figures)
    except NoonsongError as error:
        print(f"noonsong: {error}", file=sys.stderr)
        return 2
    args.card.write_text(text)
    say(f"{args.card}: {text.count('<!-- /')} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())
