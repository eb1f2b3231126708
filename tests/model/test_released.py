"""What the box ships with is whole and agrees with itself."""

from pathlib import Path

import numpy as np

from host.commands.common import released_weights
from model.markov import Markov
from model.run_config import read_config
from quantize.markov_engine import MarkovEngine
from quantize.weights import read_header, read_weights

FOLDER = released_weights().parent


def test_the_ages_go_from_the_untouched_network_to_the_finished_one() -> None:
    finished, ages = (read_header(FOLDER / name) for name in ("noonsong.safetensors", "ages.safetensors"))
    steps = [checkpoint["step"] for checkpoint in ages.checkpoints]
    assert len(steps) >= 8 and steps[0] == 0 and steps == sorted(set(steps))
    assert ages.checkpoints[-1] == finished.checkpoints[-1] and len(finished.checkpoints) == 1
    bits = [checkpoint["bits_per_note"] for checkpoint in ages.checkpoints]
    assert bits == sorted(bits, reverse=True)
    one, other = (read_weights(FOLDER / name) for name in ("noonsong.safetensors", "ages.safetensors"))
    assert np.array_equal(one.token_table.q, other.token_table.q)
    assert one.header.sources == other.header.sources


def test_the_card_names_every_source_and_file() -> None:
    card = (FOLDER / "README.md").read_text()
    for source in read_header(FOLDER / "noonsong.safetensors").sources:
        assert f"| {source} |" in card
    for path in FOLDER.iterdir():
        assert path.name in card or path.name == "README.md"


def test_the_runs_settings_are_those_of_the_weights() -> None:
    header = read_header(FOLDER / "noonsong.safetensors")
    config = read_config(FOLDER / "training.toml", {})
    assert config.shape() == header.shape
    assert config.steps == header.checkpoints[-1]["step"]
    assert read_config(Path(FOLDER / "training-6m.toml"), {}).steps > 0


def test_the_markov_table_plays() -> None:
    engine = MarkovEngine(Markov.load(released_weights("markov")))
    engine.step(0, [])
    assert engine.logits(((0, 10),)).shape == (10,)
