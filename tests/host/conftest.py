from tests.host.jack import jack

__all__ = ["jack"]
