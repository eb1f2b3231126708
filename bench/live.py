"""The box while it plays: how soon a turned knob is heard, how late notes are, what it costs.

Everything is real: `noonsong play` as a process of its own (with bench.live_probe in it), the compiled firmware
in the simulated chip, MIDI through a JACK server. Beside it runs a loop that does nothing but wait for moments
of its own: how late that is, this machine makes everybody.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench import live_stage as stage
from bench.live_figures import (
    Trial,
    gate_errors,
    less_standstills,
    percentile,
    phases,
    reactions,
    spin_table,
    table,
)
from bench.live_gear import CONTROLLER, SECOND, SYNTH, Gear
from host.instrument import PRIORITY
from host.priority import ordinary, real_time, real_time_for_all
from model.errors import NoonsongError

SPIN_MS = 0.4
LATE_MS = 1.0
CLOCK_JITTER_S, RAMP_S = 0.002, 20.0
SPINS_MS = (0.0, 0.1, 0.4, 1.0, 4.0)
CONFIG = f"""
[play]
spin_ms = {{spin_ms}}
[midi]
api = "jack"
[[midi.outputs]]
port = "{SYNTH}"
{{outputs}}
[clock]
midi_port = "{CONTROLLER}"
{{clock}}
[inputs]
midi = ["{CONTROLLER}"]
[[inputs.map]]
control = "temperature"
by = "cc 21"
[board]
knobs = ["temperature", "", "", "", "", ""]
{{board}}
"""
USUAL = {"outputs": "", "clock": "", "board": ""}
EVERYTHING = {
    "outputs": f"""
[[midi.outputs]]
port = "{SECOND}"
transpose = 12
control_ccs = {{ temperature = 20, density = 21 }}
""",
    "clock": f'midi_out = ["{SECOND}"]\ngate_out_pulses = 8',
    "board": """
