"""The kernel's other tests once under AddressSanitizer and UBSan, and a game under valgrind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import replay
from quantize.kernel.compile import LINK_FLAGS, compile_kernel
from tests.quantize.factory import SMALL, random_file

ROOT = Path(__file__).parents[2]
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
UNDER_TEST = ("test_engine.py", "test_weights.py", "test_sampling.py")


@pytest.mark.timeout(600)
def test_under_sanitizers(tmp_path: Path) -> None:
    library = tmp_path / "_kernel.so"
    compile_kernel(library, extra=SANITIZE, link=(*LINK_FLAGS, *SANITIZE))
    runtime = subprocess.run(
        ["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    environment = os.environ | {"LD_PRELOAD": runtime.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    tests = [str(Path(__file__).with_name(name)) for name in UNDER_TEST]
    command = [sys.executable, "-m", "tests.quantize.sanitized", str(library), "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *tests], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_sanitizers_would_notice(tmp_path: Path) -> None:
    """A kernel that reads one array too far is caught, so the test above means something."""
    source = (ROOT / "quantize/kernel/select.c").read_text()
    broken = source.replace("heads * slots * 4);", "heads * slots * 2);")
    assert broken != source
    folder = shutil.copytree(ROOT / "quantize/kernel", tmp_path / "kernel")
    (folder / "select.c").write_text(broken)
    program = tmp_path / "replay"
    compile_kernel(program, extra=SANITIZE, link=("-lm", *SANITIZE), sources=(replay.PROGRAM,), folder=folder)
    dumped = replay.dump(random_file(tmp_path / "w", **SMALL), tmp_path / "dump")
    command = [str(program), str(dumped), "scalar", "600", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "use-after-poison" in done.stderr


@pytest.mark.parametrize("kernel", ["scalar", "avx2"])
def test_under_valgrind(tmp_path: Path, kernel: str) -> None:
    program = tmp_path / "replay"
    if kernel not in compile_kernel(program, extra=("-g",), link=("-lm",), sources=(replay.PROGRAM,)):
        pytest.skip("a kernel of another machine")
    dumped = replay.dump(random_file(tmp_path / "w", **SMALL), tmp_path / "dump")
    command = ["valgrind", "-q", "--error-exitcode=9", str(program), str(dumped), kernel, "700", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 701
