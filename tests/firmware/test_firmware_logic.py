"""The firmware's logic compiled for this machine: doctest cases, and libFuzzer under sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLAGS = ["-std=c++11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'firmware'}", f"-I{HERE}"]
FUZZ_SECONDS = int(os.environ.get("NOONSONG_FUZZ_SECONDS", "10"))


def _run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def test_logic_includes_no_hardware_header() -> None:
    for path in (ROOT / "firmware/logic").iterdir():
        assert "Arduino.h" not in path.read_text(), path


def test_doctest(tmp_path: Path) -> None:
    binary = tmp_path / "logic"
    golden = ROOT / "tests/golden/frames.txt"
    sources = [str(p) for p in sorted(HERE.glob("test_*.cpp"))]
    define = f'-DGOLDEN_FRAMES="{golden}"'
    sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    built = _run(["g++", *FLAGS, *sanitizers, define, *sources, "-o", str(binary)])
    assert built.returncode == 0, built.stderr
    ran = _run([str(binary)])
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_fuzz(tmp_path: Path) -> None:
    if shutil.which("clang++") is None:
        pytest.fail("clang++ with libFuzzer is needed: apt install clang libclang-rt-14-dev")
    binary = tmp_path / "fuzz"
    sanitizers = ["-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    built = _run(["clang++", *FLAGS, *sanitizers, str(HERE / "fuzz_wire.cpp"), "-o", str(binary)])
    assert built.returncode == 0, built.stderr
    corpus = tmp_path / "corpus"
    shutil.copytree(HERE / "corpus", corpus)
    limits = [f"-max_total_time={FUZZ_SECONDS}", "-max_len=600", "-seed=1", "-timeout=10"]
    ran = _run([str(binary), str(corpus), *limits], cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-4000:]
