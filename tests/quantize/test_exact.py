"""Every kernel gives the same bits: here all of this machine's, and arm64's under an emulator."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench import replay
from model.tokens import VOCABULARY_SIZE
from quantize.engine import Engine
from quantize.kernel.compile import compile_kernel
from quantize.kernel_library import kernels
from tests.quantize.factory import SMALL, random_file

TOKENS = 20_000
ARM_COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
PROCESSORS = ["cortex-a53", "cortex-a72", "cortex-a76"]  # Pi 3 and Zero 2, Pi 4, Pi 5
HAVE_DOTPROD = {"cortex-a76"}
ALL = ((0, VOCABULARY_SIZE),)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_file(tmp_path_factory.mktemp("exact") / "small.safetensors", **SMALL)


@pytest.fixture(scope="module")
def drawn(small: Path) -> list[int]:
    return replay.play(Engine.load(small), TOKENS)


def test_the_game_is_no_dull_one(drawn: list[int]) -> None:
    assert len(drawn) == TOKENS
    assert len(set(drawn)) > VOCABULARY_SIZE // 2


@pytest.mark.parametrize("kernel", list(kernels())[1:])
def test_kernels_draw_the_same_20_000_tokens(small: Path, drawn: list[int], kernel: str) -> None:
    assert replay.play(Engine.load(small, kernel=kernel), TOKENS) == drawn


def test_numpy_draws_the_same_tokens(small: Path, drawn: list[int]) -> None:
    assert replay.play(Engine.load(small, kernel="numpy"), 1500) == drawn[:1500]


@pytest.mark.parametrize("sizes", [{}, {"width": 48, "layers": 1, "heads": 1, "window": 48, "period": 128}])
def test_logits_are_the_same_to_the_last_bit(tmp_path: Path, sizes: dict[str, int]) -> None:
    path = random_file(tmp_path / "random.safetensors", seed=3, **sizes)
    heard = {}
    for kernel in [*kernels(), "numpy"]:
        engine = Engine.load(path, kernel=kernel)
        replay.play(engine, 150)
        heard[kernel] = engine.logits(ALL)
    for kernel, logits in heard.items():
        np.testing.assert_array_equal(logits.view(np.int32), heard["numpy"].view(np.int32), err_msg=kernel)


def test_a_full_window_of_the_default_shape(tmp_path: Path) -> None:
    path = random_file(tmp_path / "random.safetensors", seed=4)
    played = [replay.play(Engine.load(path, kernel=kernel), 1200) for kernel in kernels()]
    assert all(tokens == played[0] for tokens in played)


@pytest.fixture(scope="module")
def arm_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in (ARM_COMPILER, EMULATOR):
        assert shutil.which(tool), f"{tool} is missing: make packages installs it"
    program = tmp_path_factory.mktemp("arm") / "replay"
    names = compile_kernel(program, ARM_COMPILER, link=("-static", "-lm"), sources=(replay.PROGRAM,))
    assert names == ["scalar", "neon", "dotprod"]
    return program


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("kernel", ["neon", "dotprod"])
def test_arm64_draws_the_same_tokens(
    small: Path, tmp_path: Path, drawn: list[int], arm_program: Path, processor: str, kernel: str
) -> None:
    dumped = replay.dump(small, tmp_path / "dump")
    runs = [EMULATOR, "-cpu", processor, str(arm_program), str(dumped), kernel, str(TOKENS), "0"]
    answer = subprocess.run(runs, check=True, capture_output=True, text=True).stdout.split()
    if kernel == "dotprod" and processor not in HAVE_DOTPROD:
        assert answer == ["0"]  # it says that it cannot run here, and would not be chosen
    else:
        assert answer[0] == "1"
        assert [int(token) for token in answer[1:]] == drawn
