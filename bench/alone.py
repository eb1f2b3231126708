"""One contestant in a process of its own: what memory it takes, and what an instruction counter looks at.

python -m bench.alone NAME FOLDER STEPS      load NAME from FOLDER, as bench.engine has prepared it, play STEPS
                                             tokens at position 511 -> the memory that the process then holds
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

POSITION = 511
WEIGHTS, NETWORK = "weights", "network.pt"


def stepper(name: str, folder: Path) -> Callable[[], None]:
    """What plays one token. Only what this contestant needs is imported."""
    if name.startswith("onnxruntime"):
        from bench import rivals_onnx
        from quantize.weights import read_header

        onnx = rivals_onnx.load(name, folder, read_header(folder / WEIGHTS).shape)
        return lambda: onnx.feed(POSITION, 1)
    if name.startswith("torch"):
        import torch

        from bench import rivals

        network = torch.load(folder / NETWORK, weights_only=False)
        rival = (rivals.torch_int8 if name == "torch int8" else rivals.torch_float)(network)
        return lambda: rival.feed(POSITION, 1)
    from bench.ours import Ours

    ours = Ours(folder / WEIGHTS, name)
    ours.at(POSITION)
    return lambda: ours.step(POSITION)


def resident_bytes() -> int:
    """Memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    step = stepper(sys.argv[1], Path(sys.argv[2]))
    for _ in range(int(sys.argv[3])):
        step()
    print(resident_bytes())
