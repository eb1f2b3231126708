from pathlib import Path

import pytest

from host.config import Mapped, load_config
from host.config_file import ConfigFile
from model.errors import NoonsongError

TEXT = """# mine
[board]
zero_pitch = 24  # C1

[inputs]
midi = ["nano"]  # the small one

# the big knob
[[inputs.map]]
control = "temperature"
by = "cc 21"  # leftmost
"""


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    path = tmp_path / "noonsong.toml"
    path.write_text(TEXT)
    return ConfigFile(path)


def test_one_value_changes_and_everything_else_stays(file: ConfigFile) -> None:
    assert file.set("board.zero_pitch", 36).board.zero_pitch == 36
    assert file.path.read_text() == TEXT.replace("24", "36")
    config = file.set("day.mode", "daily")
    assert config.day.mode == "daily" and load_config(file.path) == config
    assert file.path.read_text().startswith(TEXT.replace("24", "36").rstrip())


def test_values_in_lists_of_tables(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "noonsong.toml")
    file.path.write_text('[[midi.outputs]]\nport = "a"\n[[midi.outputs]]\nport = "b"  # second\n')
    file.set("midi.outputs.1.port", "c")
    assert file.path.read_text() == '[[midi.outputs]]\nport = "a"\n[[midi.outputs]]\nport = "c"  # second\n'
    with pytest.raises(NoonsongError, match=r'there is no 2 in "midi.outputs.2.port": there are 0 to 1'):
        file.set("midi.outputs.2.port", "d")


def test_assignments_are_added_beside_those_with_comments(file: ConfigFile) -> None:
    mapped = [Mapped("temperature", "cc 21"), Mapped("density", "knob 2", low=1.0, invert=True)]
    assert file.set_mappings(mapped).inputs.map == tuple(mapped)
    text = file.path.read_text()
    assert text.startswith(TEXT.rstrip()[: TEXT.index("[[inputs.map]]") - 20])
    for kept in ("# mine", "# C1", "# the small one", "# leftmost"):
        assert kept in text
    assert file.set_mappings([]).inputs.map == ()
    assert load_config(file.path).inputs.midi == ("nano",)


def test_a_file_that_is_not_there_begins_as_the_commented_one(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "noonsong.toml")
    config = file.set_mappings([Mapped("tempo", "cc 1")])
    assert config.inputs.map == (Mapped("tempo", "cc 1"),) and load_config(file.path) == config
    assert "every setting with its default" in file.path.read_text()


def test_what_cannot_be_is_refused_and_the_file_stays(file: ConfigFile) -> None:
    with pytest.raises(NoonsongError, match=r"noonsong.toml, line 3: board.zero_pitch"):
        file.set("board.zero_pitch", 900)
    with pytest.raises(NoonsongError, match=r'no setting "x" in board'):
        file.set("board.x", 1)
    assert file.path.read_text() == TEXT
    assert [path.name for path in file.path.parent.iterdir()] == ["noonsong.toml"]
    nowhere = ConfigFile(file.path.parent / "gone" / "noonsong.toml")
    with pytest.raises(NoonsongError, match="cannot write into"):
        nowhere.set("board.zero_pitch", 1)
