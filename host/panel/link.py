"""The music's side of the panel: starts the panel's process, shows it what happens, does what it asks.

One thread, the least urgent of the music's; it never waits for the panel, and a panel that dies is started
again without anybody hearing it.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from host.board import Board
from host.config import Panel
from host.config_file import ConfigFile
from host.controls import Control
from host.inputs.inputs import Inputs
from host.instrument import PRIORITY, Instrument
from host.midi_ports import MidiPorts
from host.panel import pipe
from host.panel.code_light import CodeLight
from host.panel.desk import Desk
from host.panel.health import Health
from host.panel.replay import Replay, Sounded
from host.panel.requests import Asked, Excerpt, Up, Watchers
from host.panel.snapshots import Snapshots, described
from host.panel.weighed import Weighing
from host.presets import Presets
from host.priority import ordinary, real_time
from model.errors import NoonsongError
from model.tokens import PPQN, VOICES
from quantize.engine import Engine
from quantize.markov_engine import MarkovEngine

FRAME_S = 0.04
IDLE_S = 0.5  # between two looks at the performance while nobody watches
HEALTH_S = 0.5
RESTART_S = 2.0  # after the panel's process ended by itself


class Link:
    """A panel for a running instrument."""

    def __init__(
        self,
        instrument: Instrument,
        table: Mapping[str, Control],
        engine: Engine | MarkovEngine,
        board: Board | None,
        presets: Presets,
        inputs: Inputs,
        ports: MidiPorts | None,
        file: ConfigFile,
        settings: Panel,
        journal: Path,
        say: Callable[[str], None],
        notices: Sequence[str],
    ) -> None:
        """Nothing is started yet. `on_up` is called with the address when pages can be opened."""
        self.on_up: Callable[[str], None] = lambda url: None
        self._instrument = instrument
        self._table = table
        self._presets = presets
        self._settings = settings
        self._port = settings.port
        self._journal = journal
        self._say = say
        self._weighing = Weighing(instrument.performance.player, engine)
        self._snapshots = Snapshots(instrument.performance, table)
        self._health = Health(instrument, board, inputs, notices)
        self._replay = Replay(instrument)
        self._light = CodeLight(board, instrument.now_s)
        self._desk = Desk(instrument, table, presets, self._replay, board, inputs, ports, file)
        self._watchers = Watchers(0, False, False)
        self._told: dict[str, Any] = {}
        self._answers: deque[bytes] = deque(maxlen=pipe.MAX_WAITING)
        self._state: dict[str, Any] = {}
        self._stop = threading.Event()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)

    @property
    def restart_wanted(self) -> bool:
        """Whether a page asked to start again with the settings as they are now."""
        return self._desk.restart_wanted

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """End the panel's process."""
        self._stop.set()
        self._presets.stop()
        self._replay.end()
        self._light.close()
        self._weighing.on = False
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5.0)

    def _end_process(self) -> None:
        """It ends when its pipe does; if not, it is ended."""
        if self._process is not None:
            try:
                self._process.wait(timeout=3.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._started() as connection:
                try:
                    self._serve(connection)
                except (OSError, ValueError, EOFError, msgspec.DecodeError) as error:
                    if not self._stop.is_set():
                        self._say(f"the panel stopped ({error or 'it ended'}); it is started again")
            self._watchers = Watchers(0, False, False)
            self._weighing.on = False
            if self._stop.wait(RESTART_S if not self._stop.is_set() else 0.0):
                return

    @contextlib.contextmanager
    def _started(self):  # type: ignore[no-untyped-def]
        ours, theirs = socket.socketpair()
        facts = {
            "port": self._port,
            "network": self._settings.network,
            "spectators": self._settings.spectators,
            "names": self._settings.names,
            "journal": str(self._journal),
            "process": os.getpid(),
        }
        command = [sys.executable, "-m", "host.panel.server", str(theirs.fileno())]
        with ours, theirs:
            if self._instrument.real_time:  # not for the new process
                ordinary()
            self._process = subprocess.Popen(
                [*command, msgspec.json.encode(facts).decode()],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the music, which then ends the panel
            )
            if self._instrument.real_time:
                real_time(PRIORITY)
            theirs.close()
            self._connection = ours
            yield ours
            self._connection = None
        self._end_process()

    def _serve(self, connection: socket.socket) -> None:
        outbox = pipe.Outbox(connection)
        unpacker = pipe.Unpacker()
        self._told = {}
        next_s = next_health_s = 0.0
        while not self._stop.is_set():
            wait_s = max(0.0, next_s - self._instrument.now_s())
            writing = [] if outbox.empty else [connection]
            readable, writable, _ = select.select([connection], writing, [], wait_s)
            if writable:
                outbox.flush()
            if readable:
                data = connection.recv(65536)
                if not data:
                    raise EOFError
                for kind, body in unpacker.feed(data):
                    self._receive(kind, body, outbox)
            while self._answers:
                outbox.put(pipe.ANSWER, self._answers.popleft())
            now_s = self._instrument.now_s()
            if self._watchers.begin:
                self._watchers = Watchers(self._watchers.count, False, self._watchers.weigh)
                self._put_frame(outbox, now_s)
                outbox.put(pipe.WHOLE, msgspec.json.encode(self._whole(now_s)))
            if now_s >= next_health_s:
                next_health_s = now_s + HEALTH_S
                self._state = self._health.look(now_s)
            if now_s >= next_s:
                next_s = now_s + (FRAME_S if self._watchers.count else IDLE_S)
                if self._watchers.count:
                    self._put_frame(outbox, now_s)

    def _receive(self, kind: bytes, body: bytes, outbox: pipe.Outbox) -> None:
        if kind == pipe.ASK:
            asked = msgspec.json.decode(body, type=Asked)
            later = partial(self._say_later, asked.client)
            try:
                answer = self._desk.do(asked.request, asked.who, later)
            except NoonsongError as error:
                answer = {"kind": "refused", "says": str(error)}
            if answer is not None:
                later(answer)
        elif kind == pipe.WATCHERS:
            watchers = msgspec.json.decode(body, type=Watchers)
            begin = watchers.begin or self._watchers.begin
            self._watchers = Watchers(watchers.count, begin, watchers.weigh)
            if watchers.weigh != self._weighing.on:
                self._weighing.on = watchers.weigh
        elif kind == pipe.UP:
            up = msgspec.json.decode(body, type=Up)
            self._port = up.port  # where pages look for it, should it have to be started again
            for sentence in up.sentences:
                self._say(sentence)
            self.on_up(up.url)
        elif kind == pipe.EXCERPT:
            self._replay.begin(msgspec.json.decode(body, type=Excerpt))
        elif kind == pipe.NOTES:
            self._replay.add(*msgspec.json.decode(body, type=tuple[int, list[Sounded]]))
        elif kind == pipe.CODE:
            self._light.tell(body.decode())
        elif kind == pipe.NOTICE:
            self._say(body.decode(errors="replace"))

    def _say_later(self, client: int, answer: dict[str, Any]) -> None:
        """For one page, with the next turn of the thread; from any thread."""
        self._answers.append(client.to_bytes(4, "little") + msgspec.json.encode(answer))

    def _put_frame(self, outbox: pipe.Outbox, now_s: float) -> None:
        if not outbox.empty:  # the panel is behind: it gets the rest of what it has, then a new beginning
            outbox.left_out += 1
            return
        frame = self._snapshots.frame(now_s)
        frame |= self._news()
        if self._weighing.on:
            told = [row[0] for row in frame.get("notes", ())]
            weighed = self._weighing.of(told)
            if weighed:
                frame["weighed"] = weighed
        outbox.put(pipe.FRAME, msgspec.json.encode(frame))

    def _news(self) -> dict[str, Any]:
        """What else changed since it was told last."""
        now = {
            "state": self._state,
            "presets": self._preset_rows(),
            "past": self._replay.state(),
            "panics": self._instrument.panics,
        }
        news = {key: value for key, value in now.items() if self._told.get(key) != value}
        self._told |= news
        return news

    def _preset_rows(self) -> dict[str, Any]:
        presets = self._presets
        return {
            "slots": [[slot, preset.name] for slot, preset in sorted(presets.slots.items())],
            "recalled": presets.recalled,
            "morphing": presets.morphing,
        }

    def _whole(self, now_s: float) -> dict[str, Any]:
        whole = self._snapshots.whole(now_s)
        positions = [row[0] for row in whole["notes"]]
        return whole | {
            "piece": str(self._instrument.piece.journal.seed),
            "run": os.getpid(),
            "ppqn": PPQN,
            "table": described(self._table),
            "voices": [[v.name, v.low, v.high, v.program] for v in VOICES],
            "state": self._state,
            "presets": self._preset_rows(),
            "past": self._replay.state(),
            "panics": self._instrument.panics,
            "weighed": self._weighing.of(positions),
            "now_s": time.monotonic(),
        }
