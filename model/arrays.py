"""The arrays of an archive: made once beside it, used by every training and measurement."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from model.archive.labels import SOURCES
from model.archive.store import Archive
from model.dataset import SPLITS, Piece, Split, read_split, write_split
from model.errors import NoonsongError
from model.tokens import vocabulary_hash

UNNAMED = "other"  # the source of pieces whose kind the archive's tables do not name


def arrays_of_archive(
    archive_folder: Path, split: str, tell: Callable[[str], None] = lambda text: None
) -> Split:
    """One split of an archive as memory-mapped arrays, made when they are missing or older than the archive.

    Raises NoonsongError when there is no archive, or nothing in the split.
    """
    arrays = read_split(make_arrays(archive_folder, tell), split)
    if len(arrays.pieces) == 0:
        raise NoonsongError(
            f"the archive {archive_folder} has no piece in its {split} split: it is too small, add music to it"
        )
    return arrays


def make_arrays(archive_folder: Path, tell: Callable[[str], None] = lambda text: None) -> Path:
    """The folder of an archive's arrays, all splits of them, made when they are missing or older."""
    archive = Archive(archive_folder)
    folder = archive_folder / "arrays"
    counts = archive.counts()
    stamp = {"pieces": counts["pieces"], "notes": counts["notes"], "vocabulary_hash": vocabulary_hash()}
    stamp_path = folder / "stamp.json"
    if not stamp_path.exists() or json.loads(stamp_path.read_text()) != stamp:
        stamp_path.unlink(missing_ok=True)
        known = [name for name in SOURCES if name in counts["sources"]]
        others = sorted(name or UNNAMED for name in counts["sources"] if name not in SOURCES)
        sources, collections = [*known, *others], sorted(counts["collections"])
        for name in SPLITS:
            tell(f"making the {name} arrays of {archive_folder}")
            write_split(folder, name, _rows(archive, name, sources, collections), sources, collections)
        part = stamp_path.with_suffix(".part")
        part.write_text(json.dumps(stamp))
        part.replace(stamp_path)
    return folder


def _rows(
    archive: Archive, split: str, sources: list[str], collections: list[str]
) -> Iterator[tuple[int, int, int, Piece]]:
    for number, piece in enumerate(archive.pieces(split)):
        source = sources.index(piece.source or UNNAMED)
        yield number, source, collections.index(piece.provenance.collection), piece
