"""What several tests share: weights of noise, small enough to be quick."""

from pathlib import Path

import pytest

from tests.quantize.factory import SMALL, random_file


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of a small network that plays noise."""
    return random_file(tmp_path_factory.mktemp("weights") / "small.safetensors", seed=3, **SMALL)
