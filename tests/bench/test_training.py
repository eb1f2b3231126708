from dataclasses import asdict

import torch

from bench.training import measure
from tests.model.synthetic import scale_splits
from tests.model.training_child import SMALL


def test_both_loops_are_measured_in_turns(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    train, valid = scale_splits(tmp_path)
    monkeypatch.setattr(
        "bench.training.arrays_of_archive", lambda _, split: {"train": train, "valid": valid}[split]
    )
    figures = measure(tmp_path, asdict(SMALL), 1, 2)
    assert figures["tokens_per_second"] > 0 and figures["plain"] > 0 and figures["ratio"] > 0
