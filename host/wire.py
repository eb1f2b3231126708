"""The serial protocol: typed messages to and from framed bytes, the mirror of firmware/logic. Pure.

docs/wire.md states every byte. A frame is type, sequence, payload and CRC-16/CCITT-FALSE (high byte first)
under COBS, ended by a zero byte; fields are little-endian.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field
from typing import ClassVar

from cobs import cobs

PROTOCOL_LOWEST = 1
PROTOCOL_HIGHEST = 1
BAUD = 500_000

MAX_PADDING = 24
MAX_RAW = 38
CRC_START = 0xFFFF

HOLD_GATE_US = 0xFFFFFFFF
LONGEST_GATE_US = 0x3FFFFFFF
# One volt in levels: sixteenths of a millivolt.
LEVELS_PER_VOLT = 16_000
MAX_LEVEL = 0xFFFF
CALIBRATION_POINTS = 5
KNOB_MAX = 1023


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all messages: a type byte, and the struct layout of the payload's fixed part."""

    TYPE: ClassVar[int] = 0
    LAYOUT: ClassVar[str] = "<"
    TAIL: ClassVar[bool] = False  # further bytes may follow the fixed part: the last field, as bytes


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Host: I speak these protocols; open a session, its first sequence number is this frame's."""

    TYPE: ClassVar[int] = 0x01
    LAYOUT: ClassVar[str] = "<BB"
    TAIL: ClassVar[bool] = True
    lowest: int = PROTOCOL_LOWEST
    highest: int = PROTOCOL_HIGHEST
    more: bytes = b""


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """Host: answer with your clock; at most MAX_PADDING further bytes come back as they are."""

    TYPE: ClassVar[int] = 0x02
    LAYOUT: ClassVar[str] = "<H"
    TAIL: ClassVar[bool] = True
    token: int = 0
    padding: bytes = b""


@dataclass(frozen=True, slots=True)
class ReportRequest(Message):
    """Host: tell every knob, gate input and counter again."""

    TYPE: ClassVar[int] = 0x03


@dataclass(frozen=True, slots=True)
class Cv(Message):
    """Host: at `due_us` (board's clock) bring a channel to `level`, gliding for `slew_ms`."""

    TYPE: ClassVar[int] = 0x10
    LAYOUT: ClassVar[str] = "<BIHH"
    channel: int
    due_us: int
    level: int
    slew_ms: int = 0


@dataclass(frozen=True, slots=True)
class Gate(Message):
    """Host: at `due_us` a gate goes high for `length_us` (and `repeats` times more), or low."""

    TYPE: ClassVar[int] = 0x11
    LAYOUT: ClassVar[str] = "<BBIIBH"
    channel: int
    high: int
    due_us: int
    length_us: int = HOLD_GATE_US
    repeats: int = 0
    period_100us: int = 0


@dataclass(frozen=True, slots=True)
class Note(Message):
    """Host: level first, then, settled, the gate at `due_us`; `tie` leaves an open gate open."""

    TYPE: ClassVar[int] = 0x12
    LAYOUT: ClassVar[str] = "<BBIHHIBH"
    channel: int
    tie: int
    due_us: int
    level: int
    slew_ms: int = 0
    length_us: int = HOLD_GATE_US
    repeats: int = 0
    period_100us: int = 0


@dataclass(frozen=True, slots=True)
class ReleaseAll(Message):
    """Host: every gate low now, everything planned forgotten."""

    TYPE: ClassVar[int] = 0x13


@dataclass(frozen=True, slots=True)
class Configure(Message):
    """Host: one setting (see CONFIGURE_KEYS) until the board restarts."""

    TYPE: ClassVar[int] = 0x14
    LAYOUT: ClassVar[str] = "<BBI"
    key: int
    index: int
    value: int


@dataclass(frozen=True, slots=True)
class DacCode(Message):
    """Host: write a raw converter code now, uncalibrated."""

    TYPE: ClassVar[int] = 0x15
    LAYOUT: ClassVar[str] = "<BH"
    channel: int
    dac_code: int


@dataclass(frozen=True, slots=True)
class ReadCalibration(Message):
    """Host: tell the calibration of a channel."""

    TYPE: ClassVar[int] = 0x16
    LAYOUT: ClassVar[str] = "<B"
    channel: int


@dataclass(frozen=True, slots=True)
class WriteCalibration(Message):
    """Host: use these corrections (levels to add at 0, 1, 2, 3, 4 V) from now on; not yet stored."""

    TYPE: ClassVar[int] = 0x17
    LAYOUT: ClassVar[str] = "<B5h"
    channel: int
    at_0v: int = 0
    at_1v: int = 0
    at_2v: int = 0
    at_3v: int = 0
    at_4v: int = 0


