"""The two lines of data go one way: no import points against them, and the box never needs torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = {"model.tokens", "model.conditioning", "model.errors"}  # the part of model/ that is on the box
TRAINING = ("torch", "symusic", "verovio", "music21", "matplotlib")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", sources("host"), ids=str)
def test_host_needs_nothing_of_training(path: Path) -> None:
    for name in imports(path):
        assert name.split(".")[0] not in TRAINING
        if name.startswith("model."):
            assert ".".join(name.split(".")[:2]) in SHARED, name


@pytest.mark.parametrize("name", sorted(SHARED))
def test_shared_modules_are_light(name: str) -> None:
    path = ROOT / (name.replace(".", "/") + ".py")
    for imported in imports(path):
        assert imported.split(".")[0] not in (*TRAINING, "host", "quantize")


DOOR = ROOT / "model" / "playing" / "renders.py"  # measures what the box makes of the weights


@pytest.mark.parametrize("package", ["model", "quantize"])
def test_learning_does_not_know_the_box(package: str) -> None:
    for path in sources(package):
        assert path == DOOR or not [name for name in imports(path) if name.split(".")[0] == "host"], path


ORDER = ["events", "settings", "player", "clock", "scheduler", "outputs", "performance", "instrument"]


def test_stages_do_not_import_later_ones() -> None:
    for at, stage in enumerate(ORDER):
        path = ROOT / "host" / f"{stage}.py"
        files = [path] if path.exists() else sorted((ROOT / "host" / stage).rglob("*.py"))
        for file in files:
            for name in imports(file):
                if name.startswith("host."):
                    later = [s for s in ORDER[at + 1 :] if name.split(".")[1] == s]
                    assert not later or stage == "scheduler", f"{file} imports {name}"


def test_playing_loads_no_torch() -> None:
    code = (
        "import sys, host.cli, host.commands.play, host.terminal, quantize.engine;"
        f"assert not set({TRAINING!r}) & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)
