"""`noonsong archive`: build one from files, show what is in it."""

import argparse
import json
import sys
import time

from model.errors import NoonsongError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `noonsong archive`."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="build|show")
    build = commands.add_parser("build", help="read music into an archive; run again to resume or to add")
    build.add_argument("--out", required=True, metavar="DIR", help="folder of the archive")
    build.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a folder, zip or file, or music21:bach, music21:free ...",
    )
    build.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: one a core)")
    build.add_argument(
        "--limit", type=float, default=300.0, metavar="S", help="seconds a file may take (300)"
    )
    build.add_argument("--json", action="store_true", help="figures as JSON, no progress bar")
    show = commands.add_parser("show", help="what an archive holds")
    show.add_argument("folder", metavar="DIR")
    show.add_argument("--rejected", action="store_true", help="list every file left out, with the reason")
    show.add_argument("--json", action="store_true", help="the same as JSON")


def run(args: argparse.Namespace) -> int:
    """Run it; returns the exit status."""
    return _build(args) if args.action == "build" else _show(args)


def _build(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from model.archive.build import build
    from model.archive.sources import Item, find_items
    from model.archive.store import Archive

    if args.workers < 0 or args.limit <= 0:
        raise NoonsongError("--workers takes 0 or more, --limit more than 0 seconds")
    total = sum(1 for source in args.sources for _ in find_items(source))
    began = time.monotonic()
    counts: dict[str, int] = {}
    interrupted = False
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=args.json, refresh_per_second=4) as bar:
        task = bar.add_task("reading", total=total)

        def watch(status: str, item: Item) -> None:
            counts[status] = counts.get(status, 0) + 1
            bar.update(task, advance=1, description=item.collection)

        try:
            build(args.out, args.sources, args.workers, args.limit, watch)
        except KeyboardInterrupt:
            interrupted = True
    seconds = time.monotonic() - began
    read = sum(n for status, n in counts.items() if status != "cached")
    figures = {
        "files": total,
        **counts,
        "seconds": round(seconds, 1),
        "files_per_s": round(read / seconds, 1),
    }
    if args.json:
        print(json.dumps({"build": figures, "archive": Archive(args.out).counts()}, ensure_ascii=False))
    else:
        print(", ".join(f"{name} {value}" for name, value in figures.items()))
        _print_counts(Archive(args.out).counts())
    if interrupted:
        print("Interrupted: what was read is kept; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


def _show(args: argparse.Namespace) -> int:
    from model.archive.store import Archive

    archive = Archive(args.folder)
    if args.rejected:
        rows = list(archive.rejected())
        if args.json:
            print(
                json.dumps(
                    [{"collection": c, "path": p, "reason": r} for c, p, r in rows], ensure_ascii=False
                )
            )
        else:
            for collection, path, reason in rows:
                print(f"{collection}: {path}: {reason}")
    elif args.json:
        print(json.dumps(archive.counts(), ensure_ascii=False))
    else:
        _print_counts(archive.counts())
    return 0


def _print_counts(counts: dict[str, object]) -> None:
    for name, value in counts.items():
        if not isinstance(value, dict):
            print(f"{name.replace('_', ' '):<14} {value:>12,}")
            continue
        print(f"\n{name}")
        for row, figures in value.items():
            print(f"  {row or '(none)':<28} {figures['pieces']:>8,} pieces {figures['notes']:>12,} notes")
