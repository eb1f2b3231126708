"""Serial ports that may have a board, and one of them opened: init plus read and write, no decisions."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path

import serial
from serial.tools import list_ports

from host.wire import BAUD


def candidates() -> list[str]:
    """Ports worth a handshake: every USB serial port, whatever it is called."""
    return sorted(port.device for port in list_ports.comports() if port.vid is not None)


class Port:
    """An open port. Raises OSError (serial's errors are such) when it is missing, in use or breaks."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._serial = serial.Serial(device, BAUD, timeout=0, write_timeout=0.25, exclusive=True)
        self.low_latency = False
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            # FTDI chips otherwise hold bytes back for 16 ms.
            self._serial.set_low_latency_mode(True)
            self.low_latency = True
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, waiting for it at most so long; wake() ends the wait."""
        ready, _, _ = select.select([self._serial.fileno(), self._wake_read], [], [], max(0.0, timeout_s))
        if self._wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
        if self._serial.fileno() not in ready:
            return b""
        data = os.read(self._serial.fileno(), 4096)
        if not data or not Path(self.device).exists():
            raise OSError(f"{self.device} was unplugged")
        return data

    def write(self, data: bytes) -> None:
        """Write all of it, or raise OSError when the line takes nothing for a quarter of a second."""
        self._serial.write(data)

    def wake(self) -> None:
        """End a read() that waits, from another thread."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"w")

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(OSError):
            self._serial.close()
        for pipe in (self._wake_read, self._wake_write):
            with contextlib.suppress(OSError):
                os.close(pipe)
