"""Checks everything a player could have wrong, and says what to do about each."""

import argparse
import datetime
import grp
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from serial.tools import list_ports

from host.commands.common import load_engine, load_journal_path, weights_path
from host.config import Config, load_config
from host.history import History
from host.midi_ports import MidiPorts, match_port, port_matches
from host.priority import may_lock_memory, ordinary, real_time
from model.errors import NoonsongError

GIGABYTE = 1 << 30
ENOUGH_DISK = GIGABYTE // 2
RELEASE_YEAR = 2026


class Finding(NamedTuple):
    """`advice` says what to do; empty when all is well."""

    level: Literal["good", "note", "wrong"]
    about: str
    says: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `noonsong doctor`."""
    parser.add_argument("--config", type=Path, help="settings (default: noonsong.toml here, if there is one)")
    parser.add_argument("--journal", type=Path, help="the file that keeps the piece")
    parser.add_argument("--weights", type=Path, help="a weights file (default: those that noonsong ships)")
    parser.add_argument("--json", action="store_true", help="report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; exit status 1 when something is wrong."""
    findings = list(examine(arguments))
    if arguments.json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            mark = {"good": "ok  ", "note": "note", "wrong": "!!  "}[finding.level]
            print(f"{mark} {finding.about:10} {finding.says}")
            if finding.advice:
                print(f"{'':15} -> {finding.advice}")
    return int(any(finding.level == "wrong" for finding in findings))


def examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Every check, in the order in which things go wrong."""
    try:
        config = load_config(arguments.config)
        yield Finding("good", "settings", "read without complaint")
    except NoonsongError as error:
        config = Config()
        yield Finding("wrong", "settings", str(error), "mend that line, or write a new file: noonsong init")
    weights = weights_path(arguments, config)
    for check in (_weights(weights), _journal(arguments), _midi(config), _serial(), _priority(), _clock()):
        yield from check


def _weights(path: Path) -> Iterator[Finding]:
    try:
        began_s = time.perf_counter()
        engine = load_engine(path)
        engine.step(0, [])
        spent_ms = (time.perf_counter() - began_s) * 1000
    except NoonsongError as error:
        yield Finding("wrong", "weights", str(error), "name good ones with --weights, or install again")
        return
    yield Finding("good", "weights", f"{path.name} loads in {spent_ms:.0f} ms, kernel {engine.kernel}")
    if engine.kernel == "numpy":
        advice = "install a C compiler (apt install gcc), then install noonsong again"
        yield Finding("note", "kernel", "the slow numpy kernel plays", advice)


def _journal(arguments: argparse.Namespace) -> Iterator[Finding]:
    try:
        path = load_journal_path(arguments)
    except NoonsongError:
        return
    folder = next(parent for parent in path.parents if parent.exists())
    if not os.access(folder, os.W_OK):
        yield Finding("wrong", "journal", f"{folder} cannot be written", "choose another with --journal")
    free = shutil.disk_usage(folder).free
    text = f"{free / GIGABYTE:.1f} GB free for the journal in {folder}"
    if free < ENOUGH_DISK:
        yield Finding("wrong", "disk", text, "make room: the piece grows by some 10 MB a day")
    else:
        yield Finding("good", "disk", text)
    if path.exists():
        try:
            yield Finding("good", "journal", f"the piece goes from {History(path).span_text()}")
        except sqlite3.DatabaseError as error:
            advice = "noonsong play will keep it aside and begin a new piece"
            yield Finding("wrong", "journal", f"{path} is damaged: {error}", advice)


def _midi(config: Config) -> Iterator[Finding]:
    try:
        ports = MidiPorts(config.midi.api)
    except NoonsongError as error:
        yield Finding("note", "MIDI", str(error))
        return
    names = ports.names()
    yield Finding("good", "MIDI", f"{ports.api} has {', '.join(names) or 'no outputs'}")
    inputs = [
        name
        for name in ports.input_names()
        if any(
            port_matches(pattern, name)
            for pattern in (*config.inputs.midi, config.inputs.keyboard)
            if pattern
        )
    ]
    yield Finding("good", "MIDI", f"listens to {', '.join(inputs) or 'no inputs'}")
    for output in config.midi.outputs:
        if output.port not in ("auto", "virtual") and match_port(output.port, names) is None:
            advice = "switch it on or plug it in; it is taken as soon as it is there"
            yield Finding("note", "MIDI", f'no port like "{output.port}"', advice)


def _serial() -> Iterator[Finding]:
    devices = [port.device for port in list_ports.comports()]
    if not devices:
        yield Finding("note", "serial", "no serial port", "plug the board in; until then keys turn the knobs")
    for device in devices:
        if os.access(device, os.R_OK | os.W_OK):
            yield Finding("good", "serial", f"{device} may be opened")
        else:
            group = grp.getgrgid(Path(device).stat().st_gid).gr_name
            advice = f"sudo usermod -aG {group} $USER, then log in again"
            yield Finding("wrong", "serial", f"{device} may not be opened", advice)


def _priority() -> Iterator[Finding]:
    if real_time(1):
        ordinary()
        yield Finding("good", "priority", "real-time priority is permitted")
    else:
        advice = "add '@audio - rtprio 95' to /etc/security/limits.d/audio.conf and join the group audio"
        yield Finding("note", "priority", "no real-time priority: a busy machine may be heard", advice)
    if may_lock_memory():
        yield Finding("good", "memory", "memory may be locked")
    else:
        advice = (
            "add '@audio - memlock unlimited' to /etc/security/limits.d/audio.conf and join the group audio"
        )
        yield Finding("note", "memory", "memory may not be locked: a full one may be heard", advice)


def _clock() -> Iterator[Finding]:
    now = datetime.datetime.now()
    if now.year < RELEASE_YEAR:
        advice = "let it find a time server, or set it: the days of the piece go by it"
        yield Finding("wrong", "clock", f"this machine believes it is {now:%Y-%m-%d}", advice)
    else:
        yield Finding("good", "clock", f"{now:%Y-%m-%d %H:%M}")
