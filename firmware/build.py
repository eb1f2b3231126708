"""Compile the firmware as PlatformIO would, with the system's avr-g++ and Arduino core; check its size."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
DEBIAN_CORE = Path("/usr/share/arduino/hardware/arduino/avr")


class Target(NamedTuple):
    """One board: its chip, the core's variant folder and what Arduino defines for it."""

    mcu: str
    variant: str
    defines: tuple[str, ...]


TARGETS = {
    "nanoatmega328": Target("atmega328p", "eightanaloginputs", ("ARDUINO_AVR_NANO",)),
    "uno": Target("atmega328p", "standard", ("ARDUINO_AVR_UNO",)),
    "qcvg": Target("atmega328p", "eightanaloginputs", ("ARDUINO_AVR_NANO", "NOONSONG_QCVG")),
    "megaatmega2560": Target("atmega2560", "mega", ("ARDUINO_AVR_MEGA2560",)),
    "leonardo": Target(
        "atmega32u4",
        "leonardo",
        ("ARDUINO_AVR_LEONARDO", "USB_VID=0x2341", "USB_PID=0x8036", 'USB_PRODUCT="Arduino Leonardo"'),
    ),
    "micro": Target(
        "atmega32u4",
        "micro",
        ("ARDUINO_AVR_MICRO", "USB_VID=0x2341", "USB_PID=0x8037", 'USB_PRODUCT="Arduino Micro"'),
    ),
}

# As PlatformIO's atmelavr platform has them, with platformio.ini's -O2; -Werror for our own sources only.
COMMON = ["-g", "-O2", "-Wall", "-ffunction-sections", "-fdata-sections", "-flto"]
CXX = ["-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics", "-fpermissive"]
LINK = ["-g", "-O2", "-Wl,--gc-sections", "-flto", "-fuse-linker-plugin"]
OURS = ["-Wextra", "-Werror", "-Wno-comment"]


def run(command: list[str]) -> str:
    """Run one tool; a failure shows what it said and ends the build."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    if result.stderr.strip():
        print(result.stderr, file=sys.stderr, end="")
    return result.stdout


def build(name: str, core: Path, out: Path) -> Path:
    """Compile and link one target; returns the ELF. Raises SystemExit with the compiler's words."""
    target = TARGETS[name]
    if not (core / "cores/arduino/Arduino.h").exists():
        sys.exit(f"No Arduino core in {core}: install arduino-core-avr or give its folder with --core.")
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    libraries = [core / "libraries" / lib / "src" for lib in ("SPI", "EEPROM", "HID")]
    includes = [core / "cores/arduino", core / "variants" / target.variant, *libraries]
    flags = [
        f"-mmcu={target.mcu}",
        *COMMON,
        *[f"-D{d}" for d in ("F_CPU=16000000L", "ARDUINO=10808", "ARDUINO_ARCH_AVR", *target.defines)],
        "-DDECIMAL_DIG=__DECIMAL_DIG__",  # Debian's avr-gcc 5.4 needs it to compile the core
        *[f"-I{i}" for i in includes],
    ]

    def compile_one(source: Path) -> Path:
        ours = source.is_relative_to(ROOT)
        output = folder / f"{'own' if ours else 'core'}_{source.parent.name}_{source.name}.o"
        if source.suffix == ".S":
            run(["avr-gcc", "-x", "assembler-with-cpp", *flags, "-c", str(source), "-o", str(output)])
        elif source.suffix == ".c":
            run(["avr-gcc", "-std=gnu11", *flags, "-w", "-c", str(source), "-o", str(output)])
        else:
            warnings = OURS if ours else ["-w"]
            run(["avr-g++", *CXX, *flags, *warnings, "-c", str(source), "-o", str(output)])
        return output

    own = sorted([*ROOT.glob("*.cpp"), *ROOT.glob("drivers/*.cpp")])
    theirs = sorted(p for p in (core / "cores/arduino").iterdir() if p.suffix in {".c", ".cpp", ".S"})
    theirs.append(core / "libraries/SPI/src/SPI.cpp")
    with ThreadPoolExecutor(2) as pool:
        own_objects = list(pool.map(compile_one, own))
        their_objects = list(pool.map(compile_one, theirs))
    archive = folder / "core.a"
    archive.unlink(missing_ok=True)
    run(["avr-gcc-ar", "rcs", str(archive), *map(str, their_objects)])
    elf = folder / "firmware.elf"
    run(
        ["avr-g++", f"-mmcu={target.mcu}", *LINK, *map(str, own_objects), str(archive), "-lm", "-o", str(elf)]
    )
    run(["avr-objcopy", "-O", "ihex", "-R", ".eeprom", str(elf), str(elf.with_suffix(".hex"))])
    return elf


def sizes(elf: Path) -> tuple[int, int]:
    """Flash and static RAM of an ELF, in bytes."""
    section = {
        m[1]: int(m[2]) for m in re.finditer(r"^(\.\w+)\s+(\d+)", run(["avr-size", "-A", str(elf)]), re.M)
    }
    data = section.get(".data", 0)
    return section[".text"] + data, data + section.get(".bss", 0) + section.get(".noinit", 0)


def main() -> int:
    """Build the asked targets, print their sizes, return 1 if a 328P one is over the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="of " + ", ".join(TARGETS))
    parser.add_argument("--core", type=Path, default=DEBIAN_CORE)
    parser.add_argument("--out", type=Path, default=Path("build/firmware"))
    parser.add_argument("--flash-limit", type=int, default=24_000)
    parser.add_argument("--ram-limit", type=int, default=1_400)
    args = parser.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no target {unknown.pop()}: take one of {chr(44).join(TARGETS)}")
    failed = False
    for name in args.targets or TARGETS:
        flash, ram = sizes(build(name, args.core, args.out))
        limited = TARGETS[name].mcu == "atmega328p"
        over = limited and (flash >= args.flash_limit or ram >= args.ram_limit)
        failed |= over
        limits = f" (limits {args.flash_limit} and {args.ram_limit})" if limited else ""
        print(f"{name:15} flash {flash:6} B, static RAM {ram:5} B{limits}{'  OVER' if over else ''}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