@dataclass(frozen=True, slots=True)
class SaveCalibration(Message):
    """Host: store the calibration in EEPROM; with `erase` 1, the default one."""

    TYPE: ClassVar[int] = 0x18
    LAYOUT: ClassVar[str] = "<B"
    erase: int = 0


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    """Board: who I am. Sent at start and in answer to every Hello; may grow at its end."""

    TYPE: ClassVar[int] = 0x81
    LAYOUT: ClassVar[str] = "<12BH3B"
    TAIL: ClassVar[bool] = True
    lowest: int
    highest: int
    firmware_major: int
    firmware_minor: int
    firmware_patch: int
    board: int
    cv_channels: int
    gate_outputs: int
    knobs: int
    cv_inputs: int
    gate_inputs: int
    queue_size: int
    capabilities: int
    reset_cause: int
    calibration: int
    session_open: int
    more: bytes = b""


@dataclass(frozen=True, slots=True)
class Pong(Message):
    """Board: the ping's token and padding, when it was read and when the answer left."""

    TYPE: ClassVar[int] = 0x82
    LAYOUT: ClassVar[str] = "<HII"
    TAIL: ClassVar[bool] = True
    token: int
    received_us: int
    sent_us: int
    padding: bytes = b""


@dataclass(frozen=True, slots=True)
class Ack(Message):
    """Board: the newest sequence number seen, and which of the 31 before it (bit n: n before)."""

    TYPE: ClassVar[int] = 0x83
    LAYOUT: ClassVar[str] = "<BIB"
    newest: int
    received: int
    queue_free: int


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """Board: the frame of that sequence number did nothing, and why (REFUSALS)."""

    TYPE: ClassVar[int] = 0x84
    LAYOUT: ClassVar[str] = "<BBB"
    refused_sequence: int
    reason: int
    refused_type: int


@dataclass(frozen=True, slots=True)
class Knob(Message):
    """Board: an analogue input moved, 0 to KNOB_MAX; knobs first, CV inputs after them."""

    TYPE: ClassVar[int] = 0x85
    LAYOUT: ClassVar[str] = "<BHI"
    index: int
    value: int
    time_us: int


@dataclass(frozen=True, slots=True)
class GateIn(Message):
    """Board: a gate input's level since `time_us`; `count` counts its edges."""

    TYPE: ClassVar[int] = 0x86
    LAYOUT: ClassVar[str] = "<BBBI"
    index: int
    high: int
    count: int
    time_us: int


@dataclass(frozen=True, slots=True)
class Status(Message):
    """Board, ten times a second: heartbeat, levels and counters (16 bits, wrapping)."""

    TYPE: ClassVar[int] = 0x87
    LAYOUT: ClassVar[str] = "<IBBBB8HBB"
    time_us: int
    flags: int
    gates_out: int
    gates_in: int
    queue_used: int
    fired: int
    late: int
    queue_full: int
    bad_frames: int
    overruns: int
    lost: int
    dropped_edges: int
    turn_max_us: int
    first_gate_count: int
    last_gate_count: int


@dataclass(frozen=True, slots=True)
class Calibration(Message):
    """Board: a channel's corrections (levels to add at 0, 1, 2, 3, 4 V) and CALIBRATION_STATES."""

    TYPE: ClassVar[int] = 0x88
    LAYOUT: ClassVar[str] = "<BB5h"
    channel: int
    state: int
    at_0v: int
    at_1v: int
    at_2v: int
    at_3v: int
    at_4v: int


@dataclass(frozen=True, slots=True)
class Saved(Message):
    """Board: the calibration was written and read back; its state now."""

    TYPE: ClassVar[int] = 0x89
    LAYOUT: ClassVar[str] = "<B"
    state: int


FROM_HOST: tuple[type[Message], ...] = (
    Hello, Ping, ReportRequest, Cv, Gate, Note, ReleaseAll, Configure, DacCode,
    ReadCalibration, WriteCalibration, SaveCalibration,
)  # fmt: skip
FROM_BOARD: tuple[type[Message], ...] = (
    Welcome, Pong, Ack, Refused, Knob, GateIn, Status, Calibration, Saved,
)  # fmt: skip
BY_TYPE: dict[int, type[Message]] = {m.TYPE: m for m in (*FROM_HOST, *FROM_BOARD)}
_STRUCTS = {m: struct.Struct(m.LAYOUT) for m in BY_TYPE.values()}
_GROWING = frozenset({Hello, Welcome})

