"""Finds the files of a source: a folder, a zip, a single file, or a part of music21's corpus."""

import hashlib
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from model.archive.piece import Rejected
from model.errors import NoonsongError

FORMATS = (".mid", ".midi", ".mxl", ".musicxml", ".xml", ".krn", ".abc")
LARGEST_FILE_BYTES = 64 << 20
MUSIC21_LICENCE = "free of restrictions, from the corpus of music21 (BSD)"
# Parts of music21's corpus whose encodings carry no restriction, and files in them that do.
MUSIC21_FREE = (
    "bach", "beethoven", "haydn", "mozart", "schumann_robert", "schumann_clara", "oneills1850",
    "ryansMammoth", "airdsAirs",
)  # fmt: skip
_RESERVED_RIGHTS = re.compile(
    rb"all rights|ccarh|noncommercial|non-commercial|by-nc|copyright \d{4}[^<]*center", re.I
)
MUSIC21_RESTRICTED = {
    "palestrina": "all rights to derivative electronic formats are reserved",
    "essenFolksong": "its status is unclear and commercial use is excluded",
    "monteverdi": "some of its files are restricted",
    "leadSheet": "a song in copyright",
}


@dataclass(frozen=True)
class Item:
    """One file to read: `where` is the folder, zip or file itself that holds it, `member` its path in there.

    `tune` is the number of a tune in an ABC book, counted from 1, 0 for a whole file. `stamp` changes
    when the file does and is cheap to have. `spare_reader`: its usual reader crashed on it before.
    """

    collection: str
    where: str
    member: str
    stamp: str
    tune: int = 0
    spare_reader: bool = False

    @property
    def path(self) -> str:
        """How the item is called in the archive."""
        return f"{self.member}#{self.tune}" if self.tune else self.member


@lru_cache(maxsize=4)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def read_item(item: Item) -> bytes:
    """The bytes of an item. Raises Rejected when they cannot be had or are far too many."""
    try:
        if item.where.endswith(".zip"):
            archive = _open_zip(item.where)
            if archive.getinfo(item.member).file_size > LARGEST_FILE_BYTES:
                raise Rejected("it is absurdly long: the file is over 64 MB")
            return archive.read(item.member)
        path = Path(item.where) / item.member
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise Rejected("it is absurdly long: the file is over 64 MB")
        return path.read_bytes()
    except (OSError, zipfile.BadZipFile, KeyError, EOFError, zipfile.zlib.error, RuntimeError) as error:  # type: ignore[attr-defined]
        raise Rejected(f"it cannot be read ({error})") from error


def find_items(source: str) -> Iterator[Item]:
    """The items of a source, streamed: never the whole listing at once for folders.

    Raises NoonsongError when there is no such source.
    """
    if source.startswith("music21:"):
        yield from _music21_items(source.removeprefix("music21:"))
        return
    path = Path(source).expanduser()
    if path.is_dir():
        yield from _folder_items(path, path.name or path.resolve().name, path)
    elif path.suffix.lower() == ".zip" and path.is_file():
        yield from _zip_items(path)
    elif path.is_file() and path.suffix.lower() in FORMATS:
        yield from _file_items(path, path.parent.resolve().name, path.parent)
    elif path.exists():
        raise NoonsongError(f"{source} is neither a folder, a zip nor a music file ({', '.join(FORMATS)})")
    else:
        raise NoonsongError(
            f"there is no {source}: a source is a folder, a zip, a music file, or a part of music21's corpus "
            "such as music21:bach or music21:free"
        )


def _folder_items(folder: Path, collection: str, root: Path) -> Iterator[Item]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _folder_items(path, collection, root)
        elif path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
            yield from _zip_items(path)
        elif path.suffix.lower() in (*FORMATS, ".zip"):
            yield from _file_items(path, collection, root)


def _file_items(path: Path, collection: str, root: Path) -> Iterator[Item]:
    try:
        stat = path.stat()
    except OSError:
        return
    stamp = f"{stat.st_size}:{stat.st_mtime_ns}"
    yield from _tunes(Item(collection, str(root), str(path.relative_to(root)), stamp))


def _zip_items(path: Path) -> Iterator[Item]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise NoonsongError(f"{path} is not a zip that can be read ({error})") from error
    with archive:
        # In a fixed shuffled order, so that a build cut short is a fair sample.
        infos = sorted(archive.infolist(), key=lambda info: hashlib.sha256(info.filename.encode()).digest())
        for info in infos:
            inside = Path(info.filename)
            if info.is_dir() or inside.suffix.lower() not in FORMATS or inside.name.startswith("."):
                continue
            stamp = f"{info.file_size}:{info.CRC:08x}"
            yield from _tunes(Item(path.stem, str(path), info.filename, stamp))


def _tunes(item: Item) -> Iterator[Item]:
    """The item itself, or the tunes of an ABC book one by one."""
    if not item.member.lower().endswith(".abc"):
        yield item
        return
    try:
        count = len(abc_tunes(read_item(item).decode("utf-8", "replace")))
    except Rejected:
        count = 0
    if count <= 1:
        yield item
        return
    for tune in range(1, count + 1):
        yield Item(item.collection, item.where, item.member, f"{item.stamp}:{tune}", tune)


def abc_tunes(text: str) -> list[str]:
    """The tunes of an ABC book, each with the book's own header lines before its X: field."""
    head, *tunes = re.split(r"(?m)^(?=X:)", text)
    fields = "".join(line for line in head.splitlines(keepends=True) if re.match(r"[A-WYZ]:", line))
    return [fields + tune if not fields else _after_first_line(tune, fields) for tune in tunes]


def _after_first_line(tune: str, fields: str) -> str:
    first, newline, rest = tune.partition("\n")
    return first + newline + fields + rest


def music21_parts(part: str) -> list[str]:
    """The folders of music21's corpus that `part` names: one, or `free` for all that are unrestricted.

    Raises NoonsongError for a part that is restricted or unknown.
    """
    if part == "free":
        return list(MUSIC21_FREE)
    if part in MUSIC21_RESTRICTED:
        raise NoonsongError(f"music21:{part} is left out of archives: {MUSIC21_RESTRICTED[part]}")
    if part not in MUSIC21_FREE:
        raise NoonsongError(
            f"music21:{part} is not a part that may be used; these are: free, {', '.join(MUSIC21_FREE)}"
        )
    return [part]


def _music21_items(part: str) -> Iterator[Item]:
    from importlib.util import find_spec

    spec = find_spec("music21")
    parts = music21_parts(part)
    if spec is None or spec.origin is None:
        raise NoonsongError("music21 is not installed: pip install 'noonsong[train]' brings it")
    corpus = Path(spec.origin).parent / "corpus"
    for name in parts:
        folder = corpus / name
        if folder.is_dir():
            yield from _folder_items(folder, f"music21:{name}", folder)


def is_restricted(item: Item, data: bytes) -> bool:
    """Whether a file of music21's corpus says that its encoding is restricted."""
    return item.collection.startswith("music21:") and _RESERVED_RIGHTS.search(data) is not None
