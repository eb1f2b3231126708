"""The compiled firmware in a simulated ATmega328P (or 2560), driven in lock step, without a wall clock."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware.build import TARGETS, build
from host.wire import Decoder, Message, Received, encode
from model.errors import NoonsongError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "sim"
CYCLES_PER_US = 16
CYCLES_PER_BYTE = 320  # ten bits at 500000 baud
TIMER_PERIOD_CYCLES = 65536 * 8

TX, SPI, PIN, OVERRUN, RESET = 1, 2, 3, 4, 5
RECORD = np.dtype([("cycle", "<u8"), ("value", "<u4"), ("kind", "u1"), ("index", "u1"), ("pad", "<u2")])
Records = npt.NDArray[np.void]

GATE_PINS = (4, 5, 6, 7)
SELECT_PINS = (8, 9)
LED_PIN = 10
GATE_IN_PINS = (2, 3)


def build_shim() -> Path:
    """The C shim as a shared library, compiled once per version of its source."""
    source = Path(__file__).with_name("avr_shim.c")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    library = CACHE / f"avr_shim-{digest}.so"
    if library.exists():
        return library
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = library.with_suffix(f".{os.getpid()}")
    command = ["cc", "-O2", "-shared", "-fPIC", str(source), "-o", str(partial), "-lsimavr", "-lelf"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise NoonsongError(
            "The simulated board needs libsimavr: apt install libsimavr-dev libelf-dev gcc.\n" + result.stderr
        )
    partial.rename(library)
    return library


def build_firmware(target: str = "nanoatmega328") -> Path:
    """The firmware's ELF for a target of firmware.build, compiled once per version of its sources."""
    sources = sorted((ROOT / "firmware").rglob("*"))
    digest = hashlib.sha256(target.encode())
    for path in sources:
        if path.suffix in {".h", ".cpp", ".py"}:
            digest.update(path.read_bytes())
    folder = CACHE / f"firmware-{digest.hexdigest()[:16]}"
    elf = folder / f"{target}.elf"
    if elf.exists():
        return elf
    folder.mkdir(parents=True, exist_ok=True)
    core = Path(os.environ.get("ARDUINO_AVR", "/usr/share/arduino/hardware/arduino/avr"))
    try:
        built = build(target, core, folder / f"work-{os.getpid()}")
    except (SystemExit, FileNotFoundError) as error:
        raise NoonsongError(
            f"The firmware could not be compiled (gcc-avr, arduino-core-avr?): {error}"
        ) from None
    built.rename(elf)
    return elf


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(str(build_shim()))
    pointer, u32, u64, i32 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int
    signatures: dict[str, tuple[object, list[object]]] = {
        "sim_new": (pointer, [ctypes.c_char_p, ctypes.c_char_p, u32]),
        "sim_free": (None, [pointer]),
        "sim_run": (u64, [pointer, u64]),
        "sim_cycle": (u64, [pointer]),
        "sim_feed": (u32, [pointer, ctypes.c_char_p, u32, u64]),
        "sim_line_waiting": (u32, [pointer]),
        "sim_line_clear": (None, [pointer]),
        "sim_take": (u32, [pointer, pointer, u32]),
        "sim_adc": (None, [pointer, i32, u32]),
        "sim_pin": (None, [pointer, i32, i32]),
        "sim_reset": (None, [pointer]),
        "sim_eeprom": (None, [pointer, i32, u32, pointer, u32]),
        "sim_flash": (None, [pointer, u32, ctypes.c_char_p, u32]),
        "sim_flash_read": (None, [pointer, u32, ctypes.c_char_p, u32]),
        "sim_timer_base": (u64, [pointer]),
        "sim_profile": (u32, [pointer, u64, pointer]),
        "sim_data": (ctypes.c_uint8, [pointer, u32]),
        "sim_pc": (u32, [pointer]),
        "sim_counter": (u64, [pointer, i32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@dataclass(frozen=True, slots=True)
class DacWrite:
    """A word that reached a DAC: the cycle its chip select rose, the channel and the code."""

    cycle: int
    channel: int
    dac_code: int


@dataclass(frozen=True, slots=True)
class PinChange:
    """An output pin's new level."""

    cycle: int
    pin: int
    high: bool


class Simulator:
    """One simulated board. Time passes in run_us() and run_to() only."""

    def __init__(
        self, elf: Path | None = None, capacity: int = 1 << 20, target: str = "nanoatmega328"
    ) -> None:
        self._lib = _load()
        self._capacity = capacity
        self._take = np.zeros(65536, RECORD)
        elf = elf or build_firmware(target)
        self._sim = self._lib.sim_new(str(elf).encode(), TARGETS[target].mcu.encode(), capacity)
        if not self._sim:
            raise NoonsongError(f"{elf} is no firmware that the simulator can load")
        self.dac_writes: list[DacWrite] = []
        self.pins: list[PinChange] = []
        self.levels: dict[int, bool] = {}
        self.transmitted = bytearray()
        self.transmit_cycles: list[int] = []
        self._selected: int | None = None
        self._word: list[int] = []
        self.resets = 0

    def close(self) -> None:
        """Free the simulated chip."""
        if self._sim:
            self._lib.sim_free(self._sim)
            self._sim = None

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cycle(self) -> int:
        """The cycle now."""
        return int(self._lib.sim_cycle(self._sim))

    def run_to(self, cycle: int) -> None:
        """Run until `cycle`, then sort what came out. Raises RuntimeError when the chip crashed."""
        # In portions, so that the record buffer never fills.
        while self.cycle < cycle:
            step = min(cycle, self.cycle + 16_000_000)
            if not self._lib.sim_run(self._sim, step):
                raise RuntimeError(f"the simulated chip stopped at cycle {self.cycle}, pc {self.pc:#x}")
            self._collect()

    def run_us(self, us: float) -> None:
        """Run for `us` microseconds of the board's time."""
        self.run_to(self.cycle + round(us * CYCLES_PER_US))

    def feed(self, data: bytes, from_cycle: int = 0) -> None:
        """Put bytes on the line to the board, back to back, the first not before `from_cycle`."""
        if self._lib.sim_feed(self._sim, data, len(data), from_cycle) != len(data):
            raise RuntimeError("more than a mebibyte waits on the simulated line")

    @property
    def line_waiting(self) -> int:
        """Bytes given to feed() that have not arrived yet."""
        return int(self._lib.sim_line_waiting(self._sim))

    def set_adc(self, channel: int, adc_code: int) -> None:
        """Turn a knob: the code (0 to 1023) that conversions of an input give from now on."""
        self._lib.sim_adc(self._sim, channel, adc_code)

    def set_gate_in(self, index: int, high: bool) -> None:
        """Set a gate input; the pin is active low."""
        self.set_pin(GATE_IN_PINS[index], not high)

    def set_pin(self, pin: int, high: bool) -> None:
        """Drive an input pin."""
        self._lib.sim_pin(self._sim, pin, int(high))

    def reset(self) -> None:
        """Press the reset button."""
        self._lib.sim_line_clear(self._sim)
        self._lib.sim_reset(self._sim)

    def read_eeprom(self, size: int = 1024) -> bytes:
        """The first bytes of the EEPROM."""
        buffer = ctypes.create_string_buffer(size)
        self._lib.sim_eeprom(self._sim, 0, 0, buffer, size)
        return buffer.raw

    def write_eeprom(self, data: bytes, offset: int = 0) -> None:
        """Change EEPROM bytes behind the firmware's back."""
        self._lib.sim_eeprom(self._sim, 1, offset, ctypes.create_string_buffer(data, len(data)), len(data))

    def read_flash(self, address: int, size: int) -> bytes:
        """Program memory."""
        buffer = ctypes.create_string_buffer(size)
        self._lib.sim_flash_read(self._sim, address, buffer, size)
        return buffer.raw

    def write_flash(self, address: int, data: bytes) -> None:
        """Change program memory while it runs."""
        self._lib.sim_flash(self._sim, address, data, len(data))

    def profile(self, us: float) -> tuple[npt.NDArray[np.uint32], int]:
        """Run on, slowly; returns instructions run per program word, and the lowest stack pointer seen."""
        words = np.zeros(16384, np.uint32)
        lowest = int(self._lib.sim_profile(self._sim, round(us * CYCLES_PER_US), words.ctypes.data))
        self._collect()
        return words, lowest

    @property
    def clock_zero_cycle(self) -> int:
        """The cycle at which the board's microseconds were zero; valid once it has booted."""
        return int(self._lib.sim_timer_base(self._sim)) % TIMER_PERIOD_CYCLES

    def board_us(self, cycle: int) -> float:
        """A cycle as the board's own clock would tell it."""
        return (cycle - self.clock_zero_cycle) / CYCLES_PER_US

    @property
    def pc(self) -> int:
        """The program counter, as a byte address."""
        return int(self._lib.sim_pc(self._sim))

    def data(self, address: int) -> int:
        """A byte of data memory or of an I/O register, as it was last written."""
        return int(self._lib.sim_data(self._sim, address))

    @property
    def received_bytes(self) -> int:
        """Bytes that reached the board's receiver."""
        return int(self._lib.sim_counter(self._sim, 0))

    @property
    def sent_bytes(self) -> int:
        """Bytes that left the board's transmitter."""
        return int(self._lib.sim_counter(self._sim, 1))

    @property
    def overruns(self) -> int:
        """Bytes the receiver lost because two others still waited in it."""
        return int(self._lib.sim_counter(self._sim, 2))

    def take_transmitted(self) -> bytes:
        """The bytes the board has sent since the last call."""
        data = bytes(self.transmitted)
        self.transmitted.clear()
        self.transmit_cycles.clear()
        return data

    def gates(self) -> tuple[bool, ...]:
        """The gate outputs' levels."""
        return tuple(self.levels.get(pin, False) for pin in GATE_PINS)

    def _collect(self) -> None:
        while count := int(self._lib.sim_take(self._sim, self._take.ctypes.data, len(self._take))):
            for cycle, value, kind, index, _ in self._take[:count].tolist():
                if kind == TX:
                    self.transmitted.append(value)
                    self.transmit_cycles.append(cycle)
                elif kind == SPI:
                    self._word.append(value)
                elif kind == PIN:
                    self._pin(cycle, index, bool(value))
                elif kind == RESET:
                    self.resets += 1

    def _pin(self, cycle: int, pin: int, high: bool) -> None:
        self.levels[pin] = high
        if pin in SELECT_PINS:
            if high and self._selected == pin and len(self._word) == 2:
                word = self._word[0] << 8 | self._word[1]
                channel = SELECT_PINS.index(pin) * 2 + (word >> 15)
                if word & 0x3000 != 0x1000:
                    raise RuntimeError(f"DAC word {word:#06x} does not ask for gain 2 and output on")
                self.dac_writes.append(DacWrite(cycle, channel, word & 0xFFF))
            self._selected = None if high else pin
            self._word = []
        elif pin in GATE_PINS or pin == LED_PIN:
            self.pins.append(PinChange(cycle, pin, high))


class LockStepHost:
    """A host for lock-step tests: sends messages under sequence numbers, keeps what came back."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.decoder = Decoder()
        self.received: list[Received] = []
        self.sequence = 0

    def send(self, message: Message, from_cycle: int = 0) -> int:
        """Put a message on the line; returns its sequence number."""
        sequence = self.sequence
        self.sequence = (sequence + 1) & 0xFF
        self.sim.feed(encode(message, sequence), from_cycle)
        return sequence

    def run_us(self, us: float) -> list[Received]:
        """Let time pass; returns what the board said in it."""
        self.sim.run_us(us)
        new = list(self.decoder.feed(self.sim.take_transmitted()))
        self.received += new
        return new
