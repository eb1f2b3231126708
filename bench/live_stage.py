"""The stage that `noonsong bench live` plays on: a JACK server of its own, the simulated board, gear, load."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from host.priority import ordinary
from model.errors import NoonsongError

ROOT = Path(__file__).parents[1]
JACK_OPTIONS = ("-r", "-S", "-d", "dummy", "-r", "48000", "-p", "64")  # messages leave every 1.3 ms
PR_SET_PDEATHSIG = 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# What a perfect program would be late by on this machine: it sleeps and spins as the scheduler does.
DO_NOTHING = """
import json, random, sys, threading, time
from host.instrument import PRIORITY
from host.priority import real_time
seconds, spin_s = float(sys.argv[1]), float(sys.argv[2])
real_time(PRIORITY + 4)
sys.setswitchinterval(0.0005)
condition, chance, late = threading.Condition(), random.Random(1), []
end_s = due_s = time.monotonic()
end_s += seconds
while due_s < end_s:
    due_s += chance.uniform(0.03, 0.12)
    with condition:
        while (rest_s := due_s - time.monotonic() - spin_s) > 0:
            condition.wait(rest_s)
    while time.monotonic() < due_s:
        pass
    late.append(time.monotonic() - due_s)
print(json.dumps(late))
"""
# Whether a core runs at all. Above every program measured, and bound, for the system moves no program away from
# a core that it believes to be running: what waits there waits as long as the core stands still.
WATCH = """
import json, os, sys, time
from host.instrument import PRIORITY
from host.priority import real_time
core, until_s, every_s, least_s = int(sys.argv[1]), *map(float, sys.argv[2:])
os.sched_setaffinity(0, [core])
real_time(PRIORITY + 10)
stood_s, due_s = [], time.monotonic()
while due_s < until_s:
    due_s += every_s
    time.sleep(max(0.0, due_s - time.monotonic()))
    now_s = time.monotonic()
    if now_s - due_s >= least_s:
        stood_s.append((due_s, now_s))
        due_s = now_s
print(json.dumps(stood_s))
"""
WATCH_EVERY_S, LEAST_STANDSTILL_S = 0.001, 0.001
BURN = "while True: pass"


def die_with_parent() -> None:
    """Whoever started this process and is killed takes it along: nothing burns on (Linux: prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command: list[str], **options: Any) -> "subprocess.Popen[Any]":
    """A program at ordinary priority, whatever ours is, that ends with us."""
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], cwd=ROOT, **options)
    ordinary(process.pid)
    return process


@contextlib.contextmanager
def jack() -> Iterator[None]:
    """A JACK server without hardware, for this process and those it starts. Raises NoonsongError without jackd."""
    daemon = shutil.which("jackd")
    if daemon is None:
        raise NoonsongError("bench live needs a JACK server to play to: apt install jackd2")
    name = f"noonsong-bench-{os.getpid()}"
    os.environ |= {"JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1"}
    server = start([daemon, "-n", name, *JACK_OPTIONS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        from host.midi_ports import MidiPorts

        for _ in range(100):
            with contextlib.suppress(NoonsongError):
                MidiPorts("jack")
                break
            time.sleep(0.05)
        else:
            raise NoonsongError("the JACK server did not start")
        yield
    finally:
        _end(server)


@contextlib.contextmanager
def burners(count: int) -> Iterator[None]:
    """So many programs that want a core each, all the time."""
    running = [start([sys.executable, "-c", BURN]) for _ in range(count)]
    try:
        yield
    finally:
        for each in running:
            _end(each)


class Player:
    """A `noonsong play` with the probe in it."""

    def __init__(self, folder: Path, config: str, options: list[str]) -> None:
        self._noted = folder / "noted.json"
        (folder / "noonsong.toml").write_text(config)
        command = [sys.executable, "-m", "bench.live_probe", str(self._noted), "--no-panel", "--json"]
        command += ["--config", str(folder / "noonsong.toml"), "--journal", str(folder / "journal.sqlite")]
        with (folder / "said").open("w") as said:
            self._process = start(
                [*command, *options], stdout=subprocess.PIPE, stderr=said, text=True,
                env=os.environ | {"PYTHONFAULTHANDLER": "1"},
            )  # fmt: skip
        self._said = folder / "said"

    def wait_for(self, sentence: str) -> None:
        """Raises NoonsongError when it does not come."""
        end_s = time.monotonic() + 60
        while sentence not in self._said.read_text():
            if time.monotonic() > end_s or self._process.poll() is not None:
                raise NoonsongError(f"the player did not say {sentence!r} but: {self._said.read_text()}")
            time.sleep(0.05)

    def processor_s(self) -> float:
        """Processor time spent so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def resident_bytes(self) -> int:
        """Memory held now, without the buffers of the JACK server (128 MB), which every client sees."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return 1024 * (int(lines["VmRSS"].split()[0]) - int(lines["RssShmem"].split()[0]))

    def end(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Stop it; its own report and what the probe noted. Raises NoonsongError when it ended in disorder."""
        import json

        self._process.send_signal(signal.SIGTERM)
        try:
            out, _ = self._process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # it then tells where each of its threads stands
            out, _ = self._process.communicate(timeout=60)
        if self._process.returncode != 0:
            raise NoonsongError(f"the player failed: {self._said.read_text()[-8000:]}")
        return json.loads(out.splitlines()[-1]), json.loads(self._noted.read_text())

    def kill(self) -> None:
        """However it stands."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def do_nothing(seconds: float, spin_s: float) -> "subprocess.Popen[str]":
    """Start the do-nothing loop; it prints its latenesses in seconds as JSON when the time is over."""
    command = [sys.executable, "-c", DO_NOTHING, str(seconds), str(spin_s)]
    return start(command, stdout=subprocess.PIPE, text=True)


def watch_cores(seconds: float) -> "list[subprocess.Popen[str]]":
    """Start a watch on each core; each prints the spans for which its core stood still as JSON in the end."""
    times = [str(time.monotonic() + seconds), str(WATCH_EVERY_S), str(LEAST_STANDSTILL_S)]
    cores = sorted(os.sched_getaffinity(0))
    return [
        start([sys.executable, "-c", WATCH, str(core), *times], stdout=subprocess.PIPE, text=True)
        for core in cores
    ]


def machine_busy_s() -> float:
    """Processor time that everything on this machine has spent, all cores together."""
    fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS_PER_S


def _end(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
