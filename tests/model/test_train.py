import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from model.batches import Batches
from model.errors import NoonsongError
from model.muon import orthogonal
from model.run_config import Config, parse_changes, read_config
from model.train import train
from model.transformer import Transformer
from tests.model.synthetic import scale_splits
from tests.model.training_child import SMALL, small_run


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scales")
    scale_splits(folder)
    return folder


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    run = small_run(data, tmp_path_factory.mktemp("unbroken"))
    assert train(run, lambda row, loss: None)
    return run


def _child(data: Path, out: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.model.training_child", str(data), str(out)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def _line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout is not None
    return child.stdout.readline()


def _same_weights(path: Path, run) -> None:
    saved = torch.load(path, weights_only=True)
    assert saved["step"] == run.step
    for name, tensor in run.network.state_dict().items():
        assert torch.equal(saved["model"][name], tensor), name


def test_a_small_network_learns_scales(unbroken):
    first, last = unbroken.metrics[0], unbroken.metrics[-1]
    assert first["off"]["bits"] > 15
    assert last["on"]["bits"] < 0.3 * first["on"]["bits"]
    assert sum(last["on"][part] for part in ("time", "pitch", "duration", "velocity")) == pytest.approx(
        last["on"]["bits"]
    )


def test_checkpoints_are_kept_from_step_0(unbroken):
    kept = sorted((unbroken.out / "checkpoints").glob("*.pt"))
    steps = [torch.load(path, weights_only=True)["step"] for path in kept]
    assert steps == [0, 8, 15, 30, 60, 120]
    lines = (unbroken.out / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [row["step"] for row in unbroken.metrics]
    assert "NaN" not in lines[0]


def test_killed_at_random_moments_it_ends_as_the_unbroken_run(data, tmp_path, unbroken):
    moments = random.Random(1)
    for _ in range(3):
        child = _child(data, tmp_path)
        for _ in range(moments.randrange(2, 60)):
            if not _line(child):
                break
        child.send_signal(signal.SIGKILL)
        child.communicate()
    child = _child(data, tmp_path)
    child.communicate()
    assert child.returncode == 0
    _same_weights(tmp_path / "resume.pt", unbroken)


def test_an_interrupt_saves_the_step_it_is_at(data, tmp_path, unbroken):
    child = _child(data, tmp_path)
    for _ in range(20):
        _line(child)
    child.send_signal(signal.SIGTERM)
    child.communicate()
    assert child.returncode == 130
    assert torch.load(tmp_path / "resume.pt", weights_only=True)["step"] >= 15
    child = _child(data, tmp_path)
    child.communicate()
    _same_weights(tmp_path / "resume.pt", unbroken)


def test_two_processes_reach_the_loss_of_one(data, tmp_path, unbroken):
    children = [
        _child(data, tmp_path / "run", RENDEZVOUS=str(tmp_path / "meet"), RANK=str(rank), WORLD_SIZE="2")
        for rank in (0, 1)
    ]
    for child in children:
        child.communicate()
        assert child.returncode == 0
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["off"]["bits"] == pytest.approx(unbroken.metrics[-1]["off"]["bits"], rel=0.05)


def test_every_chunk_is_read_before_any_is_read_again(data):
    from model.dataset import read_split

    split = read_split(data, "train")
    batches = Batches(split, 4, 32, seed=1)
    sources, turns = batches.sequence_sources(0, 2000)
    for source, (begin, end) in enumerate(batches.spans):
        chunks = (end - begin - 2) // 32 - 1
        mine = [batches._chunk(source, int(turn)) for turn in turns[sources == source][:chunks]]
        assert len(set(mine)) == chunks
        assert min(mine) >= begin
        assert max(mine) + 33 <= end
    assert np.bincount(sources) / 2000 == pytest.approx(batches.shares, abs=0.01)


def test_some_sequences_begin_where_a_piece_begins(data):
    from model.dataset import read_split
    from model.tokens import END

    batches = Batches(read_split(data, "train"), 100, 32, seed=1)
    begun = (batches.batch(0).token[:, 0] == END).mean()
    assert 0.05 < begun < 0.35


def test_a_batch_depends_on_seed_and_step_alone(data):
    from model.dataset import read_split

    split = read_split(data, "train")
    late = Batches(split, 4, 32, seed=1).batch(1500)
    walked = Batches(split, 4, 32, seed=1)
    for step in (0, 999, 1000):
        walked.batch(step)
    np.testing.assert_array_equal(walked.batch(1500).token, late.token)
    assert (Batches(split, 4, 32, seed=2).batch(1500).token != late.token).any()
    np.testing.assert_array_equal(walked.batch(1500, 2, 2).rows, late.rows[2:])
    np.testing.assert_array_equal(late.token[:, 1:], late.target[:, :-1])


def test_muon_makes_matrices_orthogonal():
    torch.manual_seed(0)
    for shape in ((3, 24, 8), (2, 8, 24), (1, 16, 16)):
        singular = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert singular.min() > 0.4
        assert singular.max() < 1.3


def test_a_longer_past_than_the_window_is_not_heard():
    torch.manual_seed(0)
    network = Transformer(SMALL.shape())
    for matrix in network.stack.parameters():
        torch.nn.init.normal_(matrix, std=0.2)
    token = torch.randint(1, 700, (1, 160))
    sides = torch.zeros(1, 160, 1, dtype=torch.long), torch.zeros(1, 160, 1)
    reach = SMALL.layers * (SMALL.window - 1)
    changed = token.clone()
    changed[0, : 159 - reach] = 5
    with torch.inference_mode():
        before, after = network(token, *sides)[0, -1], network(changed, *sides)[0, -1]
        changed[0, 159 - reach] = 6
        assert torch.allclose(before, after, atol=1e-5)


def test_configuration(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text("tokens = 4096\nwidth = 64\nstages = [[64, 4, 1.0]]\n")
    config = read_config(path, parse_changes(["heads=2", "precision=float32"]))
    assert (config.tokens, config.width, config.heads, config.steps) == (4096, 64, 2, 16)
    assert read_config(None, json.loads(json.dumps(asdict(config)))) == config
    for text, said in (
        ("depth = 3", "depth"),
        ("width = 'big'", "width"),
        ("width = 30", "heads"),
        ("=", "cannot"),
    ):
        path.write_text(text)
        with pytest.raises(NoonsongError, match=said):
            read_config(path, {})


def test_the_rate_warms_up_stays_and_falls_to_nothing():
    config = Config(tokens=2048 * 1000, warmup_steps=100, decay_share=0.3)
    rates = [config.rate(step) for step in range(1000)]
    assert rates[0] == 0.01
    assert set(rates[100:700]) == {1.0}
    assert rates[-1] == pytest.approx(1 / 300)
