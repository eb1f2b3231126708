"""Our kernels beside what could be installed instead: the same shape, one core, one run.

Times are the thread's own processor time, so that other programs on the machine disturb less: the median of
alternating rounds. Instructions are counted by valgrind where it is installed; they do not change
from run to run. Memory is that of a process which does nothing else.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.alone import NETWORK, WEIGHTS
from bench.ours import Ours
from bench.replay import PROGRAM, dump
from quantize.kernel.compile import CompileError, compile_kernel
from quantize.kernel_library import kernels

SHAPES = {
    "0.8M": {"width": 128, "layers": 4, "heads": 4, "window": 512},
    "6M": {"width": 320, "layers": 5, "heads": 10, "window": 512},
}
POSITIONS = (10, 255, 511)
PLAIN_FLAGS = ("-std=gnu99", "-Ofast")
COUNTED = "haswell"  # valgrind knows AVX2, but not AVX-512
Feeds = dict[str, Callable[[int], None]]


def microseconds(calls: dict[str, Callable[[], None]], rounds: int, repeats: int) -> dict[str, float]:
    """Median thread time of each call, measured in turns."""
    spent: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            for _ in range(repeats):
                before = time.thread_time_ns()
                call()
                spent[name].append(time.thread_time_ns() - before)
    return {name: statistics.median(times) / 1000 for name, times in spent.items()}


def measure(sizes: dict[str, int], quick: bool, count_rivals: bool = False) -> dict[str, Any]:
    """All figures of one shape: {"rows": {name: {figure: value}}, "read_limit_us": ..., ...}."""
    import torch

    from bench import rival, rivals
    from model.shape import rotary_turns
    from quantize.quantize import tensors_of
    from quantize.weights import make_header, write_weights

    rival.one_core()
    torch.set_num_threads(1)
    rounds, repeats = (2, 5) if quick else (12, 25)
    network = rivals.random_network(sizes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / WEIGHTS
        header = make_header(network.shape.as_dict(), rotary_turns(network.shape), [], [{}], {})
        write_weights(path, header, [tensors_of(network)])
        ours = {name: Ours(path, name) for name in [*kernels(), "numpy"]}
        others = [rivals.torch_float(network), rivals.torch_int8(network)]
        others += _onnx_if_installed(network, Path(folder))
        torch.save(network, Path(folder) / NETWORK)
        rows: dict[str, dict[str, Any]] = {name: {} for name in [*ours, *(o.name for o in others), "plain C"]}
        plain = _plain_program(Path(folder))
        for position in POSITIONS:
            for each in ours.values():
                each.at(position)
            calls: dict[str, Callable[[], None]] = {
                name: partial(each.step, position) for name, each in ours.items()
            }
            calls |= {o.name: partial(o.feed, position, 1) for o in others}
            for name, figure in microseconds(calls, rounds, repeats).items():
                rows[name][f"us_at_{position}"] = figure
            if plain:
                rows["plain C"][f"us_at_{position}"] = _plain_step(plain, network.shape, position, rounds)
        _measure_many(rows, ours, others, rounds)
        for name, each in ours.items():
            rows[name]["memory_bytes"] = each.engine.memory_bytes
        for name in [*ours, *(o.name for o in others)]:
            rows[name]["process_bytes"] = _alone(name, Path(folder), 3)
        _count_instructions(rows, path, Path(folder))
        rows["plain C"]["instructions"] = _count_plain(Path(folder), network.shape)
        for name in ["numpy", *(o.name for o in others)] if count_rivals else []:
            rows[name]["instructions"] = _count_alone(name, Path(folder))
        weights = sum(m.nbytes for m in _matrices(path))
        kept = 2 * network.shape.layers * network.shape.window * network.shape.width
        figures: dict[str, Any] = {
            "shape": network.shape.as_dict(),
            "parameters": _count(network),
            "rows": rows,
        }
        if plain:
            figures |= {
                "read_limit_us": {
                    "weights": _read(plain, weights),
                    "weights and ring": _read(plain, weights + kept),
                },
                "read_bytes": {"weights": weights, "weights and ring": weights + kept},
            }
    figures["file_bytes"] = weights
    return figures


def _measure_many(
    rows: dict[str, dict[str, Any]], ours: dict[str, Ours], others: list[Any], rounds: int
) -> None:
    """Prefill, a batch of 16, bare steps: of all, in turns."""
    fast = {name: each for name, each in ours.items() if name not in ("numpy", "scalar")}
    calls: dict[str, Callable[[], None]] = {}
    for name, each in fast.items():
        calls[f"prefill_512_us {name}"] = partial(each.prefill, 512)
        calls[f"singles_512_us {name}"] = partial(each.singles, 512)
    calls |= {f"prefill_512_us {o.name}": partial(o.prefill, 512) for o in others}
    found = microseconds(calls, rounds, 2)
    for each in fast.values():
        each.at(511)
    calls = {f"bare_step_us {name}": partial(each.bare_step, 511) for name, each in fast.items()}
    found |= microseconds(calls, rounds, 20)
    for each in fast.values():
        each.at(512)
        each.batch = None
    calls = {f"batch_16_us {name}": partial(each.batch_step, 16) for name, each in fast.items()}
    calls |= {f"batch_16_us {o.name}": partial(o.feed, 511, 16) for o in others}
    found |= microseconds(calls, rounds, 5)
    for key, value in found.items():
        figure, name = key.split(" ", 1)
        rows[name][figure] = value


def ratios(figures: dict[str, Any]) -> dict[str, float]:
    """What the fastest kernel is compared with what."""
    rows = figures["rows"]
    best = rows[next(iter(rows))]
    found = {}
    for name in (
        "torch float32",
        "torch int8",
        "onnxruntime float32",
        "onnxruntime int8",
        "plain C",
        "numpy",
    ):
        if "us_at_511" in rows.get(name, {}):
            found[f"times as fast as {name} at 511"] = rows[name]["us_at_511"] / best["us_at_511"]
    for name, row in rows.items():
        if "singles_512_us" in row:
            found[f"{name}: prefill of 512 / 512 steps"] = row["prefill_512_us"] / row["singles_512_us"]
            found[f"{name}: batch of 16 / a step"] = row["batch_16_us"] / row["bare_step_us"]
    if "read_limit_us" in figures:
        limit = figures["read_limit_us"]["weights and ring"]
        found["share of the read limit at 511 (a bare step)"] = limit / best["bare_step_us"]
    return found


def table(figures: dict[str, Any]) -> str:
    """For people."""
    columns = {
        "us_at_10": ("us at 10", 1, 1), "us_at_255": ("at 255", 1, 1), "us_at_511": ("at 511", 1, 1),
        "tokens": ("tokens/s", 1, 0), "prefill_512_us": ("prefill ms", 1e-3, 1),
        "batch_16_us": ("16 at once us", 1, 0), "memory_bytes": ("engine MB", 1e-6, 2),
        "process_bytes": ("process MB", 1e-6, 0),
        "instructions": ("instructions", 1, 0),
    }  # fmt: skip
    shape = figures["shape"]
    lines = [
        f"{figures['parameters']} parameters (width {shape['width']}, {shape['layers']} layers, window"
        f" {shape['window']}), one core, processor time",
        f"{'':22}" + "".join(f"{label:>14}" for label, _, _ in columns.values()),
    ]
    for name, row in figures["rows"].items():
        if "us_at_511" not in row:
            continue
        shown = row | {"tokens": 1e6 / row["us_at_511"]}
        cells = (
            f"{shown[key] * unit:14.{digits}f}" if shown.get(key) is not None else f"{'-':>14}"
            for key, (_, unit, digits) in columns.items()
        )
        lines.append(f"{name:22}" + "".join(cells))
    lines += [f"  {name}: {ratio:.2f}" for name, ratio in ratios(figures).items()]
    for name, limit in figures.get("read_limit_us", {}).items():
        lines.append(f"  reading {name} ({figures['read_bytes'][name]} bytes) alone: {limit:.1f} us")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `noonsong bench engine`."""
    parser.add_argument("--shape", choices=SHAPES, action="append", help="default: all of them")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument(
        "--count-rivals",
        action="store_true",
        help="count the rivals' instructions too (with valgrind: minutes)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    found = {}
    for name in args.shape or SHAPES:
        found[name] = measure(SHAPES[name], args.quick, args.count_rivals)
        if not args.json:
            print(f"\n{name}: {table(found[name])}", flush=True)
    if args.json:
        print(json.dumps({name: figures | {"ratios": ratios(figures)} for name, figures in found.items()}))
    return 0


def _onnx_if_installed(network: Any, folder: Path) -> list[Any]:
    from bench import rivals

    try:
        from bench import rivals_onnx

        rivals.export(network, folder)
    except ImportError as error:
        print(f"{error.name} is not installed (pip install onnxruntime onnx): left out", file=sys.stderr)
        return []
    return [rivals_onnx.load(name, folder, network.shape) for name in rivals.ONNX]


def _matrices(path: Path) -> Iterator[Any]:
    from quantize.weights import read_weights

    weights = read_weights(path)
    yield weights.token_table.q
    for layer in weights.layers:
        yield from (matrix.q for matrix in layer)


def _count(network: Any) -> int:
    return sum(p.numel() for p in network.parameters())


def _plain_program(folder: Path, machine: str = "native") -> Path | None:
    program = folder / f"plain-{machine}"
    source = Path(__file__).with_name("plain.c")
    command = ["cc", *PLAIN_FLAGS, f"-march={machine}", "-o", str(program), str(source), "-lm"]
    return program if subprocess.run(command, capture_output=True, check=False).returncode == 0 else None


def _numbers(command: list[str]) -> list[int]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def _plain_step(program: Path, shape: Any, position: int, rounds: int) -> float:
    sizes = (shape.width, shape.layers, shape.heads, shape.vocabulary, position, 50 * rounds)
    return statistics.median(_numbers([str(program), *map(str, sizes)])) / 1000


def _read(program: Path, size: int) -> float:
    return statistics.median(_numbers([str(program), "read", str(size), "400"])) / 1000


def _alone(name: str, folder: Path, steps: int) -> int:
    return _numbers([sys.executable, "-m", "bench.alone", name, str(folder), str(steps)])[0]


def _instructions(command: list[str]) -> int | None:
    """Of a whole program; None when valgrind cannot run it."""
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*valgrind, *command], capture_output=True, text=True, check=False, env=environment)
    line = next((x for x in done.stderr.splitlines() if "Collected" in x), None)
    return int(line.rsplit(":", 1)[1]) if line and done.returncode == 0 else None


