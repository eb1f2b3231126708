"""How the machine and the music's process are: processor, memory, disk. From /proc, where there is one."""

import os
import shutil
from pathlib import Path
from typing import Any

LITTLE_DISK_MB = 200
LITTLE_MEMORY_MB = 60


class Machine:
    """Looks now and then, from outside the music's process."""

    def __init__(self, process: int, folder: Path) -> None:
        """`process`: the music's; `folder`: where the journal is."""
        self._process = process
        self._folder = folder
        self._before: tuple[float, float] | None = None

    def look(self, now_s: float) -> dict[str, Any]:
        """Figures for the page; what cannot be read is left out."""
        figures: dict[str, Any] = {"faults": []}
        try:
            used_s = self._processor_s()
            if self._before is not None and now_s > self._before[0]:
                share = (used_s - self._before[1]) / (now_s - self._before[0])
                figures["cpu_percent"] = round(100 * share, 1)
            self._before = (now_s, used_s)
            pages = int(Path(f"/proc/{self._process}/statm").read_text().split()[1])
            figures["memory_mb"] = round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
            available = _available_mb()
            figures["memory_free_mb"] = available
            if available < LITTLE_MEMORY_MB:
                figures["faults"].append(
                    f"Only {available} MB of memory are free: close what else runs on this machine."
                )
        except (OSError, ValueError, IndexError):
            pass  # not Linux
        try:
            free_mb = shutil.disk_usage(self._folder).free // 2**20
            figures["disk_free_mb"] = free_mb
            if free_mb < LITTLE_DISK_MB:
                figures["faults"].append(
                    f"Only {free_mb} MB are free where the piece is kept: make room, or it stops being kept."
                )
        except OSError as error:
            figures["faults"].append(f"The folder of the piece cannot be reached ({error.strerror}).")
        return figures

    def _processor_s(self) -> float:
        fields = Path(f"/proc/{self._process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _available_mb() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise ValueError("no MemAvailable")
