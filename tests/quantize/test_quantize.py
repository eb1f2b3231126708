"""From a float network to the file: near enough, and the command does what it says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from model.batches import Batch
from model.conditioning import SIDE_ROWS
from model.errors import NoonsongError
from model.shape import Shape
from model.tokens import END, VOCABULARY_SIZE
from model.transformer import Transformer
from quantize import quantize
from quantize.engine import Engine
from quantize.weights import read_header

SHAPE = Shape(width=64, layers=2, heads=2, window=64, period=256)
# Root mean square error of the logits against float's, as a share of their spread. Rounding weights and
# vectors to 8 bits costs about 0.5 % each, and a network of random matrices adds them up.
LOGITS_TOLERANCE = 0.03
BITS_TOLERANCE = 0.01  # of the loss


@pytest.fixture(scope="module")
def network() -> Transformer:
    torch.manual_seed(1)
    network = Transformer(SHAPE).eval()
    with torch.no_grad():
        for name, matrix in network.stack.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                matrix.normal_(std=0.5 * matrix.size(1) ** -0.5)
        network.own.normal_(std=0.3)
        network.final_gain.uniform_(0.5, 1.5)
    return network


def music(count: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    token = np.append(END, rng.integers(VOCABULARY_SIZE, size=count))[None].astype(np.int64)
    rows = rng.integers(SIDE_ROWS, size=(1, count, 7)).astype(np.int32)
    weights = (rng.random((1, count, 7)) * (rng.random((1, count, 7)) < 0.5)).astype(np.float32)
    return Batch(token[:, :-1], token[:, 1:], rows, weights)


def save(network: Transformer, path: Path, step: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    metrics = [{"on": {"bits": 9.5 - step / 100}}]
    state = {"shape": SHAPE.as_dict(), "model": network.state_dict(), "step": step, "tokens_seen": 8 * step}
    torch.save(state | {"sources": ["folk", "organ"], "metrics": metrics}, path)
    return path


@pytest.fixture(scope="module")
def run_folder(network: Transformer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for step in (0, 7, 15):
        save(network, folder / "checkpoints" / f"step-{step:08d}.pt", step)
    save(network, folder / "resume.pt", 15)
    return folder


def command(*arguments: str | Path) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    quantize.add_arguments(parser)
    return quantize.run(parser.parse_args([str(a) for a in arguments]))


def test_engine_is_near_the_float_network(network: Transformer, run_folder: Path, tmp_path: Path) -> None:
    command(run_folder, "--out", tmp_path / "w")
    batch = music(200)
    with torch.inference_mode():
        exact = network(*(torch.from_numpy(p) for p in (batch.token, batch.rows, batch.weights)))[0].numpy()
    for kernel in (None, "numpy"):
        engine = Engine.load(tmp_path / "w", kernel=kernel)
        played = quantize.Played(engine)(
            *(torch.from_numpy(p) for p in (batch.token, batch.rows, batch.weights))
        )
        off = played[0].numpy() - exact
        assert np.sqrt((off**2).mean()) / exact.std() < LOGITS_TOLERANCE
        before, after = quantize.compare(network, engine, [batch])
        assert after.bits == pytest.approx(before.bits, rel=BITS_TOLERANCE)


def test_rounding_is_to_the_nearest_of_a_row() -> None:
    matrix = np.random.default_rng(0).standard_t(3, (50, 64)).astype(np.float32)
    matrix[7] = 0
    q, scales = quantize.quantize_weights(matrix)
    assert q.dtype == np.int8
    assert (np.abs(q).max(axis=1) == np.where(np.arange(50) == 7, 0, 127)).all()
    assert (np.abs(q * scales[:, None] - matrix) <= 0.5001 * scales[:, None]).all()


def test_error_by_layer_is_told(network: Transformer, run_folder: Path, tmp_path: Path) -> None:
    command(run_folder, "--out", tmp_path / "w")
    engine = Engine.load(tmp_path / "w")
    figures = quantize.held_out_figures(network, engine, tmp_path / "w", lambda on: [music(90), music(40, 1)])
    assert len(figures["stream_error"]) == SHAPE.layers
    assert all(0.001 < error < LOGITS_TOLERANCE for error in figures["stream_error"])
    assert abs(figures["bits_per_note"]["with side inputs"]["worse_percent"]) < 100 * BITS_TOLERANCE
    figures |= {"file": "w", "bytes": 1, "weight_error": quantize.weight_errors(network)}
    assert all(0.001 < error < 0.02 for error in figures["weight_error"].values())
    quantize.draw_errors(figures, tmp_path / "errors.png")
    assert (tmp_path / "errors.png").stat().st_size > 5000
    assert "with side inputs" in quantize.table(figures)


def test_command_keeps_the_ages_and_the_card(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "card.json"
    card.write_text('{"title": "noon", "licences": "CC0"}')
    command(run_folder, "--out", tmp_path / "w.safetensors", "--ages", "--card", card, "--json")
    told = json.loads(capsys.readouterr().out)
    header = read_header(tmp_path / "w.safetensors")
    assert [c["step"] for c in header.checkpoints] == [0, 7, 15]
    assert header.checkpoints[2] == {"step": 15, "tokens_seen": 120, "bits_per_note": 9.35}
    assert (header.sources, header.card["title"]) == (["folk", "organ"], "noon")
    assert told["bytes"] == (tmp_path / "w.safetensors").stat().st_size
    assert Path(told["picture"]).exists()
    for checkpoint in range(3):
        Engine.load(tmp_path / "w.safetensors", checkpoint).step(END, [])


def test_command_takes_one_checkpoint(run_folder: Path, tmp_path: Path) -> None:
    command(run_folder / "checkpoints" / "step-00000007.pt", "--out", tmp_path / "w")
    assert [c["step"] for c in read_header(tmp_path / "w").checkpoints] == [7]


def test_command_says_what_is_wrong(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.pt").write_bytes(b"noise")
    (tmp_path / "card.json").write_text("[1]")
    for arguments, sentence in (
        ((tmp_path / "nothing",), "cannot be read"),
        ((tmp_path / "empty",), "no checkpoint yet"),
        ((tmp_path / "noise.pt",), "not a checkpoint"),
        ((run_folder, "--card", tmp_path / "card.json"), "one JSON object"),
        ((run_folder, "--card", tmp_path / "noise.pt"), "cannot be read as JSON"),
    ):
        with pytest.raises(NoonsongError, match=sentence):
            command(*arguments, "--out", tmp_path / "w")
    assert not (tmp_path / "w").exists()
