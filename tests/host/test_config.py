import re
from pathlib import Path

import pytest

from host.commands import init
from host.config import Config, load_config
from model.errors import NoonsongError


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "noonsong.toml"
    path.write_text(text)
    return load_config(path)


def default_text() -> str:
    return (Path(init.__file__).parents[1] / "noonsong.default.toml").read_text()


def test_the_file_that_init_writes_says_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, default_text()) == Config()
    # with every line in force it must still be valid, and mean the same where it names a default
    live = re.sub(r"(?m)^# (\w+ = )", r"\1", default_text())
    config = load(tmp_path, live)
    assert config.play == Config().play and config.day == Config().day
    assert config.controls["density"] == 2.0
    assert config.midi.outputs[0].channels["drums"] == 10


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[play]\nfoo = 1", r'line 2: there is no setting "foo" in play; it may hold weights, journal'),
        ("[bar]\na = 1", r'line 1: there is no setting "bar" in the file'),
        ("[[midi.outputs]]\nport = 1", r"line 2: midi.outputs.port"),
        ("[[midi.outputs]]\nchannels = { keys = 17 }", r"line 2: midi.outputs.channels.*<= 16"),
        ("[[midi.outputs]]\nchannels = { kes = 1 }", r'no voice "kes"; the voices are drums'),
        ("[[inputs.map]]\ncontrol = 'tempo'\nby = 'cc 1'\ncurve = 'x'", r"line 4: .*may be linear, fine-low"),
        ("[[inputs.map]]\ncontrol = 'tempo'", r"inputs.map: .*missing required field `by`"),
        ("[midi]\napi = 'x'", r"line 2: midi.api may be auto, alsa"),
        ("[day]\nwake = '25:00'", r"line 2: day.wake: it must be a time of day like 12:00"),
        ("[play]\ncommit_ms = 0", r"line 2: play.commit_ms.*>= 1"),
        ("[play", r"is not TOML"),
    ],
)
def test_errors_name_the_file_the_line_and_what_is_allowed(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(NoonsongError, match=says) as error:
        load(tmp_path, text)
    assert str(tmp_path) in str(error.value)


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoonsongError, match="cannot read"):
        load_config(tmp_path / "none.toml")