cv = ["pitch 1", "velocity 1", "gate 2", "clock"]
gates = ["gate 1", "trigger drums", "gate 3", "clock"]
""",
}
SOAK = ["density=8", "temperature=1.2"]


def measure(weights: Path | None, seconds: float, busy: bool, seed: int = 1) -> dict[str, Any]:
    """Play for so long while the knob and the controller move: distributions, counts, costs."""
    chance = random.Random(seed)
    trials: list[Trial] = []

    def perform(gear: Gear, end_s: float) -> None:
        position = 0.5
        while time.monotonic() < end_s:
            _listen_for(gear, chance.uniform(0.25, 0.5))
            position = (position + chance.uniform(0.2, 0.8)) % 1.0
            by = chance.choice(("knob", "CC"))
            trials.append(Trial(by, gear.turn(position) if by == "knob" else gear.send_cc(position)))
        _listen_for(gear, 1.0)

    found = _play(weights, seconds, busy, ["density=4", "temperature=1"], perform)
    found["distributions"] |= reactions(trials, found["noted"], found["gear"].words_s)
    found["distributions"]["gate at the board"] = gate_errors(found["noted"], found["gear"].gates_s)
    return _reported(found)


def follow(weights: Path | None, seconds: float, busy: bool, seed: int = 2) -> dict[str, Any]:
    """Play to a MIDI clock that wanders between 60 and 180 bpm, each pulse up to 2 ms too early or late: how far
    notes are from the pulses as they should have been.
    """
    chance = random.Random(seed)
    pulses_s: list[float] = []
    off_ms: list[float] = []

    def perform(gear: Gear, end_s: float) -> None:
        pulse_s = began_s = time.monotonic() + 0.1
        gear.controller.send(0xFA)
        while pulse_s < end_s:
            sent_s = pulse_s + chance.uniform(-CLOCK_JITTER_S, CLOCK_JITTER_S)
            time.sleep(max(0.0, sent_s - time.monotonic()))
            gear.controller.send(0xF8)
            off_ms.append(1000 * abs(time.monotonic() - pulse_s))
            pulses_s.append(pulse_s)
            way = (pulse_s - began_s) % RAMP_S / RAMP_S  # there and back
            pulse_s += 60 / 24 / (60 + 120 * (1 - abs(2 * way - 1)))
            if len(pulses_s) % 24 == 0:
                gear.listen()
        gear.controller.send(0xFC)

    found = _play(weights, seconds, busy, ["density=4", "clock=midi"], perform)
    noted = found["noted"]
    found["distributions"]["clock as sent"] = off_ms
    found["distributions"]["clock to note"] = phases(noted["due_s"], noted["late_s"], pulses_s)
    found["distributions"]["the same less standstills"] = phases(noted["due_s"], noted["less_s"], pulses_s)
    return _reported(found)


def spins(weights: Path | None, seconds: float, busy: bool) -> dict[float, dict[str, float]]:
    """Spin time in ms -> what it costs and gives."""
    return {spin_ms: apart(spin, weights, seconds, busy, spin_ms) for spin_ms in SPINS_MS}


def spin(weights: Path | None, seconds: float, busy: bool, spin_ms: float) -> dict[str, float]:
    """One of them."""
    figures = _play(weights, seconds, busy, ["density=4"], _listen_until, spin_ms=spin_ms)
    late_ms = figures["distributions"]["MIDI note"]
    return {
        "cores": figures["player_cores"],
        "median_ms": statistics.median(late_ms),
        "p99_ms": percentile(late_ms, 0.99),
        "do_nothing_p99_ms": percentile(figures["distributions"]["do-nothing loop"], 0.99),
    }


def soak(weights: Path | None, minutes: float, busy: bool, progress: Callable[[str], None]) -> dict[str, Any]:
    """Play at full density to every output: is all that begins ended, does memory stay?"""
    memory: list[tuple[float, float]] = []
    current: list[stage.Player] = []

    def perform(gear: Gear, end_s: float) -> None:
        began_s = time.monotonic()
        while time.monotonic() < end_s:
            _listen_for(gear, 15.0, keep=False)
            memory.append(((time.monotonic() - began_s) / 60, current[0].resident_bytes() / 1e6))
            progress(f"{memory[-1][0]:5.1f} min: {gear.ons} notes, {memory[-1][1]:.1f} MB")

    found = _play(weights, minutes * 60, busy, SOAK, perform, current, config=EVERYTHING)
    return _reported(found) | {"memory_mb": memory}


def apart(measurement: Callable[..., Any], *arguments: Any) -> Any:
    """Measure in a process of its own: JACK's library does not survive one server after the other."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=stage.die_with_parent) as pool:
        return pool.submit(measurement, *arguments).result()


def _play(
    weights: Path | None,
    seconds: float,
    busy: bool,
    controls: Sequence[str],
    perform: Callable[[Gear, float], None],
    current: list[stage.Player] | None = None,
    spin_ms: float = SPIN_MS,
    config: Mapping[str, str] = USUAL,
) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(stage.jack())
        gear = Gear(folder)
        stack.callback(gear.close)
        # A board does not wait for the host's other programs: the simulated one runs before them, too.
        real_time_for_all(PRIORITY + 5)
        real_time(PRIORITY - 1)  # but not what is done with what was heard
        sys.setswitchinterval(0.0005)
        stack.callback(ordinary)
        options = ["--board", gear.board.port, "--seed", "1"]
        options += [word for control in controls for word in ("--control", control)]
        options += ["--weights", str(weights)] if weights else []
        player = stage.Player(folder, CONFIG.format(spin_ms=spin_ms, **config), options)
        stack.callback(player.kill)
        if current is not None:
            current.append(player)
        player.wait_for("is ready")
        stack.enter_context(stage.burners((os.cpu_count() or 1) if busy else 0))
        _listen_for(gear, 2.0, keep=False)
        nothing, watches = stage.do_nothing(seconds, spin_ms / 1000), stage.watch_cores(seconds)
        began_s, processor_s, machine_s = time.monotonic(), player.processor_s(), stage.machine_busy_s()
        gear.board.worst_lag_s = 0.0
        perform(gear, began_s + seconds)
        spent_s = time.monotonic() - began_s
        share = (player.processor_s() - processor_s) / spent_s
        others = (stage.machine_busy_s() - machine_s) / spent_s
        resident, lag_s = player.resident_bytes(), gear.board.worst_lag_s
        report, noted = player.end()
        _listen_for(gear, 1.5)
        late_s = json.loads(nothing.communicate(timeout=60)[0])
        stood_s = [json.loads(watch.communicate(timeout=60)[0]) for watch in watches]
        noted["less_s"] = less_standstills(noted["due_s"], noted["late_s"], stood_s)
        late_ms, less_ms = (
            [1000 * x for due, x in zip(noted["due_s"], noted[of], strict=True) if due >= began_s]
            for of in ("late_s", "less_s")
        )
        return {
            "distributions": {
                "do-nothing loop": [1000 * x for x in late_s],
                "MIDI note": late_ms,
                "note less standstills": less_ms,
                **{
                    f"core {core} stood still": [1000 * (end_s - due_s) for due_s, end_s in spans_s]
                    for core, spans_s in enumerate(stood_s)
                },
            },
            "late": sum(x > LATE_MS for x in late_ms), "late_alone": sum(x > LATE_MS for x in less_ms),
            "underruns": sum(due >= began_s for due in noted["underruns_s"]),
            "report": report, "noted": noted, "gear": gear, "seconds": spent_s, "busy": busy,
            "player_cores": share, "machine_cores": others, "resident_bytes": resident,
            "board_lag_ms": lag_s * 1000,
        }  # fmt: skip


