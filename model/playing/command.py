"""`noonsong evaluate --play`: the weights measured as an instrument, through host.player and the int8 engine."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.errors import NoonsongError
from quantize.engine import Engine

MEASURES = ("knobs", "distances", "copying", "dead-ends")
EXCERPT_BEATS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong evaluate --play`."""
    parser.add_argument("--play", action="store_true", help="measure how the weights play instead")
    parser.add_argument(
        "--measure", action="append", choices=MEASURES, help="with --play: only this; may be repeated"
    )
    parser.add_argument("--seeds", type=int, default=6, help="pieces played a setting of the knobs")
    parser.add_argument("--beats", type=int, default=144, help="length of each")
    parser.add_argument("--excerpts", type=int, default=64, help="excerpts for distances and copying")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the excerpts played")
    parser.add_argument("--hours", type=float, default=24.0, help="hours played without a listener")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    measures = args.measure or MEASURES
    if args.seeds < 1 or args.beats < 32 or args.excerpts < 4 or not 0 < args.hours <= 1000:
        raise NoonsongError(
            "--seeds must be at least 1, --beats at least 32, --excerpts at least 4, --hours above 0"
        )
    needs_archive = [name for name in ("distances", "copying") if name in measures]
    if needs_archive and args.archive is None:
        raise NoonsongError(
            f"{' and '.join(needs_archive)} need an --archive with held-out music;"
            " or name what to measure with --measure knobs or --measure dead-ends"
        )
    engine = Engine.load(args.weights, args.checkpoint)
    result: dict[str, Any] = {"weights": str(args.weights), "kernel": engine.kernel}
    if "knobs" in measures:
        from model.playing.obedience import measure_knobs

        result["knobs"] = measure_knobs(engine, range(1, args.seeds + 1), args.beats)
        _show(args, "knobs", result)
    if needs_archive:
        result |= _against_music(engine, args, measures)
        for name in needs_archive:
            _show(args, name, result)
    if "dead-ends" in measures:
        from model.playing.dead_ends import measure_dead_ends

        result["dead-ends"] = measure_dead_ends(engine, args.hours)
        _show(args, "dead-ends", result)
    if args.json:
        print(json.dumps(result, indent=1))
    return 0


def _against_music(engine: Engine, args: argparse.Namespace, measures: Sequence[str]) -> dict[str, Any]:
    from model.arrays import arrays_of_archive
    from model.playing.copying import measure_copying
    from model.playing.distances import compare, pieces_of, played_like
    from model.playing.sequences import columns, excerpts, note_columns

    archive: Path = args.archive
    held_out = excerpts(arrays_of_archive(archive, args.split), args.excerpts, EXCERPT_BEATS)
    if len(held_out) < 4:
        raise NoonsongError(
            f"the {args.split} split of {archive} has only {len(held_out)} pieces of {EXCERPT_BEATS} beats"
            " in one metre: too few to measure against"
        )
    played = played_like(engine, held_out, args.temperature)
    result: dict[str, Any] = {"excerpts": len(held_out), "temperature": args.temperature}
    if "distances" in measures:
        result["distances"] = compare(played, held_out)
    if "copying" in measures:
        learnt = columns(arrays_of_archive(archive, "train"))
        result["copying"] = measure_copying(
            note_columns(pieces_of(played)), note_columns(pieces_of(held_out)), learnt
        )
    return result


def _show(args: argparse.Namespace, name: str, result: dict[str, Any]) -> None:
    if not args.json:
        print(TABLES[name](result) + "\n", flush=True)
    else:
        print(f"{name}: measured", file=sys.stderr)


def knobs_table(result: dict[str, Any]) -> str:
    """For people."""
    knobs = result["knobs"]
    lines = [
        "temperature  asked  heard  mean  after a turn  notes/onset  entropy  silence  repeats  velocities"
    ]
    for row in knobs["settings"]:
        asked = "auto" if row["density_asked"] is None else f"{row['density_asked']:g}"
        turned = f"{row['density_after_turn']:6.2f}" if "density_after_turn" in row else "      "
        missed = "" if row.get("within", True) and row.get("within_after_turn", True) else "  missed"
        lines.append(
            f"{row['temperature']:11.1f} {asked:>6} {row['density_heard']:6.2f} {row['density_heard_mean']:5.2f}"
            f" {turned:>13} {row['notes_an_onset']:12.2f} {row['pitch_entropy_bits']:8.2f}"
            f" {row['longest_silence_beats']:8.1f} {row['most_repeats']:8} {row['velocities']:11}{missed}"
        )
    lines.append(
        f"density within 15 % at {knobs['within']} of {knobs['of']} settings, two beats after a turn at"
        f" {knobs['within_after_turn']}; it rises: {knobs['density_rises']};"
        f" entropy rises with temperature: {knobs['entropy_rises']}"
    )
    return "\n".join(lines)


def distances_table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{'distance to held-out music':30}  played   floor  floor 95 %   mean played  held out"]
    for name, row in result["distances"].items():
        line = f"{name:30} {row['distance']:7.3f} {row['floor']:7.3f} {row['floor_95']:11.3f}"
        if "played" in row:
            line += f" {row['played']:13.3f} {row['held_out']:9.3f}"
        lines.append(line)
    return "\n".join(lines)


def copying_table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{'passages found in the archive':34} played, mean   95 %   human, mean   95 %"]
    for name, row in result["copying"].items():
        if name.endswith("longest"):
            lines.append(f"{name:34} {row['played']:12} notes {row['human']:15} notes")
        else:
            lines.append(
                f"{name:34} {row['played_mean']:12.2%} {row['played_95']:6.1%}"
                f" {row['human_mean']:13.2%} {row['human_95']:6.1%}"
            )
    return "\n".join(lines)


def dead_ends_table(result: dict[str, Any]) -> str:
    """For people."""
    lines = ["temperature  hours    notes  longest silence  two bars repeated"]
    lines += [
        f"{row['temperature']:11.1f} {row['hours']:6.4g} {row['notes']:8} {row['longest_silence_beats']:9.1f} beats"
        f" {row['most_repeats']:12} times"
        for row in result["dead-ends"]
    ]
    return "\n".join(lines)


TABLES = {
    "knobs": knobs_table,
    "distances": distances_table,
    "copying": copying_table,
    "dead-ends": dead_ends_table,
}
