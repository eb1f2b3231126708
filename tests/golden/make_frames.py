"""Write frames.txt: what both ends of the wire must encode and decode alike.

The bytes are computed here from docs/wire.md's words alone, by other means than host/wire.py and firmware/.
"""

from __future__ import annotations

from pathlib import Path


def crc(data: bytes) -> int:
    """CRC-16/CCITT-FALSE, bit by bit."""
    value = 0xFFFF
    for byte in data:
        for bit in range(7, -1, -1):
            top = (value >> 15) ^ (byte >> bit & 1)
            value = (value << 1 & 0xFFFF) ^ (0x1021 if top else 0)
    return value


def stuff(data: bytes) -> bytes:
    """COBS for less than 254 bytes: each run up to a zero is preceded by its length plus one."""
    return b"".join(bytes([len(run) + 1]) + run for run in data.split(b"\0"))


def frame(kind: int, sequence: int, payload: bytes) -> bytes:
    raw = bytes([kind, sequence]) + payload
    return stuff(raw + crc(raw).to_bytes(2, "big")) + b"\0"


PAYLOADS: dict[str, tuple[int, int, str]] = {
    # name: type, sequence, payload
    "Hello": (0x01, 0, "01 01"),
    "Ping": (0x02, 1, "34 12"),
    "Ping_padded": (0x02, 2, "00 00" + " 00 ff 00 01" * 6),
    "ReportRequest": (0x03, 255, ""),
    "Cv": (0x10, 7, "02 40 42 0f 00 80 3e fa 00"),
    "Gate": (0x11, 8, "03 01 40 42 0f 00 10 27 00 00 03 e8 03"),
    "Note": (0x12, 9, "01 00 40 42 0f 00 80 3e 00 00 20 a1 07 00 00 00 00"),
    "Note_hold": (0x12, 10, "00 01 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff"),
    "ReleaseAll": (0x13, 11, ""),
    "Configure": (0x14, 12, "03 01 20 4e 00 00"),
    "Configure_led": (0x14, 22, "05 00 02 00 00 00"),
    "DacCode": (0x15, 13, "03 ff 0f"),
    "ReadCalibration": (0x16, 14, "02"),
    "WriteCalibration": (0x17, 15, "01 f0 ff 00 00 10 00 20 00 30 00"),
    "SaveCalibration": (0x18, 16, "00"),
    "Welcome": (0x81, 0, "01 01 00 01 00 01 04 04 06 02 02 20 0f 00 01 00 01"),
    "Pong": (0x82, 1, "34 12 00 00 01 00 10 00 01 00"),
    "Ack": (0x83, 2, "20 ff 00 00 80 1f"),
    "Refused": (0x84, 3, "07 04 12"),
    "Knob": (0x85, 4, "05 ff 03 78 56 34 12"),
    "GateIn": (0x86, 5, "01 01 2a 78 56 34 12"),
    "Status": (0x87, 6, "78 56 34 12 01 0f 03 20" + " 01 00" * 8 + " 05 06"),
    "Calibration": (0x88, 7, "01 02 f0 ff 00 00 10 00 20 00 30 00"),
    "Saved": (0x89, 8, "01"),
}


def text() -> str:
    lines = ["# name type sequence payload frame, in hexadecimal; written by make_frames.py"]
    for name, (kind, sequence, payload_text) in PAYLOADS.items():
        payload = bytes.fromhex(payload_text)
        encoded = frame(kind, sequence, payload).hex()
        lines.append(f"{name} {kind:02x} {sequence:02x} {payload.hex() or '-'} {encoded}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("frames.txt").write_text(text())
