"""Without a compiler the install goes on, numpy plays, and that is said once."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model.errors import NoonsongError
from quantize import engine, kernel_library
from quantize.engine import Engine
from quantize.kernel import SOURCES
from quantize.kernel.compile import CompileError, compile_kernel
from tests.quantize.factory import SMALL, random_file

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_file(tmp_path_factory.mktemp("weights") / "w", **SMALL)


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel_library, "LIBRARY", tmp_path / "none.so")
    monkeypatch.setattr(kernel_library, "library", kernel_library.library.__wrapped__)
    engine._numpy_instead.cache_clear()


@pytest.mark.usefixtures("no_library")
def test_numpy_plays_and_says_so_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        engines = [Engine.load(path), Engine.load(path)]
    assert [e.kernel for e in engines] == ["numpy", "numpy"]
    assert [record.message.startswith("The int8 kernel is not compiled") for record in caplog.records] == [
        True
    ]
    with pytest.raises(NoonsongError, match=r"'avx2' cannot run here.*one of: numpy"):
        Engine.load(path, kernel="avx2")


def test_a_library_of_other_sources_is_not_called(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sources = tmp_path / "kernel"
    shutil.copytree(SOURCES, sources)
    with (sources / "step.h").open("a") as header:
        header.write("/* a later one */\n")
    older = tmp_path / "older.so"
    compile_kernel(older, extra=("-O0",), folder=sources)
    monkeypatch.setattr(kernel_library, "LIBRARY", older)
    monkeypatch.setattr(kernel_library, "library", kernel_library.library.__wrapped__)
    engine._numpy_instead.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert Engine.load(path).kernel == "numpy"
    assert ["not from these sources" in record.message for record in caplog.records] == [True]


def test_the_variable_forces_a_kernel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOONSONG_KERNEL", "scalar")
    assert Engine.load(path).kernel == "scalar"
    monkeypatch.setenv("NOONSONG_KERNEL", "abacus")
    with pytest.raises(
        NoonsongError, match=r"'abacus' cannot run here. NOONSONG_KERNEL may be one of: .*numpy"
    ):
        Engine.load(path)


def build(folder: Path, compiler: str) -> str:
    command = [
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "--build-lib",
        str(folder),
        "--build-temp",
        str(folder),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"CC": compiler}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_setup_builds_one_library(tmp_path: Path) -> None:
    assert "compiled the kernels scalar" in build(tmp_path, "cc")
    assert (tmp_path / "quantize" / "_kernel.so").exists()


def test_setup_goes_on_without_a_compiler(tmp_path: Path) -> None:
    assert "no kernel was compiled" in build(tmp_path, "no-such-compiler")
    assert not (tmp_path / "quantize" / "_kernel.so").exists()


def test_kernels_that_a_compiler_does_not_know_are_left_out(tmp_path: Path) -> None:
    old = tmp_path / "old-cc"
    old.write_text('#!/bin/sh\ncase "$*" in *vnni*) echo unknown >&2; exit 1;; esac\nexec cc "$@"\n')
    old.chmod(0o755)
    assert "vnni" not in compile_kernel(tmp_path / "k.so", str(old), extra=("-O0",))
    with pytest.raises(CompileError, match="unknown"):
        compile_kernel(tmp_path / "k.so", str(old), extra=("-DX=vnni",))
