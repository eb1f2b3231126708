"""What several tests share: weights of noise, small enough to be quick."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.playhead import shared_copy
from tests.quantize.factory import SMALL, random_file


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of a small network that plays noise."""
    return random_file(tmp_path_factory.mktemp("weights") / "small.safetensors", seed=3, **SMALL)


@pytest.fixture(scope="session", autouse=True)
def tidy_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing stays in shared memory of the pieces that tests have killed."""
    yield
    for path in tmp_path_factory.getbasetemp().rglob("*-playhead"):
        shared_copy(path).unlink(missing_ok=True)