BOARDS = {1: "Nano", 2: "Uno", 3: "Mega 2560", 4: "Leonardo", 5: "Micro", 6: "Teensy 4.0"}
QUEUE_FULL, NO_SESSION = 4, 5
REFUSALS = {
    1: "it does not know this message",
    2: "the message has a wrong length",
    3: "a value is out of range",
    QUEUE_FULL: "its event queue is full",
    NO_SESSION: "no session is open",
    6: "it speaks another protocol",
    7: "events are planned whose timing hangs on this setting",
}
CONFIGURE_KEYS = {"settle_us": 1, "min_gate_off_us": 2, "gate_lockout_us": 3, "knob_hysteresis": 4, "led": 5}
LED_OWN, LED_DARK, LED_LIT = 0, 1, 2  # the values of "led"
CALIBRATION_STATES = {0: "default", 1: "stored", 2: "broken", 3: "unsaved"}
CAPABILITIES = {"slew": 1, "ratchets": 2, "ties": 4, "stored_calibration": 8, "led": 16}
SESSION_OPEN, FAILSAFE, RAMPING = 1, 2, 4


def is_reliable(message_type: int) -> bool:
    """Whether the board acknowledges messages of this type, so that the host may send them again."""
    return message_type & 0xF0 == 0x10


def payload_of(message: Message) -> bytes:
    """The payload's bytes. Raises ValueError when a field does not fit its place."""
    fields = astuple(message)
    tail = b""
    if message.TAIL:
        *fields_list, tail = fields
        fields = tuple(fields_list)
    try:
        payload = _STRUCTS[type(message)].pack(*fields) + tail
    except struct.error as error:
        raise ValueError(f"{message} cannot be sent: {error}") from None
    if len(payload) + 4 > MAX_RAW:
        raise ValueError(f"{message} cannot be sent: {len(payload)} bytes are more than {MAX_RAW - 4}")
    return payload


def encode(message: Message, sequence: int) -> bytes:
    """One whole frame, delimiter included. Raises ValueError when a field does not fit its place."""
    raw = bytes((message.TYPE, sequence & 0xFF)) + payload_of(message)
    raw += binascii.crc_hqx(raw, CRC_START).to_bytes(2, "big")
    return bytes(cobs.encode(raw)) + b"\0"


@dataclass(frozen=True, slots=True)
class Received:
    """A message with the sequence number it came under."""

    sequence: int
    message: Message


@dataclass(slots=True)
class Decoder:
    """Bytes in any portions to messages; what is not a frame is counted and skipped.

    After any damage the next delimiter starts afresh. Frames of types or lengths not known here are
    counted as `unknown`: a newer board may send them.
    """

    frames: int = 0
    bad_frames: int = 0
    unknown: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _too_long: bool = False

    def feed(self, data: bytes) -> Iterator[Received]:
        """The messages that these bytes complete."""
        parts = data.split(b"\0")
        for part in parts[:-1]:
            self._append(part)
            chunk, too_long = bytes(self._buffer), self._too_long
            self._buffer.clear()
            self._too_long = False
            if too_long:
                self.bad_frames += 1
            elif chunk and (received := self._frame(chunk)) is not None:
                yield received
        self._append(parts[-1])

    def _append(self, part: bytes) -> None:
        # A longer run without a delimiter is no frame: its bytes need not be kept.
        if self._too_long or len(self._buffer) + len(part) > MAX_LONGEST_FRAME:
            self._too_long = True
            self._buffer.clear()
        else:
            self._buffer += part

    def _frame(self, chunk: bytes) -> Received | None:
        try:
            raw = bytes(cobs.decode(chunk))
        except cobs.DecodeError:
            self.bad_frames += 1
            return None
        if len(raw) < 4 or binascii.crc_hqx(raw, CRC_START) != 0:
            self.bad_frames += 1
            return None
        self.frames += 1
        message = parse(raw[0], raw[2:-2])
        if message is None:
            self.unknown += 1
            return None
        return Received(raw[1], message)


# A later protocol's longer frames are whole frames still, only unknown ones.
MAX_LONGEST_FRAME = 255


def parse(message_type: int, payload: bytes) -> Message | None:
    """The message of a payload, or None for a type or a length that this protocol does not know."""
    kind = BY_TYPE.get(message_type)
    if kind is None:
        return None
    layout = _STRUCTS[kind]
    if len(payload) < layout.size or (len(payload) > layout.size and not kind.TAIL):
        return None
    if kind.TAIL and kind not in _GROWING and len(payload) > layout.size + MAX_PADDING:
        return None
    fields: tuple[int | bytes, ...] = layout.unpack_from(payload)
    if kind.TAIL:
        fields += (payload[layout.size :],)
    make: Callable[..., Message] = kind
    return make(*fields)
