"""Compiles the kernel with the system's C compiler: at install (setup.py) and for the tests.

step.c once for each kernel that this machine's family has, with that kernel's flags; a kernel that the
compiler is too old for is left out. No Python headers.
"""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from quantize.kernel import SOURCES, interface

# No fast-math and no contraction: the bits are the product. The two -fno say only that nobody reads errno
# or the floating-point flags.
FLAGS = ("-std=c99", "-O3", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
         "-D_DEFAULT_SOURCE", "-Wall", "-Wextra")  # fmt: skip
LINK_FLAGS = ("-shared", "-lm")
KERNELS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "avx2": ("-mavx2",),
        "vnni": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni",
                 "-mprefer-vector-width=512"),
    },
    "aarch64": {"neon": (), "dotprod": ("-march=armv8.2-a+dotprod",)},
}  # fmt: skip
FAMILIES = {"arm64": "aarch64", "amd64": "x86_64"}


class CompileError(Exception):
    """There is no compiler, or it refused: the message is its own."""


def compile_kernel(
    output: Path,
    compiler: str | None = None,
    extra: Sequence[str] = (),
    link: Sequence[str] = LINK_FLAGS,
    sources: Sequence[Path] = (),
    folder: Path = SOURCES,
) -> list[str]:
    """Make the shared library `output` (or, with other `link` flags, a program of further `sources`).

    Returns the names of the kernels in it. Raises CompileError.
    """
    command = shlex.split(compiler or os.environ.get("CC") or "cc")
    machine = _run([*command, "-dumpmachine"]).split("-")[0]
    compiled = []
    with tempfile.TemporaryDirectory() as objects_folder:
        objects = []
        for name, flags in {"scalar": (), **KERNELS.get(FAMILIES.get(machine, machine), {})}.items():
            target = f"{objects_folder}/{name}.o"
            dot = f'-DDOT_FILE="dot_{name}.c"'
            what = (*flags, f"-DKERNEL={name}", dot, "-c", str(folder / "step.c"), "-o", target)
            try:
                _run([*command, *FLAGS, *extra, *what])
            except CompileError:
                if name == "scalar":
                    raise
                continue
            compiled.append(name)
            objects.append(target)
        have = [f"-DHAVE_{name.upper()}" for name in compiled]
        have.append(f'-DNS_INTERFACE="{interface(folder)}"')
        rest = [str(folder / "select.c"), *map(str, sources)]
        _run([*command, *FLAGS, *extra, *have, f"-I{folder}", *rest, *objects, "-o", str(output), *link])
    return compiled


def _run(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except OSError as error:
        raise CompileError(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise CompileError(error.stderr) from error
