from tests.host.boxed import board, play
from tests.host.jack import jack

__all__ = ["board", "jack", "play"]
