"""Plays the endless piece: reads as a boot list, and is the one place that knows every concrete device."""

import argparse
import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from host.board import Board
from host.clock import Clock
from host.clocks.clocks import Clocks
from host.commands.common import Loaded, add_playing_arguments, load, load_journal_path
from host.commands.devices import check_settings, open_board, open_door, open_outputs, open_ports
from host.config_file import ConfigFile
from host.inputs.inputs import Inputs
from host.instrument import Instrument
from host.midi_ports import MidiPorts
from host.outputs.base import Output
from host.outputs.cv import CvOutput
from host.performance import Performance
from host.piece import Piece, set_aside
from host.player import Player
from host.presets import Presets
from host.pulses_out import PulsesOut
from host.scheduler import Scheduler
from host.settings import first_settings

if TYPE_CHECKING:
    from host.panel.link import Link


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong play`."""
    add_playing_arguments(parser)
    parser.add_argument("--seconds", type=float, help="end by itself after so long (default: never)")
    parser.add_argument("--record", type=Path, help="keep what is played in this MIDI file, too")
    parser.add_argument("--no-panel", action="store_true", help="no page, no live view, no keys: for scripts")
    parser.add_argument("--panel-port", type=int, help="the page's port on this machine; 0 for any")
    parser.add_argument(
        "--no-browser", action="store_true", help="do not open the page, only say where it is"
    )
    parser.add_argument("--port", help='MIDI output: a name, a part of it, a pattern, "virtual" or "none"')
    parser.add_argument("--api", help="MIDI interface: auto, alsa, jack, core or windows")
    parser.add_argument("--events", action="store_true", help="print every event as a line of JSON")
    parser.add_argument("--board", help="the board's serial port, auto or none")
    parser.add_argument("--journal", type=Path, help="the file that keeps the piece")
    parser.add_argument("--fresh", action="store_true", help="keep the old piece aside and begin a new one")
    parser.add_argument("--json", action="store_true", help="report as JSON at the end")


def run(arguments: argparse.Namespace) -> int:
    """Play until stopped: by time, by a signal, by q."""
    scripted = arguments.no_panel or arguments.json or arguments.events or not sys.stdin.isatty()
    say = _Notices(sys.stderr if scripted else None)
    loaded = load(arguments)
    ports = open_ports(loaded.config, arguments, say)
    inputs = Inputs(loaded.config, loaded.table, ports, ConfigFile(arguments.config), say, time.monotonic)
    outputs = open_outputs(loaded.config, arguments, loaded.table, ports, inputs.echoes.sent, say)
    clocks = Clocks(loaded.config, ports, loaded.controls["tempo"] or 0.0, say, time.monotonic)
    board = open_board(loaded.config, arguments, inputs, clocks.gates, say)
    if board is not None:
        cv = CvOutput(board, loaded.config.board, loaded.table, time.monotonic)
        cv.offset_s = loaded.config.board.offset_ms / 1000
        outputs.append(cv)
    path = load_journal_path(arguments)
    if arguments.fresh and path.exists():
        say(f"the old piece is kept as {set_aside(path)}")
    piece = Piece(path, loaded.identity, loaded.engine.memory_tokens, time.time(), say, arguments.seed)
    instrument = assemble(loaded, piece, outputs, clocks, board, say)
    with _ended_by_signals(instrument):
        try:
            instrument.run()
            actions: dict[str, Callable[[], None]] = {
                "phrase": instrument.performance.begin_phrase,
                "panic": instrument.panic,
                "loved": partial(instrument.mark, "loved", "a key"),
                "disliked": partial(instrument.mark, "disliked", "a key"),
            }
            performance = instrument.performance
            presets = Presets(path.with_name("presets.json"), loaded.table, say)
            presets.connect(instrument.move, performance.asked)
            inputs.connect(
                instrument.move,
                performance.asked,
                actions,
                instrument.scheduler.post,
                performance.hear,
                performance.take_scale,
                presets,
            )
            clocks.connect(instrument.performance, instrument.move)
            instrument.watches += [inputs.watch, clocks.watch]
            door = open_door(path, inputs, say)
            panel = open_panel(loaded, arguments, instrument, board, inputs, ports, presets, path, say)
            if say.stream is not None:
                instrument.wait(arguments.seconds)
            else:
                from host.terminal import Terminal

                Terminal(instrument, loaded.table, say.lines).run(arguments.seconds)
            if panel is not None:
                panel.close()
            if door is not None:
                door.close()
        finally:  # whatever happened: every note gets its end
            inputs.close()
            clocks.close()
            instrument.close("stopped")
            if board is not None:
                board.close()
    _report(instrument, inputs, path, as_json=arguments.json)
    if panel is not None and panel.restart_wanted:
        start_again()
    return 0


def start_again() -> None:
    """The same command once more, with the settings as they are now; the piece goes on with the next note."""
    words = iter(sys.orig_argv[1:])
    kept = []
    for word in words:
        if word == "--control":  # where controls stand at the start: they were moved since
            next(words, None)
        elif word != "--fresh" and not word.startswith("--control="):
            kept.append(word)
    os.execv(sys.executable, [sys.executable, *kept])


def assemble(
    loaded: Loaded,
    piece: Piece,
    outputs: list[Output],
    clocks: Clocks,
    board: Board | None,
    say: Callable[[str], None],
) -> Instrument:
    """Join the stages, standing where the piece ended."""
    followers = clocks.outputs(board)
    outputs = [*outputs, *followers]
    controls = {**loaded.controls, **(loaded.asked if piece.past is None else {})}
    player = Player(loaded.engine, piece.journal.seed, first_settings(controls))
    scheduler = Scheduler(outputs, played=piece.playhead.set)
    now_s = time.monotonic()
    tempo_bpm = controls["tempo"]
    assert tempo_bpm is not None
    performance = Performance(
        player,
        Clock(tempo_bpm, 0.0, now_s),
        scheduler,
        piece.journal,
        loaded.table,
        # What an output wants earlier than the rest must be final so much sooner.
        loaded.config.play.commit_ms / 1000 + max(0.0, *(-output.offset_s for output in outputs), 0.0),
        clocks.sources,
        clocks.carry_on,
    )
    if followers:
        performance.pulses_out = PulsesOut(performance.clock, scheduler.post)
    performance.start(now_s, time.time(), piece.past, piece.playhead.position)
    if piece.begin_phrase:
        performance.begin_phrase()
    instrument = Instrument(
        performance,
        scheduler,
        piece,
        outputs,
        loaded.config.day,
        say,
        spin_s=loaded.config.play.spin_ms / 1000,
    )
    if piece.past is not None:
        for name, value in loaded.asked.items():
            instrument.move(name, value, "command line")
    return instrument


def open_panel(
    loaded: Loaded,
    arguments: argparse.Namespace,
    instrument: Instrument,
    board: Board | None,
    inputs: Inputs,
    ports: MidiPorts | None,
    presets: Presets,
    journal: Path,
    say: "_Notices",
) -> "Link | None":
    """The page, in a process of its own; scripts have none unless they name its port."""
    if arguments.no_panel or (arguments.panel_port is None and (arguments.events or arguments.json)):
        return None
    from host.panel.browser import open_browser
    from host.panel.link import Link

    settings = loaded.config.panel
    if arguments.panel_port is not None:
        settings = msgspec.structs.replace(settings, port=arguments.panel_port)
    file = ConfigFile(arguments.config, partial(check_settings, table=loaded.table))
    panel = Link(
        instrument,
        loaded.table,
        loaded.engine,
        board,
        presets,
        inputs,
        ports,
        file,
        settings,
        journal,
        say,
        say.lines,
    )
    if settings.browser and not arguments.no_browser and sys.stdin.isatty():
        panel.on_up = open_browser
    panel.start()
    return panel


class _Notices:
    """Sentences for the player: on a stream, or kept for the live view."""

    def __init__(self, stream: object) -> None:
        self.stream = stream
        self.lines: list[str] = []

    def __call__(self, sentence: str) -> None:
        self.lines.append(sentence)
        if self.stream is not None:
            print(f"noonsong: {sentence}", file=self.stream, flush=True)  # type: ignore[call-overload]


@contextlib.contextmanager
def _ended_by_signals(instrument: Instrument):  # type: ignore[no-untyped-def]
    previous = {
        number: signal.signal(number, lambda *_: instrument.stop())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _report(instrument: Instrument, inputs: Inputs, path: Path, as_json: bool) -> None:
    scheduler = instrument.scheduler
    figures = {
        "notes": scheduler.sent_notes,
        "worst_late_ms": round(scheduler.worst_late_s * 1000, 3),
        "refused_notes": scheduler.refused_notes,
        "faults": {o.name: o.last_fault for o in instrument.outputs if o.faults} | inputs.faults,
        "journal": str(path),
        "journal_fault": instrument.performance.journal_fault,
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if as_json:
        print(json.dumps(figures))
        return
    print(
        f"{figures['notes']} notes played, none later than {figures['worst_late_ms']:g} ms;"
        f" the piece waits in {path}"
    )
    for fault in (*figures["faults"].values(), figures["journal_fault"]):  # type: ignore[attr-defined]
        if fault:
            print(f"noonsong: {fault}", file=sys.stderr)
