"""One board's protocol without its port: bytes and times in, bytes and callbacks out. Reads no clock.

Handshake, heartbeat, clock offset, acknowledged sending of timed events, and what went wrong, in sentences.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from host import wire
from host.board_clock import BoardClock
from host.board_events import CV_HIGHEST_VOLTS, BoardEvent, CvLevel, GateLevel
from model.errors import NoonsongError

HELLO_EVERY_S = 0.25
PING_EVERY_S = 0.1
BURST_PINGS, BURST_EVERY_S = 20, 0.01
SILENCE_S = 0.6  # the board says something every 0.1 s
AGAIN_AFTER_S = 0.03
HORIZON_S = 0.25  # events travel this long before they are due; longer and a change of mind comes too late
UNACKNOWLEDGED = 20  # the board remembers 32 sequence numbers
QUEUE_SPARE = 2
OLDEST_STAMP_S = 0.5  # a lost edge is told again with the next report
STALE_S = 0.5  # an event later than this is not sent any more
REPORT_EVERY_S = 0.05
FULL_FOR_S = 0.005  # after the board's queue was found full


@dataclass(slots=True)
class LinkCounts:
    """What crossed the line and what did not, since the driver began."""

    frames_received: int = 0
    frames_sent: int = 0
    bad_frames: int = 0
    unknown_frames: int = 0
    lost_from_board: int = 0
    sent_again: int = 0
    refused: int = 0
    missed_edges: int = 0
    stale_events: int = 0
    sessions: int = 0
    board_restarts: int = 0
    silences: int = 0


class _Planned(NamedTuple):
    due_s: float
    order: int
    event: BoardEvent


@dataclass(slots=True)
class _Unacknowledged:
    frame: bytes
    sent_s: float
    planned: _Planned | None  # None: no timed event


def _nothing(*_: object) -> None:
    """The callback of who does not listen."""


@dataclass
class BoardSession:
    """The protocol's state. Call feed() with what arrives and poll() often; write what poll() returns."""

    on_knob: Callable[[int, float, float], None] = _nothing
    on_gate: Callable[[int, bool, float], None] = _nothing
    on_state: Callable[[str], None] = _nothing
    on_message: Callable[[wire.Message], None] = _nothing
    counts: LinkCounts = field(default_factory=LinkCounts)
    welcome: wire.Welcome | None = None
    board_status: wire.Status | None = None
    open: bool = False
    incompatible: bool = False

    def __post_init__(self) -> None:
        self.clock = BoardClock()
        self._decoder = wire.Decoder()
        self._sequence = 0
        self._expected: int | None = None
        self._heard_s = float("-inf")
        self._hello_s = float("-inf")
        self._ping_s = float("-inf")
        self._report_s = float("-inf")
        self._want_report = False
        self._burst = 0
        self._token = 0
        self._pings: dict[int, float] = {}
        self._unacknowledged: dict[int, _Unacknowledged] = {}
        self._messages: list[wire.Message] = []
        self._planned: list[_Planned] = []
        self._in_board: list[float] = []
        self._full_until_s = float("-inf")
        self._order = 0
        self._gate_counts: dict[int, int] = {}
        self._gate_levels: dict[int, bool] = {}
        self._told: Counter[str] = Counter()

    # --- what a player asks for

    def schedule(self, event: BoardEvent, due_s: float) -> None:
        """Play an event at a time of ours. Raises NoonsongError for a channel or volts the board has not."""
        channels = self.welcome.cv_channels if self.welcome else 4
        if not 0 <= event.channel < channels:
            raise NoonsongError(f"The board has channels 0 to {channels - 1}, not {event.channel}.")
        if not isinstance(event, GateLevel) and not 0 <= event.volts <= CV_HIGHEST_VOLTS + 0.0005:
            raise NoonsongError(f"The board puts out 0 to {CV_HIGHEST_VOLTS} V, not {event.volts:g} V.")
        self._order += 1
        heapq.heappush(self._planned, _Planned(due_s, self._order, event))

    def send(self, message: wire.Message) -> None:
        """Send a message that is no timed event (settings, calibration) once the session is open."""
        self._messages.append(message)

    def release_all(self) -> None:
        """Every gate low at once, nothing planned any more."""
        self._planned.clear()
        self._in_board.clear()
        for waiting in self._unacknowledged.values():
            waiting.planned = None
        self._messages.append(wire.ReleaseAll())

    # --- the line

    def connected(self, name: str, now_s: float) -> None:
        """A port was opened: begin with a handshake."""
        self.name = name
        self._heard_s = now_s
        self._start_over()

    def disconnected(self) -> None:
        """The port is gone: nothing planned can be played."""
        self._start_over()
        self.welcome = None
        self._planned.clear()

    def _start_over(self) -> None:
        self.open = False
        self.incompatible = False
        self._decoder = wire.Decoder()
        self._expected = None
        self._hello_s = float("-inf")
        self._unacknowledged.clear()
        self._in_board.clear()
        self._pings.clear()
        self._told.clear()

    def feed(self, data: bytes, now_s: float) -> None:
        """Bytes that arrived."""
        decoder = self._decoder
        before = decoder.bad_frames, decoder.unknown
        for received in decoder.feed(data):
            self.counts.frames_received += 1
            self._heard_s = now_s
            if self._expected is not None and received.sequence != self._expected:
                gap = (received.sequence - self._expected) & 0xFF
                restarted = isinstance(received.message, wire.Welcome)
                if self.open and not restarted:
                    self.counts.lost_from_board += gap
                    self._want_report = True
            self._expected = (received.sequence + 1) & 0xFF
            self._take(received.message, now_s)
        if self.open:  # before, it may be half a frame, or something that is no board of ours
            self.counts.bad_frames += decoder.bad_frames - before[0]
            self.counts.unknown_frames += decoder.unknown - before[1]

    def poll(self, now_s: float) -> bytes:
        """What to write now. Call at least every few milliseconds while connected."""
        out = bytearray()
        if self.open and now_s - self._heard_s > SILENCE_S:
            self.counts.silences += 1
            self._say("silent", f"The board on {self.name} has gone silent: is its cable still in?")
            self._planned.clear()
            self._start_over()
        if self.incompatible:
            return b""
        if not self.open:
            if now_s - self._hello_s >= HELLO_EVERY_S:
                self._hello_s = now_s
                # Zero bytes first: whatever half a frame noise has left over there ends here.
                out += b"\0" + self._frame(wire.Hello())
            return bytes(out)
        self._send_pings(out, now_s)
        if self._want_report and now_s - self._report_s >= REPORT_EVERY_S:
            self._want_report = False
            self._report_s = now_s
            out += self._frame(wire.ReportRequest())
        self._send_again(out, now_s)
        while self._messages and len(self._unacknowledged) < UNACKNOWLEDGED:
            out += self._reliable(self._messages.pop(0), now_s)
        self._send_events(out, now_s)
        return bytes(out)

    @property
    def waiting(self) -> bool:
        """Whether the board has not acknowledged all that it was sent, or something is still to be sent."""
        return bool(self._messages or self._unacknowledged)

    def overdue(self, now_s: float) -> bool:
        """Whether something whose time has come has not been sent."""
        return self.open and bool(self._planned) and self._planned[0][0] <= now_s

    def next_event_s(self) -> float | None:
        """When the next planned event wants to travel; None when nothing waits."""
        return self._planned[0][0] - HORIZON_S if self._planned else None

    def _frame(self, message: wire.Message) -> bytes:
        frame = wire.encode(message, self._sequence)
        self._sequence = (self._sequence + 1) & 0xFF
        self.counts.frames_sent += 1
        return frame

    def _reliable(self, message: wire.Message, now_s: float, planned: _Planned | None = None) -> bytes:
        sequence = self._sequence
        frame = self._frame(message)
        self._unacknowledged[sequence] = _Unacknowledged(frame, now_s, planned)
        return frame

    def _send_pings(self, out: bytearray, now_s: float) -> None:
        every = BURST_EVERY_S if self._burst > 0 else PING_EVERY_S
        if now_s - self._ping_s < every:
            return
        self._burst -= self._burst > 0
        self._ping_s = now_s
        self._token = (self._token + 1) & 0xFFFF
        self._pings[self._token] = now_s
        if len(self._pings) > 32:
            del self._pings[next(iter(self._pings))]
        out += self._frame(wire.Ping(self._token))

    def _send_again(self, out: bytearray, now_s: float) -> None:
        wait = max(AGAIN_AFTER_S, 3 * self.clock.round_trip_s)
        for waiting in self._unacknowledged.values():
            if now_s - waiting.sent_s >= wait:
                waiting.sent_s = now_s
                self.counts.sent_again += 1
                out += waiting.frame

    def _send_events(self, out: bytearray, now_s: float) -> None:
        if not self.clock.known or now_s < self._full_until_s:
            return
        while self._in_board and self._in_board[0] <= now_s:
            heapq.heappop(self._in_board)
        room = (self.welcome.queue_size if self.welcome else 32) - QUEUE_SPARE
        while self._planned and self._planned[0][0] - now_s <= HORIZON_S:
            if len(self._unacknowledged) >= UNACKNOWLEDGED or len(self._in_board) >= room:
                return
            # Unacknowledged frames may lie 31 back at most, or the board takes a repeat for an old one.
            oldest = next(iter(self._unacknowledged), None)
            if oldest is not None and (self._sequence - oldest) & 0xFF >= 30:
                return
            planned = heapq.heappop(self._planned)
            due_s, _, event = planned
            opens = not (isinstance(event, GateLevel) and not event.high)
            if opens and now_s - due_s > STALE_S:
                self.counts.stale_events += 1
                continue
            heapq.heappush(self._in_board, due_s)
            out += self._reliable(self._message_of(event, due_s), now_s, planned)

    def _message_of(self, event: BoardEvent, due_s: float) -> wire.Message:
        due_us = self.clock.board_us(due_s)
        if isinstance(event, CvLevel):
            return wire.Cv(event.channel, due_us, level_of(event.volts), min(event.slew_ms, 0xFFFF))
        length_us = wire.HOLD_GATE_US
        if event.length_s is not None:
            length_us = min(max(round(event.length_s * 1e6), 1), wire.LONGEST_GATE_US)
        period = min(round(event.period_s * 1e4), 0xFFFF)
        repeats = min(event.repeats, 255)
        if isinstance(event, GateLevel):
            return wire.Gate(event.channel, int(event.high), due_us, length_us, repeats, period)
        slew_ms = min(event.slew_ms, 0xFFFF)
        level = level_of(event.volts)
        return wire.Note(event.channel, int(event.tie), due_us, level, slew_ms, length_us, repeats, period)

    # --- what the board says

    def _take(self, message: wire.Message, now_s: float) -> None:
        match message:
            case wire.Welcome():
                self._welcome(message, now_s)
            case wire.Pong():
                sent_s = self._pings.pop(message.token, None)
                if sent_s is not None:
                    self.clock.add(sent_s, message.received_us, message.sent_us, now_s)
            case wire.Ack():
                self._acknowledge(message)
            case wire.Refused():
                self._refused(message, now_s)
            case wire.Knob():
                if self.open:
                    self.on_knob(
                        message.index, message.value / wire.KNOB_MAX, self._time(message.time_us, now_s)
                    )
            case wire.GateIn():
                self._gate(message, now_s)
            case wire.Status():
                self.board_status = message
                if self.open and not message.flags & wire.SESSION_OPEN:
                    self._say(
                        "dropped", f"The board on {self.name} had not heard from us and dropped its gates."
                    )
                    self._start_over()
            case _:
                pass
        self.on_message(message)

    def _time(self, board_us: int, now_s: float) -> float:
        """When it happened: never later than now, nor longer ago than a message may have been held up."""
        if not self.clock.known:
            return now_s
        return min(max(self.clock.host_s(board_us), now_s - OLDEST_STAMP_S), now_s)

    def _welcome(self, message: wire.Welcome, now_s: float) -> None:
        self.welcome = message
        version = f"{message.firmware_major}.{message.firmware_minor}.{message.firmware_patch}"
        if message.lowest > wire.PROTOCOL_HIGHEST or message.highest < wire.PROTOCOL_LOWEST:
            if not self.incompatible:
                newer, older = (
                    ("board", "noonsong") if message.lowest > wire.PROTOCOL_HIGHEST else ("noonsong", "board")
                )
                self._start_over()
                self.incompatible = True
                self.on_state(
                    f"The board on {self.name} (firmware {version}) speaks protocol "
                    f"{message.lowest} to {message.highest}, this noonsong {wire.PROTOCOL_LOWEST} to "
                    f"{wire.PROTOCOL_HIGHEST}: the {newer} is newer. Update the {older} "
                    "('make flash' writes the board's firmware)."
                )
            return
        if not message.session_open:
            # It has just started: either it was not connected before, or it has forgotten us.
            if self.open:
                self.counts.board_restarts += 1
                self._say(
                    "restart", f"The board on {self.name} restarted ({reset_sentence(message.reset_cause)})."
                )
                self._planned.clear()
            self._start_over()
            return
        if self.open:
            return
        self.open = True
        self.counts.sessions += 1
        self.clock = BoardClock()
        self._burst = BURST_PINGS
        self._ping_s = float("-inf")
        self._unacknowledged.clear()
        board = wire.BOARDS.get(message.board, f"board kind {message.board}")
        self.on_state(f"{board} with firmware {version} on {self.name} is ready.")
        if wire.CALIBRATION_STATES.get(message.calibration) == "broken":
            self.on_state(
                f"The calibration stored in the board on {self.name} is damaged: it plays with the "
                "default one. Run 'noonsong calibrate' again."
            )

    def _acknowledge(self, ack: wire.Ack) -> None:
        for sequence in list(self._unacknowledged):
            behind = (ack.newest - sequence) & 0xFF
            if behind < 32 and ack.received >> behind & 1:
                del self._unacknowledged[sequence]

    def _refused(self, message: wire.Refused, now_s: float) -> None:
        self.counts.refused += 1
        refused = self._unacknowledged.pop(message.refused_sequence, None)
        reason = wire.REFUSALS.get(message.reason, f"reason {message.reason}")
        if message.reason == wire.NO_SESSION and self.open:
            self._start_over()
            return
        if message.reason == wire.QUEUE_FULL and refused is not None and refused.planned is not None:
            # A board that is behind has more in its queue than we know of: later there is room, or, for what opens
            # a gate, it is too late.
            heapq.heappush(self._planned, refused.planned)
            self._full_until_s = now_s + FULL_FOR_S
        kind = wire.BY_TYPE.get(message.refused_type)
        name = kind.__name__ if kind else f"message {message.refused_type:#04x}"
        self._say(f"refused {name} {reason}", f"The board on {self.name} refused a {name}: {reason}.")

    def _gate(self, message: wire.GateIn, now_s: float) -> None:
        known = self._gate_counts.get(message.index)
        self._gate_counts[message.index] = message.count
        high = bool(message.high)
        changed = self._gate_levels.get(message.index) != high
        self._gate_levels[message.index] = high
        if known is not None:
            self.counts.missed_edges += max(0, ((message.count - known) & 0xFF) - 1)
            changed = changed or message.count != known
        if changed and self.open:
            self.on_gate(message.index, high, self._time(message.time_us, now_s))

    def _say(self, what: str, sentence: str) -> None:
        """Each thing once a connection: a flood of sentences helps nobody."""
        self._told[what] += 1
        if self._told[what] == 1:
            self.on_state(sentence)


def level_of(volts: float) -> int:
    """Volts as the wire's sixteenths of a millivolt."""
    return min(max(round(volts * wire.LEVELS_PER_VOLT), 0), wire.MAX_LEVEL)


def reset_sentence(cause: int) -> str:
    """What made a board start, in words."""
    if cause & 8:
        return "its program had stopped and the watchdog woke it"
    if cause & 4:
        return "its supply voltage dipped"
    if cause & 1:
        return "it was switched on"
    if cause & 2:
        return "its reset button or a newly opened port"
    return "for a reason that its bootloader hides"