def _difference(few: int | None, many: int | None, steps: int) -> int | None:
    return (many - few) // steps if few and many else None


def _count_plain(folder: Path, shape: Any) -> int | None:
    """Of a token of the plain program at position 511, compiled for AVX2."""
    program = _plain_program(folder, COUNTED) if shutil.which("valgrind") else None
    if program is None:
        return None
    sizes = [str(x) for x in (shape.width, shape.layers, shape.heads, shape.vocabulary, 511)]
    few, many = (_instructions([str(program), *sizes, str(repeats)]) for repeats in (1, 11))
    return _difference(few, many, 10)


def _count_alone(name: str, folder: Path) -> int | None:
    """Of a token of a contestant at position 511, Python included; what valgrind cannot run has none."""
    if not shutil.which("valgrind"):
        return None
    command = [sys.executable, "-m", "bench.alone", name, str(folder)]
    few, many = (_instructions([*command, str(steps)]) for steps in (5, 45))
    return _difference(few, many, 40)


def _count_instructions(rows: dict[str, dict[str, Any]], path: Path, folder: Path) -> None:
    """Of a token at position 512 fed and drawn, by the difference of two runs."""
    if not shutil.which("valgrind"):
        return
    program = folder / "replay"
    try:
        names = compile_kernel(program, link=("-lm",), sources=(PROGRAM,))
    except CompileError:
        return
    dumped = str(dump(path, folder / "dump"))
    for kernel in [name for name in names if name in rows]:
        few, many = (
            _instructions([str(program), dumped, kernel, str(tokens), "512", "500"]) for tokens in (1, 21)
        )
        # An instruction set that valgrind does not know: the program then says so and counts nothing.
        rows[kernel]["instructions"] = _difference(few, many, 20) or None
