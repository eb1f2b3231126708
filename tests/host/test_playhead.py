"""The place in the piece: what is left of it by a kill, a power cut, and where there is no shared memory."""

import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from host import playhead
from host.playhead import Playhead, shared_copy
from model.errors import NoonsongError
from tests.host.talk import ROOT

PLAY_FOR_EVER = """
import pathlib, sys
from host.playhead import Playhead
head = Playhead(pathlib.Path(sys.argv[1]))
head.sync()
position = head.position
while True:
    position += 1
    print(position, flush=True)
    head.set(position)
"""


def killed_at(path: Path) -> int:
    """Play in another process and kill it: the last position that it was about to set."""
    with subprocess.Popen(
        [sys.executable, "-c", PLAY_FOR_EVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        return int([*first, *process.stdout][-1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "piece-playhead"


@pytest.fixture
def without_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(playhead, "SHARED", tmp_path / "none")


def test_a_killed_process_leaves_its_place(path: Path) -> None:
    for _ in range(5):
        last = killed_at(path)
        head = Playhead(path)
        assert head.position in (last - 1, last)
        head.close()


def test_nothing_is_left_in_memory_when_it_ended_in_order(path: Path) -> None:
    head = Playhead(path)
    head.set(7)
    assert shared_copy(path).exists()
    head.close()
    assert not shared_copy(path).exists()
    assert Playhead(path).position == 7


def test_after_a_power_cut_the_disk_has_the_last_synced_place(path: Path) -> None:
    killed_at(path)
    shared_copy(path).unlink()
    head = Playhead(path)
    assert head.position == 0
    head.close()


def test_memory_of_another_run_is_not_believed(path: Path) -> None:
    head = Playhead(path)
    head.set(30)
    head.sync()
    then = path.read_bytes()
    head.close()
    assert killed_at(path) > 30
    path.write_bytes(then)  # the folder was brought back from a copy
    head = Playhead(path)
    assert head.position == 30
    head.close()


def test_a_file_of_eight_bytes_is_gone_on_with(path: Path) -> None:
    """As it was before runs were told apart."""
    path.write_bytes(struct.pack("<q", 4321))
    head = Playhead(path)
    assert head.position == 4321
    head.close()


@pytest.mark.usefixtures("without_shared_memory")
def test_without_shared_memory_the_file_itself_is_the_memory(path: Path) -> None:
    head = Playhead(path)
    head.set(12)
    assert struct.unpack_from("<q", path.read_bytes())[0] == 12
    head.close()
    head = Playhead(path)
    assert head.position == 12
    head.close()


def test_what_others_have_put_shared_copy_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    shared_copy(path).symlink_to(elsewhere)
    head = Playhead(path)
    head.set(5)
    head.close()
    assert elsewhere.read_text() == "precious"
    assert Playhead(path).position == 5


def test_it_is_played_by_one(path: Path) -> None:
    head = Playhead(path)
    with pytest.raises(NoonsongError, match="another noonsong"):
        Playhead(path)
    head.close()