def _listen_for(gear: Gear, seconds: float, keep: bool = True) -> None:
    _listen_until(gear, time.monotonic() + seconds, keep)


def _listen_until(gear: Gear, end_s: float, keep: bool = True) -> None:
    while (rest_s := end_s - time.monotonic()) > 0:
        time.sleep(min(rest_s, 0.5))
        gear.listen(keep)


def _reported(found: dict[str, Any]) -> dict[str, Any]:
    gear: Gear = found.pop("gear")
    noted = found.pop("noted")
    return found | {
        "note_ons": gear.ons, "note_offs": gear.offs, "doubled": gear.doubled, "stray": gear.stray,
        "held_at_end": gear.held_notes, "gate_rises": gear.rises, "gate_falls": gear.falls,
        "open_gates_at_end": gear.open_gates, "codes_at_end": gear.codes, "clocks": gear.clocks, "board": noted["board"],
    }  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong bench live`."""
    parser.add_argument("--weights", type=Path, help="default: those that noonsong ships")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run (default 60)")
    parser.add_argument(
        "--soak", type=float, metavar="MINUTES", help="play to all outputs for so long instead"
    )
    parser.add_argument(
        "--spins", action="store_true", help="what staying awake before a note costs, instead"
    )
    parser.add_argument("--quiet", action="store_true", help="only with the cores free")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--picture", type=Path, help="write the distributions as a picture (needs matplotlib)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, print, draw."""
    if not Path("/proc/self/stat").exists():
        raise NoonsongError("bench live measures on Linux only: it reads /proc")
    if args.spins:
        found = spins(args.weights, args.seconds, not args.quiet)
        print(json.dumps(found) if args.json else spin_table(found))
        return 0
    if args.soak:
        progress = (lambda line: None) if args.json else lambda line: print(line, flush=True)
        runs = {"soak": soak(args.weights, args.soak, not args.quiet, progress)}
    else:
        runs = {}
        for name, busy in (("idle", False), ("busy", True)):
            if not (busy and args.quiet):
                runs[name] = apart(measure, args.weights, args.seconds, busy)
                followed = apart(follow, args.weights, args.seconds, busy)
                for what in ("clock as sent", "clock to note", "the same less standstills"):
                    runs[name]["distributions"][what] = followed["distributions"][what]
    if args.json:
        print(json.dumps(runs))
    else:
        for name, figures in runs.items():
            print(f"\n{name}, {table(figures)}", flush=True)
    if args.picture:
        from bench.live_picture import draw

        draw(runs, args.picture)
    return 0
