"""Building for real: files on disk, worker processes, SQLite, kills and interrupts."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from host.cli import main
from model.archive import labels, reading
from model.archive.build import build
from model.archive.pool import Pool
from model.archive.sources import Item, abc_tunes, find_items
from model.archive.store import FILE_NAME, Archive, Parsed, Writer
from model.errors import NoonsongError

ROOT = Path(__file__).parents[2]
COMMIT_AT_ONCE = """
import signal, sys
from host.cli import main
from model.archive import build
build.COMMIT_EVERY_S = 0.0
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and theirs do, too
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def tune(seed: int, up: int = 0, bars: int = 12) -> str:
    """A kern melody by rule, `up` semitones higher; other seeds are other music."""
    random = np.random.default_rng(seed)
    lines = ["!!!COM: Maker, A", f"!!!OTL: Tune {seed}", "**kern", "*Ipiano", "*M4/4"]
    pitch = 60 + up
    for bar in range(bars):
        lines.append(f"={bar + 1}")
        for _ in range(8):
            pitch = int(np.clip(pitch + random.integers(-3, 4), 48 + up, 79 + up))
            lines.append(f"8{kern_name(pitch)}")
    return "\n".join([*lines, "==", "*-", ""])


def kern_name(pitch: int) -> str:
    letter = ["c", "c#", "d", "d#", "e", "f", "f#", "g", "g#", "a", "a#", "b"][pitch % 12]
    octave = pitch // 12 - 1
    if octave >= 4:
        return letter[0] * (octave - 3) + letter[1:]
    return letter[0].upper() * (4 - octave) + letter[1:]


def write_tunes(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for seed in range(count):
        (folder / f"{seed:03}.krn").write_text(tune(seed))


def rows(folder: Path, columns: str, order: str = "path") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        return db.execute(f"SELECT {columns} FROM pieces ORDER BY {order}").fetchall()


def test_a_folder_becomes_pieces_with_provenance(tmp_path: Path) -> None:
    write_tunes(tmp_path / "mine", 3)
    counts = build(tmp_path / "out", [str(tmp_path / "mine")], workers=2)
    assert counts == {"ok": 3}
    pieces = list(Archive(tmp_path / "out").pieces())
    assert [piece.provenance.path for piece in pieces] == ["000.krn", "001.krn", "002.krn"]
    first = pieces[0]
    assert (first.provenance.collection, first.provenance.title, first.provenance.composer) == (
        "mine", "Tune 0", "Maker, A",
    )  # fmt: skip
    assert len(first.provenance.content_hash) == 64
    assert first.bars == ((0, 96),)
    assert len(first.notes) == 96
    assert first.source == "", "only known collections have a source"
    assert first.split in ("train", "valid", "test")
    figures = Archive(tmp_path / "out").counts()
    assert (figures["pieces"], figures["notes"]) == (3, 288)


def test_nothing_is_read_twice_and_a_changed_file_is(tmp_path: Path) -> None:
    source, out = tmp_path / "mine", tmp_path / "out"
    write_tunes(source, 4)
    build(out, [str(source)], workers=1)
    before = rows(out, "id, path, split, cluster")
    assert build(out, [str(source)], workers=1) == {"cached": 4}
    (source / "001.krn").write_text(tune(77))
    (source / "new.krn").write_text(tune(78))
    assert build(out, [str(source)], workers=1) == {"cached": 3, "ok": 2}
    after = rows(out, "id, path, split, cluster")
    assert after[:4] == before, "what was there keeps its number, split and cluster"


def test_a_new_version_of_a_reader_reads_its_own_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "mine", tmp_path / "out"
    write_tunes(source, 2)
    (source / "a.abc").write_text("X:1\nM:4/4\nL:1/8\nK:C\n" + "CDEF GABc|dcBA GFED|" * 4)
    build(out, [str(source)], workers=1)
    monkeypatch.setitem(reading.READERS, ".abc", "abc next")
    assert build(out, [str(source)], workers=1) == {"cached": 2, "ok": 1}


def test_a_zip_with_junk_lists_each_reason(tmp_path: Path) -> None:
    path = tmp_path / "box.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.krn", tune(1))
        archive.writestr("notes.txt", "not music and not asked for")
        archive.writestr("__MACOSX/._good.krn", "junk")
        archive.writestr("empty.mid", b"")
        archive.writestr("cut.mid", b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\1\0")
        archive.writestr("page.xml", "<html/>")
        archive.writestr("broken.mxl", b"PK\3\4")
    out = tmp_path / "out"
    assert build(out, [str(path)], workers=1) == {"ok": 1, "rejected": 4}
    reasons = {name: reason for _, name, reason in Archive(out).rejected()}
    assert set(reasons) == {"empty.mid", "cut.mid", "page.xml", "broken.mxl"}
    assert "empty" in reasons["empty.mid"]
    assert "truncated" in reasons["cut.mid"]
    assert "not MusicXML" in reasons["page.xml"]
    assert "broken compressed score" in reasons["broken.mxl"]


def test_a_folder_with_a_broken_zip_goes_on(tmp_path: Path) -> None:
    write_tunes(tmp_path / "mine", 1)
    (tmp_path / "mine" / "bad.zip").write_bytes(b"PK, or not")
    assert build(tmp_path / "out", [str(tmp_path / "mine")], workers=1) == {"ok": 1, "rejected": 1}


def test_a_damaged_member_of_a_zip_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "box.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.krn", tune(1))
        archive.writestr("b.krn", tune(2))
    data = bytearray(path.read_bytes())
    data[data.index(b"Tune 1")] ^= 0xFF
    path.write_bytes(data)
    assert build(tmp_path / "out", [str(path)], workers=1) == {"ok": 1, "rejected": 1}


