"""From what was noted while the box played to figures: reactions, errors of time, tables. Pure."""

import bisect
import os
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

SETTLED_PULSES = 48
Distributions = dict[str, list[float]]  # milliseconds


class Trial(NamedTuple):
    """A turn of the knob or a CC, at a monotonic time."""

    by: str
    at_s: float


def reactions(trials: Sequence[Trial], noted: dict[str, Any], words_s: Sequence[float]) -> Distributions:
    """From a turn to the first note that it changed, less the time that this note had to wait for its own
    moment: when the note was planned, and how late it then left.
    """
    sent = dict(zip(noted["due_s"], noted["late_s"], strict=True))
    found: Distributions = {}

    def add(name: str, seconds: float) -> None:
        found.setdefault(name, []).append(1000 * seconds)

    ends_s = [trial.at_s for trial in trials[1:]] + [float("inf")]
    for trial, end_s in zip(trials, ends_s, strict=True):
        plans = [p for p in noted["plans"] if trial.at_s <= p["moved_s"] < end_s]
        if not plans:
            add(f"{trial.by} unheard", 0.0)
            continue
        add(f"{trial.by} to the plan", plans[0]["planned_s"] - trial.at_s)
        # A knob on its way moves the control more than once: what is heard was planned at the last.
        heard = next((p for p in plans if "due_s" in p), None)
        if heard is None:
            continue
        reaction_s, due_s = heard["planned_s"] - trial.at_s, heard["due_s"]
        if due_s in sent:
            add(f"{trial.by} to MIDI", reaction_s + sent[due_s])
        word_s = next((w for w in words_s if abs(w - due_s) < 0.005), None)
        if word_s is not None:
            add(f"{trial.by} to SPI", reaction_s + word_s - due_s)
    return found


def gate_errors(noted: dict[str, Any], gates_s: Sequence[tuple[float, int]]) -> list[float]:
    """Gates at the board against the times asked for, less their common delay."""
    errors = []
    rises: dict[int, list[float]] = {}
    for at_s, channel in gates_s:
        rises.setdefault(channel, []).append(at_s)
    for due_s, channel in noted["board_events"]:
        near = [at_s for at_s in rises.get(channel, ()) if abs(at_s - due_s) < 0.01]
        if len(near) == 1:
            errors.append(1000 * (near[0] - due_s))
    middle = statistics.median(errors) if errors else 0.0
    return [abs(error - middle) for error in errors]


def less_standstills(
    due_s: Sequence[float], late_s: Sequence[float], stood_s: Sequence[Sequence[tuple[float, float]]]
) -> list[float]:
    """From notes and the spans for which each core stood still to how late in seconds each note was but for the
    time, between its moment and its leaving, in which a core stood.
    """
    spans_s: list[list[float]] = []  # of any core, without overlap
    for begin_s, end_s in sorted((begin_s, end_s) for core_s in stood_s for begin_s, end_s in core_s):
        if spans_s and begin_s <= spans_s[-1][1]:
            spans_s[-1][1] = max(spans_s[-1][1], end_s)
        else:
            spans_s.append([begin_s, end_s])
    rest_s = []
    for due, late in zip(due_s, late_s, strict=True):
        stood = 0.0
        for begin_s, end_s in spans_s[bisect.bisect(spans_s, due, key=lambda span: span[1]) :]:
            if begin_s >= due + late:
                break
            stood += min(end_s, due + late) - max(begin_s, due)
        rest_s.append(late - stood)
    return rest_s


def phases(due_s: Sequence[float], late_s: Sequence[float], pulses_s: Sequence[float]) -> list[float]:
    """How far each note is from the nearest pulse, in ms, less the way that all take."""
    errors = []
    for due, late in zip(due_s, late_s, strict=True):
        at = bisect.bisect(pulses_s, due + late)
        if SETTLED_PULSES < at < len(pulses_s):
            errors.append(min((1000 * (due + late - p) for p in pulses_s[at - 1 : at + 1]), key=abs))
    middle = statistics.median(errors) if errors else 0.0
    return [abs(error - middle) for error in errors]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"{'both cores busy' if figures['busy'] else 'nothing else started'}: {figures['seconds']:.0f} s, the"
        f" player took {100 * figures['player_cores']:.1f} % of a core and {figures['resident_bytes'] / 1e6:.0f}"
        f" MB; all programs together {figures['machine_cores']:.2f} of {os.cpu_count()} cores",
        f"{'milliseconds':26}{'count':>8}{'median':>10}{'99 %':>10}{'worst':>10}",
    ]
    for name, values in figures["distributions"].items():
        if values:
            cells = (statistics.median(values), percentile(values, 0.99), max(values))
            lines.append(f"{name:26}{len(values):8}" + "".join(f"{cell:10.3f}" for cell in cells))
    lines.append(
        f"  MIDI: {figures['note_ons']} on, {figures['note_offs']} off, {figures['doubled']} struck while held,"
        f" {figures['stray']} ends of nothing, {figures['held_at_end']} held at the end"
    )
    lines.append(
        f"  late by more than 1 ms: {figures['late']}, less standstills {figures['late_alone']};"
        f" planned after their time: {figures['underruns']}"
    )
    lines.append(
        f"  gates: {figures['gate_rises']} opened, {figures['gate_falls']} closed,"
        f" {figures['open_gates_at_end']} open at the end; converters at {figures['codes_at_end']};"
        f" {figures['clocks']} clock messages; chip behind by at most {figures['board_lag_ms']:.1f} ms;"
        f" board: {figures['board']}"
    )
    lines.append(f"  player: {figures['report']}")
    return "\n".join(lines)


def spin_table(found: dict[float, dict[str, float]]) -> str:
    """For people."""
    lines = [f"{'spin ms':>8}{'% of a core':>14}{'median ms':>12}{'99 % ms':>10}{'do-nothing 99 %':>18}"]
    for spin_ms, row in found.items():
        cells = f"{row['median_ms']:12.3f}{row['p99_ms']:10.3f}{row['do_nothing_p99_ms']:18.3f}"
        lines.append(f"{spin_ms:8.1f}{100 * row['cores']:14.1f}{cells}")
    return "\n".join(lines)
