import json

import pytest

from host.cli import main as noonsong
from model.card import fill, main, replaced
from model.errors import NoonsongError
from tests.model.test_archive_build import write_tunes

CARD = "# Card\n" + "\n".join(
    f"<!-- {name} -->\nold {name}\n<!-- /{name} -->\nkept"
    for name in (
        "collections",
        "sources",
        "left out",
        "held out",
        "knobs",
        "distances",
        "copying",
        "dead-ends",
    )
)


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "music21:bach"  # a collection that the tables know
    write_tunes(folder, 6)
    (folder / "bad.krn").write_text("no music")
    assert (
        noonsong(["archive", "build", "--out", str(tmp_path / "archive"), "--workers", "1", str(folder)]) == 0
    )
    return tmp_path / "archive"


def _row(notes):
    ratio = {"value": 4.5, "low": 4.25, "high": 4.75}
    return {
        "pieces": 2, "notes": notes, "tokens_per_note": 2.4, "bits_per_note": ratio, "nats_per_pitch": ratio,
        "markov_bits_per_note": {"value": 9.0, "low": 8.0, "high": 10.0}, "below_markov_percent": 50.0,
    }  # fmt: skip


def test_a_card_is_filled_from_the_archive_and_the_figures(archive, tmp_path):
    figures = tmp_path / "figures"
    figures.mkdir()
    whole = {"collections": {"a": _row(1234)}, "total": _row(5678)}
    for name in ("plain", "told"):
        (figures / f"{name}.json").write_text(json.dumps(whole))
    ends = [{"temperature": 0.2, "hours": 24.0, "notes": 9, "longest_silence_beats": 3.5, "most_repeats": 4}]
    (figures / "dead-ends.json").write_text(json.dumps({"dead-ends": ends}))
    card = tmp_path / "README.md"
    card.write_text(CARD)
    assert main([str(card), "--archive", str(archive), "--figures", str(figures)]) == 0
    text = card.read_text()
    assert "1,234" in text and "4.25 to 4.75" in text and "50 %" in text
    assert "3.5 beats" in text
    assert "| **in all** |" in text and "| 0 | " in text
    assert "- 1: " in text
    assert "old knobs" in text and "old collections" not in text
    assert text.count("kept") == CARD.count("kept")
    assert fill(text, archive, figures) == text


def test_a_card_without_a_place_is_named(tmp_path):
    assert replaced("<!-- a -->\n1\n<!-- /a -->", "a", "2") == "<!-- a -->\n2\n<!-- /a -->"
    with pytest.raises(NoonsongError, match="no place for its table b"):
        replaced("text", "b", "2")