def test_duplicates_and_works_share_a_split(tmp_path: Path) -> None:
    source, out = tmp_path / "mine", tmp_path / "out"
    write_tunes(source, 40)
    (source / "z-copy.krn").write_text(tune(7))
    (source / "z-higher.krn").write_text(tune(8, up=5).replace("Tune 8", "Another name"))
    (source / "z-movement.krn").write_text(tune(90).replace("!!!OTL", "!!!OPR: Tune 9\n!!!OTL"))
    build(out, [str(source)], workers=2)
    found = {str(path): tuple(rest) for path, *rest in rows(out, "path, status, cluster, split")}
    assert found["z-copy.krn"] == ("duplicate", *found["007.krn"][1:])
    assert found["z-higher.krn"] == ("ok", *found["008.krn"][1:])
    assert found["z-movement.krn"] == ("ok", *found["009.krn"][1:])
    assert len({cluster for _, cluster, _ in found.values()}) == 40
    assert {split for _, _, split in found.values()} == {"train", "valid", "test"}
    split_of_cluster = {(cluster, split) for _, cluster, split in found.values()}
    assert len(split_of_cluster) == 40
    counts = Archive(out).counts()
    assert (counts["pieces"], counts["duplicates"], counts["clusters"]) == (42, 1, 40)
    assert sum(1 for split in ("train", "valid", "test") for _ in Archive(out).pieces(split)) == 42


def test_an_archive_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    write_tunes(tmp_path / "mine", 30)
    columns = "id, path, cluster, split, content_hash, notes"
    built = []
    for workers in (1, 3):
        build(tmp_path / f"out{workers}", [str(tmp_path / "mine")], workers=workers)
        built.append(rows(tmp_path / f"out{workers}", columns))
    assert built[0] == built[1]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_build_resumes(tmp_path: Path, how: signal.Signals) -> None:
    """Cut down in the middle by a real signal, it goes on with what is missing and ends the same."""
    source, out, whole = tmp_path / "mine", tmp_path / "out", tmp_path / "whole"
    write_tunes(source, 400)
    arguments = ["archive", "build", "--json", "--workers", "2", "--out", str(out), str(source)]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMIT_AT_ONCE, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: (out / FILE_NAME).exists() and _read(out) >= 20, process)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert b"run the same command again" in errors
    done = _read(out)
    assert 20 <= done < 400
    counts = build(out, [str(source)], workers=2)
    assert counts["cached"] == done
    assert counts["ok"] == 400 - done
    build(whole, [str(source)], workers=2)
    columns = "id, path, cluster, split, notes"
    assert rows(out, columns) == rows(whole, columns)


def _read(out: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{out / FILE_NAME}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT COUNT(*) FROM pieces").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def crash_or_answer(item: str) -> str:
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "hang":
        while True:
            time.sleep(60)
    return f"{item} done"


def lost(item: str, reason: str) -> str:
    return f"{item}: {reason}"


def test_a_worker_that_crashes_or_hangs_costs_its_own_item() -> None:
    items = ["a", "crash", "b", "hang", "c", "crash", "d"]
    results = list(Pool(crash_or_answer, lost, 2, limit_s=1.5).map(items))
    assert results == [
        "a done", "crash: the reader crashed on it", "b done", "hang: the reader did not finish within 2 s",
        "c done", "crash: the reader crashed on it", "d done",
    ]  # fmt: skip


def test_two_builds_at_once_are_refused(tmp_path: Path) -> None:
    with Writer(tmp_path) as _, pytest.raises(NoonsongError, match="another build"), Writer(tmp_path):
        pass


def test_a_damaged_archive_is_said_to_be(tmp_path: Path) -> None:
    write_tunes(tmp_path / "mine", 20)
    build(tmp_path / "out", [str(tmp_path / "mine")], workers=1)
    path = tmp_path / "out" / FILE_NAME
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(NoonsongError, match="damaged"):
        list(Archive(tmp_path / "out").pieces())


def test_reading_while_it_is_written(tmp_path: Path) -> None:
    item = Item("mine", str(tmp_path), "a.krn", "1")
    (tmp_path / "a.krn").write_text(tune(1))
    with Writer(tmp_path / "out") as writer:
        writer.add(reading.parse(item))
        assert list(Archive(tmp_path / "out").pieces()) == []
        writer.commit()
        assert len(list(Archive(tmp_path / "out").pieces())) == 1
        writer.add(Parsed(Item("mine", str(tmp_path), "b.krn", "1"), "x", "", reason="no"))
        assert len(list(Archive(tmp_path / "out").rejected())) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["build", "--out", "{}/out", "{}/nowhere"], "there is no"),
        (["build", "--out", "{}/out", "music21:palestrina"], "left out"),
        (["build", "--out", "{}/out", "music21:nothing"], "these are: free"),
        (["build", "--out", "{}/out", "{}/text.txt"], "neither a folder"),
        (["build", "--out", "{}/text.txt", "{}"], "no archive can be written"),
        (["show", "{}"], "there is no archive"),
        (["show", "{}/odd"], "not an archive"),
    ],
)
def test_wrong_words_get_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / FILE_NAME).write_text("this is not a database, although it is long enough to be one")
    assert main(["archive", *(argument.format(tmp_path) for argument in arguments)]) == 2
    assert sentence in capsys.readouterr().err


