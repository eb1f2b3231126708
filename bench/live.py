"""The box while it plays: how soon a turned knob is heard, how late notes are, what it costs.

Everything is real: `noonsong play` as a process of its own (with bench.live_probe in it), the compiled firmware
in the simulated chip, MIDI through a JACK server. Beside it runs a loop that does nothing but wait for moments
of its own: how late that is, this machine makes everybody.
"""

import argparse
import bisect
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
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import live_stage as stage
from host.instrument import PRIORITY
from host.priority import ordinary, real_time_for_all
from model.errors import NoonsongError

if TYPE_CHECKING:
    from tests.host.jack import Receiver

SYNTH, SECOND, CONTROLLER = "bench-synth", "bench-second", "bench-controller"
SPIN_MS = 0.4
CLOCK_JITTER_S, RAMP_S, SETTLED_PULSES = 0.002, 20.0, 48
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
Distributions = dict[str, list[float]]  # milliseconds


class Trial(NamedTuple):
    """A turn of the knob or a CC, at a monotonic time."""

    by: str
    at_s: float


class Gear:
    """A synthesizer, a controller and a board to play to."""

    def __init__(self, folder: Path) -> None:
        from tests.host.jack import Receiver, Sender
        from tests.sim.sim_board import SimBoard

        self.synths, self.controller = [Receiver(SYNTH), Receiver(SECOND)], Sender(CONTROLLER)
        self.synths[1].port.ignore_types(timing=False)
        self.board = SimBoard(link=folder / "board")
        self.board.set_knob(0, 0.5)
        self.ons = self.offs = self.doubled = self.stray = 0
        self.rises = self.falls = 0
        self.words_s: list[float] = []  # when a voltage was written, monotonic
        self.gates_s: list[tuple[float, int]] = []  # when a gate rose, and which
        self.codes = [0, 0, 0, 0]  # what the converters were last told
        self.clocks = 0
        self._held: set[tuple[int, int, int]] = set()

    def turn(self, position: float) -> float:
        """Turn the knob; returns when."""
        self.board.set_knob(0, position)
        return time.monotonic()

    def send_cc(self, position: float) -> float:
        """Move the controller; returns when."""
        now_s = time.monotonic()
        self.controller.send(0xB0, 21, round(position * 127))
        return now_s

    def listen(self, keep: bool = True) -> None:
        """Take what has arrived since the last time. Call at least once a second."""
        for synth, receiver in enumerate(self.synths):
            self._hear(synth, receiver)
        with self.board._lock:
            sim, now_s = self.board.sim, time.monotonic()
            now_cycle = self.board.cycle_at(now_s)
            writes, pins = sim.dac_writes[:], sim.pins[:]
            sim.dac_writes.clear()
            sim.pins.clear()
        for write in writes:
            self.codes[write.channel] = write.dac_code
        gates = [pin for pin in pins if 4 <= pin.pin <= 7]
        self.rises += sum(pin.high for pin in gates)
        self.falls += sum(not pin.high for pin in gates)
        if keep:
            self.words_s += [now_s + (w.cycle - now_cycle) / 16e6 for w in writes]
            self.gates_s += [(now_s + (p.cycle - now_cycle) / 16e6, p.pin - 4) for p in gates if p.high]

    @property
    def held_notes(self) -> int:
        """Notes that the synthesizer still sounds."""
        return len(self._held)

    @property
    def open_gates(self) -> int:
        """Gates that the board holds."""
        return sum(self.board.sim.gates())

    def close(self) -> None:
        """Pack up."""
        for synth in self.synths:
            synth.close()
        self.controller.close()
        self.board.close()

    def _hear(self, synth: int, receiver: "Receiver") -> None:
        receiver.drain()
        messages, receiver.all = receiver.all, []
        self.clocks += messages.count([0xF8])
        for status, note, velocity in (m for m in messages if len(m) == 3 and m[0] & 0xE0 == 0x80):
            key = (synth, status & 0x0F, note)
            if status & 0x10 and velocity:
                self.ons += 1
                self.doubled += key in self._held
                self._held.add(key)
            else:
                self.offs += 1
                self.stray += key not in self._held
                self._held.discard(key)


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
    found["distributions"] |= _reactions(trials, found["noted"], found["gear"].words_s)
    found["distributions"]["gate at the board"] = _gate_errors(found["noted"], found["gear"].gates_s)
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
    found["distributions"]["clock to note"] = _phases(noted, pulses_s)
    return _reported(found)


def _phases(noted: dict[str, Any], pulses_s: Sequence[float]) -> list[float]:
    """How far each note is from the nearest pulse, in ms, less the way that all take."""
    errors = []
    for due_s, late_s in zip(noted["due_s"], noted["late_s"], strict=True):
        at = bisect.bisect(pulses_s, due_s + late_s)
        if SETTLED_PULSES < at < len(pulses_s):
            errors.append(min((1000 * (due_s + late_s - p) for p in pulses_s[at - 1 : at + 1]), key=abs))
    middle = statistics.median(errors) if errors else 0.0
    return [abs(error - middle) for error in errors]


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
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
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
        nothing = stage.do_nothing(seconds, spin_ms / 1000)
        began_s, processor_s, machine_s = time.monotonic(), player.processor_s(), stage.machine_busy_s()
        gear.board.worst_lag_s = 0.0
        perform(gear, began_s + seconds)
        spent_s = time.monotonic() - began_s
        share = (player.processor_s() - processor_s) / spent_s
        others = (stage.machine_busy_s() - machine_s) / spent_s
        resident = player.resident_bytes()
        report, noted = player.end()
        _listen_for(gear, 1.5)
        late_s = json.loads(nothing.communicate(timeout=60)[0])
        shown = [x for x, due in zip(noted["late_s"], noted["due_s"], strict=True) if due >= began_s]
        return {
            "distributions": {
                "do-nothing loop": [1000 * x for x in late_s],
                "MIDI note": [1000 * x for x in shown],
            },
            "report": report, "noted": noted, "gear": gear, "seconds": spent_s, "busy": busy,
            "player_cores": share, "machine_cores": others, "resident_bytes": resident,
            "board_lag_ms": gear.board.worst_lag_s * 1000,
        }  # fmt: skip


def _listen_for(gear: Gear, seconds: float, keep: bool = True) -> None:
    _listen_until(gear, time.monotonic() + seconds, keep)


def _listen_until(gear: Gear, end_s: float, keep: bool = True) -> None:
    while (rest_s := end_s - time.monotonic()) > 0:
        time.sleep(min(rest_s, 0.5))
        gear.listen(keep)


def _reactions(trials: Sequence[Trial], noted: dict[str, Any], words_s: Sequence[float]) -> Distributions:
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


def _gate_errors(noted: dict[str, Any], gates_s: Sequence[tuple[float, int]]) -> list[float]:
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


def _reported(found: dict[str, Any]) -> dict[str, Any]:
    gear: Gear = found.pop("gear")
    noted = found.pop("noted")
    return found | {
        "note_ons": gear.ons, "note_offs": gear.offs, "doubled": gear.doubled, "stray": gear.stray,
        "held_at_end": gear.held_notes, "gate_rises": gear.rises, "gate_falls": gear.falls,
        "open_gates_at_end": gear.open_gates, "codes_at_end": gear.codes, "clocks": gear.clocks, "board": noted["board"],
    }  # fmt: skip


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
                for what in ("clock as sent", "clock to note"):
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
