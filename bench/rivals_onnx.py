"""onnxruntime, on graphs that bench.rivals has exported: no torch here, as on a box that would use it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime import OrtValue

from bench.rival import Rival
from model.shape import Shape
from model.tokens import VOCABULARY_SIZE

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def load(name: str, folder: Path, shape: Shape) -> Rival:
    """From FOLDER/NAME.step.onnx and FOLDER/NAME.prefill.onnx; buffers are bound beforehand, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    step, many = (
        onnxruntime.InferenceSession(
            folder / f"{name}.{what}.onnx", options, providers=["CPUExecutionProvider"]
        )
        for what in ("step", "prefill")
    )
    bound: dict[tuple[int, int], Any] = {}
    random = np.random.default_rng(0)

    def feed(position: int, batch: int) -> None:
        key = (position, batch)
        if key not in bound:
            bound[key] = _bind(step, shape, {"batch": batch, "remembered": position}, position + 1)
        step.run_with_iobinding(bound[key])
        logits = bound[key].get_outputs()[0].numpy()
        reached = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
        for one, share in zip(reached, random.random(batch), strict=True):
            one.searchsorted(share * one[-1])

    def prefill(count: int) -> None:
        key = (count, 0)
        if key not in bound:
            bound[key] = _bind(many, shape, {"time": count}, count)
        many.run_with_iobinding(bound[key])

    return Rival(name, feed, prefill)


def _bind(session: Any, shape: Shape, sizes: dict[str, int], remembered: int) -> Any:
    """Random inputs of the sizes that its axes are named by, and room for its outputs."""
    random = np.random.default_rng(1)
    binding = session.io_binding()
    for each in session.get_inputs():
        dimensions = [sizes[size] if isinstance(size, str) else size for size in each.shape]
        values = random.normal(size=dimensions) if each.type == "tensor(float)" else np.ones(dimensions)
        binding.bind_ortvalue_input(each.name, OrtValue.ortvalue_from_numpy(values.astype(TYPES[each.type])))
    batch = sizes.get("batch", 1)
    for each in session.get_outputs():
        room = (batch, shape.heads, remembered, shape.head_width)
        size = (batch, VOCABULARY_SIZE) if each.name == "logits" else room
        binding.bind_ortvalue_output(each.name, OrtValue.ortvalue_from_numpy(np.empty(size, np.float32)))
    return binding