def test_show_counts_and_rejections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tunes(tmp_path / "mine", 2)
    (tmp_path / "mine" / "bad.mid").write_bytes(b"hello")
    assert main(["archive", "build", "--json", "--out", f"{tmp_path}/out", f"{tmp_path}/mine"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["build"]["ok"] == 2
    assert figures["archive"]["collections"]["mine"] == {"pieces": 2, "notes": 192}
    assert main(["archive", "show", f"{tmp_path}/out", "--rejected"]) == 0
    assert "bad.mid: it does not begin like a MIDI file" in capsys.readouterr().out
    assert main(["archive", "show", f"{tmp_path}/out"]) == 0
    assert "2 pieces" in capsys.readouterr().out


class TestLabels:
    def test_only_what_says_its_licence_is_taken(self, tmp_path: Path) -> None:
        licence = "!!!YEM: License CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0)\n"
        with zipfile.ZipFile(tmp_path / "polish-scores.zip", "w") as archive:
            archive.writestr("free.krn", licence + tune(1))
            archive.writestr("silent.krn", tune(2))
            archive.writestr("other.krn", "!!!YEM: All rights reserved\n" + tune(3))
        out = tmp_path / "out"
        assert build(out, [str(tmp_path / "polish-scores.zip")], workers=1) == {"ok": 1, "rejected": 2}
        reasons = {name: reason for _, name, reason in Archive(out).rejected()}
        assert "no licence record" in reasons["silent.krn"]
        assert "All rights reserved" in reasons["other.krn"]
        (piece,) = Archive(out).pieces()
        assert piece.provenance.licence == "CC BY 4.0"
        assert piece.source in labels.SOURCES

    def test_prints_and_movements_have_one_key(self) -> None:
        item = Item("polish-scores", "", "x.krn", "")
        keys = {
            labels.provenance(item, {"COM": "Chopin, Fryderyk", "OTL": title}, "").work
            for title in ("Mazurka op. 7", "Mazurek, Op. 7", "Œuvre 7: oeuv. 7")
        }
        assert keys == {"chopin|op7"}
        lost = [{"COM": "Anonim", "OPR": "Missa", "SMS-shelfmark": mark} for mark in ("A 1", "B 2")]
        assert len({labels.provenance(item, records, "").work for records in lost}) == 2

    @pytest.mark.parametrize(
        ("path", "composer", "work"),
        [
            ("scores/Wolf,_Hugo/Lieder,_Op.3/1_Abend/lc1.mxl", "Wolf, Hugo", "wolf|op3"),
            (
                "scores/Schubert,_Franz/Winterreise,_D.911/04_Erstarrung/lc2.mxl",
                "Schubert, Franz",
                "schubert|d911",
            ),
        ],
    )
    def test_paths_of_openscore(self, path: str, composer: str, work: str) -> None:
        known = labels.provenance(Item("openscore-lieder", "", path, ""), {}, "")
        assert (known.composer, known.work) == (composer, work)

    def test_every_collection_has_a_known_source(self) -> None:
        sources = {collection.source for collection in labels.COLLECTIONS.values()} - {""}
        assert sources <= set(labels.SOURCES)


class TestSources:
    def test_the_corpus_of_music21_gives_free_parts_only(self) -> None:
        items = list(find_items("music21:bach"))
        assert len(items) > 400
        restricted = [item for item in items if item.member.endswith(".krn")]
        assert len(restricted) == 3
        for item in restricted:
            assert "restricted" in reading.parse(item).reason

    def test_a_book_of_tunes_is_read_tune_by_tune(self, tmp_path: Path) -> None:
        (tmp_path / "book.abc").write_text(
            "% a book\nM:4/4\n\nX:1\nT:One\nK:C\nCDEF|\n\nX:2\nT:Two\nK:G\nGABc|\n"
        )
        items = list(find_items(str(tmp_path)))
        assert [item.path for item in items] == ["book.abc#1", "book.abc#2"]
        assert abc_tunes((tmp_path / "book.abc").read_text())[1].startswith("X:2\nM:4/4\nT:Two")
