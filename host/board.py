"""The board's driver: a thread that finds the board, keeps the link up and plays events at their time."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from host import wire
from host.board_events import BoardEvent
from host.board_ports import Port, candidates
from host.board_session import BoardSession, LinkCounts
from model.errors import NoonsongError

WAIT_S = 0.004
HANDSHAKE_S = 3.0  # an Arduino that the opened port resets needs two for its bootloader
LOOK_EVERY_S = 0.5
CLOSE_S = 0.1


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """A moment's view of a board and its line."""

    connected: bool
    port: str
    board: str
    firmware: str
    sentence: str
    low_latency: bool
    round_trip_s: float
    offset_s: float
    drift_ppm: float
    counts: LinkCounts
    status: wire.Status | None
    welcome: wire.Welcome | None


class Board:
    """One board. Without a port it is looked for by handshake; several Board objects find several boards.

    Callbacks come on the driver's thread, which then holds no lock: `on_knob(index, value 0 to 1, t_s)`,
    `on_gate(index, high, t_s)`, `on_state(sentence)`. `now_s` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        port: str | None,
        now_s: Callable[[], float],
        on_knob: Callable[[int, float, float], None] | None = None,
        on_gate: Callable[[int, bool, float], None] | None = None,
        on_state: Callable[[str], None] | None = None,
    ) -> None:
        self._wanted = port
        self._now_s = now_s
        self._say_outside = on_state
        self._lock = threading.Lock()
        self._replies: queue.Queue[wire.Message] = queue.Queue()
        self._calls: deque[Callable[[], None]] = deque()  # callbacks that wait until the lock is free
        self._session = BoardSession(on_state=self._say, on_message=self._keep_reply)
        if on_knob:
            self._session.on_knob = lambda *knob: self._calls.append(lambda: on_knob(*knob))
        if on_gate:
            self._session.on_gate = lambda *gate: self._calls.append(lambda: on_gate(*gate))
        self._port: Port | None = None
        self._last_device = ""
        self._sentence = ""
        self._waiting_for: tuple[type[wire.Message], ...] = ()
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name="board", daemon=True)
        self._thread.start()

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        """Play an event at a monotonic time. Ignored while no board is there; raises NoonsongError for
        channels or volts that no board has.
        """
        with self._lock:
            if self._session.open:
                self._session.schedule(event, due_s)
        self._wake()

    def release_all(self) -> None:
        """Every gate low at once, nothing planned any more."""
        with self._lock:
            self._session.release_all()
        self._wake()

    def configure(self, key: str, value: int, index: int = 0) -> None:
        """Set one of wire.CONFIGURE_KEYS until the board restarts. Raises NoonsongError for another key."""
        if key not in wire.CONFIGURE_KEYS:
            raise NoonsongError(
                f"The board has no setting {key!r}: it knows {', '.join(wire.CONFIGURE_KEYS)}."
            )
        self.send(wire.Configure(wire.CONFIGURE_KEYS[key], index, value))

    def send(self, message: wire.Message) -> None:
        """Send a message that is no timed event."""
        with self._lock:
            self._session.send(message)
        self._wake()

    def request(
        self, message: wire.Message, reply: type[wire.Message], timeout_s: float = 1.0
    ) -> wire.Message:
        """Send a message and wait for an answer of a kind. Raises NoonsongError when none comes."""
        while not self._replies.empty():
            self._replies.get_nowait()
        self._waiting_for = (reply, wire.Refused)
        self.send(message)
        try:
            answer = self._replies.get(timeout=timeout_s)
        except queue.Empty:
            raise NoonsongError(
                f"The board did not answer a {type(message).__name__}: is it connected?"
            ) from None
        finally:
            self._waiting_for = ()
        if isinstance(answer, wire.Refused):
            reason = wire.REFUSALS.get(answer.reason, str(answer.reason))
            raise NoonsongError(f"The board refused a {type(message).__name__}: {reason}.")
        return answer

    def apply(self, message: wire.Message, timeout_s: float = 1.0) -> None:
        """Send a message and wait until the board has it. Raises NoonsongError when it refuses or is silent."""
        with self._lock:
            self._waiting_for = (wire.Ack, wire.Refused)
            self._session.send(message)
        self._wake()
        name = type(message).__name__
        try:
            while True:
                answer = self._replies.get(timeout=timeout_s)
                if isinstance(answer, wire.Refused) and answer.refused_type == message.TYPE:
                    raise NoonsongError(f"The board refused a {name}: {wire.REFUSALS.get(answer.reason)}.")
                with self._lock:
                    if not self._session.waiting:
                        return
        except queue.Empty:
            raise NoonsongError(f"The board did not answer a {name}: is it connected?") from None
        finally:
            self._waiting_for = ()

    @property
    def knob_count(self) -> int:
        """How many of its analogue inputs are knobs; those after them are CV inputs."""
        welcome = self._session.welcome
        return welcome.knobs if welcome else 0

    @property
    def sessions(self) -> int:
        """How often a board was connected."""
        return self._session.counts.sessions

    def wait_open(self, timeout_s: float) -> bool:
        """Wait until a session is open."""
        return self._opened.wait(timeout_s)

    def status(self) -> BoardStatus:
        """How things stand."""
        with self._lock:
            session, welcome = self._session, self._session.welcome
            firmware = board = ""
            if welcome:
                firmware = f"{welcome.firmware_major}.{welcome.firmware_minor}.{welcome.firmware_patch}"
                board = wire.BOARDS.get(welcome.board, f"board kind {welcome.board}")
            return BoardStatus(
                connected=session.open,
                port=self._port.device if self._port else "",
                board=board,
                firmware=firmware,
                sentence=self._sentence,
                low_latency=bool(self._port and self._port.low_latency),
                round_trip_s=session.clock.round_trip_s,
                offset_s=session.clock.offset_s,
                drift_ppm=session.clock.drift_ppm,
                counts=session.counts,
                status=session.board_status,
                welcome=welcome,
            )

    def close(self) -> None:
        """What is due still goes out; then release every gate and let go of the port."""
        end_s = self._now_s() + CLOSE_S
        while self._overdue() and self._now_s() < end_s:
            self._stop.wait(0.001)
        if self._session.open:
            self.release_all()
        self._stop.set()
        self._wake()
        self._thread.join(timeout=2.0)

    def _overdue(self) -> bool:
        with self._lock:
            return self._session.overdue(self._now_s())

    # --- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            for device in self._devices():
                if self._stop.is_set():
                    return
                self._serve(device)
            if not self._stop.is_set():
                self._say(self._nothing_sentence())
                self._call_back()
                self._stop.wait(LOOK_EVERY_S)

    def _devices(self) -> list[str]:
        found = candidates()
        first = [device for device in (self._wanted, self._last_device) if device]
        return list(dict.fromkeys([*first, *(d for d in found if self._wanted is None or d != self._wanted)]))

    def _nothing_sentence(self) -> str:
        where = f" on {self._wanted}" if self._wanted else ""
        return f"No board found{where}: plug it in, or write its firmware with 'make flash'."

    def _serve(self, device: str) -> None:
        try:
            port = Port(device)
        except (OSError, ValueError):
            return  # missing, in use, or not ours to open: the next one, and this one again later
        with self._lock:
            self._port = port
            self._session.connected(device, self._now_s())
        began_s = self._now_s()
        try:
            while not self._stop.is_set():
                if not self._turn(port) and self._now_s() - began_s > HANDSHAKE_S:
                    return
                if self._session.open:
                    began_s = self._now_s()
            with self._lock:
                port.write(self._session.poll(self._now_s()))
        except OSError:
            if self._last_device == device:
                self._say(f"The board on {device} is gone: plug it in again and it plays on.")
        finally:
            self._opened.clear()
            with self._lock:
                self._session.disconnected()
                self._port = None
            port.close()
            self._call_back()

    def _turn(self, port: Port) -> bool:
        """One exchange; returns whether the session is open."""
        with self._lock:
            data = self._session.poll(self._now_s())
            next_s = self._session.next_event_s()
        self._call_back()
        if data:
            port.write(data)
        wait_s = WAIT_S if next_s is None else min(WAIT_S, max(0.0, next_s - self._now_s()))
        received = port.read(max(wait_s, 0.0005))
        if received:
            with self._lock:
                self._session.feed(received, self._now_s())
            self._call_back()
        if self._session.open:
            self._last_device = port.device
            self._opened.set()
        else:
            self._opened.clear()
        return self._session.open

    def _wake(self) -> None:
        port = self._port
        if port is not None:
            port.wake()

    def _keep_reply(self, message: wire.Message) -> None:
        if isinstance(message, self._waiting_for):
            self._replies.put(message)

    def _say(self, sentence: str) -> None:
        if sentence == self._sentence:
            return
        self._sentence = sentence
        if self._say_outside:
            self._calls.append(partial(self._say_outside, sentence))

    def _call_back(self) -> None:
        """What is called may hold locks that those who schedule hold: never under ours."""
        while self._calls:
            self._calls.popleft()()
