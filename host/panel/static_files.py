"""The page's own files, read once: what a client asks for is looked up by name and never becomes a path."""

import gzip
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}


class StaticFile(NamedTuple):
    """One file, as it is sent."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str


def static_files() -> Mapping[str, StaticFile]:
    """Everything in static/, by the path under which it is asked for."""
    found = {}
    for item in files("host.panel").joinpath("static").iterdir():
        ending = item.name.rpartition(".")[2]
        if ending in TYPES:
            plain = item.read_bytes()
            tag = f'"{hashlib.sha256(plain).hexdigest()[:20]}"'
            path = "/" if item.name == "index.html" else f"/{item.name}"
            found[path] = StaticFile(TYPES[ending], plain, gzip.compress(plain, mtime=0), tag)
    return found
