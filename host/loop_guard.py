"""Keeps a cold piece from going round in circles for ever.

At low temperatures a model falls into exact loops. The share of distinct four-token groups among the last
tokens shows it: music that goes on has most of them distinct, a loop only as many as it is long. Below a
threshold the temperature rises, the more the tighter the loop, until something new has been said.
"""

from collections.abc import Sequence

HEARD_TOKENS = 384
GROUP = 4
FREE_SHARE = 0.5  # music may repeat itself this much without anybody interfering
LOOSE_TEMPERATURE = 1.5  # where the tightest loop brings the temperature


def tightness(history: Sequence[int]) -> float:
    """How much of a loop the last HEARD_TOKENS tokens are: 0 for music that goes on, towards 1 in a loop."""
    heard = history[-HEARD_TOKENS:]
    groups = len(heard) - GROUP + 1
    if groups < HEARD_TOKENS // 3:
        return 0.0
    distinct = len(set(zip(heard, heard[1:], heard[2:], heard[3:], strict=False)))
    return max(0.0, 1.0 - distinct / groups / FREE_SHARE)


def loosened(temperature: float, tight: float) -> float:
    """The temperature to use when the last tokens are that much of a loop; never lower than it was."""
    return temperature + tight * max(0.0, LOOSE_TEMPERATURE - temperature)
