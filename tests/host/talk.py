"""A real `noonsong play` and what it says, read with patience but never for ever."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
PLAY = [sys.executable, *["-W", "error", "-m", "host", "play", "--no-panel"]]


class Talker:
    """The process; both of its pipes are read all the time, so it never waits for us."""

    def __init__(self, options: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [*PLAY, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.said: list[str] = []
        self.output: list[bytes] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._keep_output, args=(self.process.stdout,)),
            threading.Thread(target=self._keep_said, args=(self.process.stderr,)),
        ]
        for reader in self._readers:
            reader.start()

    def _keep_output(self, pipe: IO[bytes]) -> None:
        self.output.extend(pipe)

    def _keep_said(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._lines.put(line.decode())
        self._lines.put(None)

    def wait_for(self, sentence: str) -> list[str]:
        """What it says from now up to a line with the sentence."""
        new: list[str] = []
        while not new or sentence not in new[-1]:
            try:
                line = self._lines.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise AssertionError(f"it has not said {sentence!r}, but {self.said}") from None
            assert line is not None, f"it ended without saying {sentence!r}, but {self.said}"
            self.said.append(line)
            new.append(line)
        return new

    def events(self) -> list[dict[str, Any]]:
        """What --events has printed."""
        return [json.loads(line) for line in self.output if line.startswith(b"{")]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait while it plays."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen; said: {self.said}"
            assert self.process.poll() is None, f"it ended; said: {self.wait_for('')}"
            time.sleep(0.01)

    def end(self, number: int) -> int:
        """Send a signal; returns how it ended."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join()
        while (line := self._lines.get()) is not None:
            self.said.append(line)
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
