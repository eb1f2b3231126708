"""What a player flashes: PlatformIO's description of it, and its size."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

from firmware.build import COMMON, DEBIAN_CORE, TARGETS, build, sizes

ROOT = Path(__file__).parents[2]


def test_platformio_finds_nothing_to_warn_of() -> None:
    pio = Path(sys.executable).with_name("pio")
    assert pio.exists(), "platformio belongs to the dev extra: make dev"
    result = subprocess.run(
        [str(pio), "project", "config", "--lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # It returns 0 even for an option that it does not know.
    assert result.returncode == 0 and "Warning" not in result.stdout + result.stderr, result.stdout


def test_platformio_and_our_build_agree() -> None:
    project = configparser.ConfigParser(interpolation=None)
    project.read(ROOT / "platformio.ini")
    assert project["platformio"]["default_envs"] == "nanoatmega328"
    assert project["env"]["build_unflags"] == "-Os" and project["env"]["build_flags"] == "-O2"
    assert "-O2" in COMMON and "-Os" not in COMMON
    for target in TARGETS:
        assert project.has_section(f"env:{target}"), target


def test_the_nano_has_room(tmp_path: Path) -> None:
    flash, ram = sizes(build("nanoatmega328", DEBIAN_CORE, tmp_path))
    print(f"\n{flash} B flash, {ram} B static RAM")
    assert flash < 24_000 and ram < 1_400
