import random

import pytest

from host.loop_guard import HEARD_TOKENS, LOOSE_TEMPERATURE, loosened, tightness


def phrase(length: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(400) for _ in range(length)]


def test_music_that_goes_on_is_left_alone() -> None:
    assert tightness(phrase(1000, 1)) == 0.0
    assert tightness([]) == 0.0
    assert tightness([7] * 50) == 0.0  # too little was heard yet
    assert tightness(phrase(HEARD_TOKENS // 2, 2) * 2) == 0.0  # a phrase said twice is music too


@pytest.mark.parametrize(("length", "least"), [(2, 0.95), (40, 0.75), (96, 0.45)])
def test_the_tighter_the_loop_the_more(length: int, least: float) -> None:
    assert least < tightness(phrase(length, 3) * (HEARD_TOKENS // length + 1)) < 1.0


def test_only_the_last_tokens_count() -> None:
    assert tightness([7] * 5000 + phrase(HEARD_TOKENS, 4)) == 0.0


def test_cold_is_loosened_hot_is_left() -> None:
    assert loosened(0.2, 0.0) == 0.2
    assert loosened(0.2, 1.0) == LOOSE_TEMPERATURE
    assert 0.2 < loosened(0.2, 0.5) < LOOSE_TEMPERATURE
    assert loosened(1.8, 1.0) == 1.8
