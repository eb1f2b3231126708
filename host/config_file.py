"""Writes settings into noonsong.toml and keeps everything else there as it is, comments too."""

import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from host.config import DEFAULT_FILE, Config, Mapped, load_config
from model.errors import NoonsongError

Plain = float | int | bool | str | list[Any] | dict[str, Any]


class ConfigFile:
    """One noonsong.toml. Where there is none yet, it begins as the commented one of `noonsong init`."""

    def __init__(
        self, path: Path | None = None, check: Callable[[Config], None] = lambda config: None
    ) -> None:
        """`path`: None for noonsong.toml here. `check` raises NoonsongError for what a start would refuse."""
        self.path = path or DEFAULT_FILE
        self._check = check

    def check(self) -> None:
        """Raises NoonsongError when nothing could be started with the file as it is now."""
        self._check(load_config(self.path) if self.path.exists() else Config())

    def set(self, key: str, value: Plain) -> Config:
        """Set a key like "board.zero_pitch" or "midi.outputs.0.port"; returns the settings as they are then.

        Raises NoonsongError, and leaves the file as it was, when such settings cannot be or not be written.
        """
        document = self._read()
        at: Any = document
        *way, last = key.split(".")
        for step in way:
            if isinstance(at, list):
                at = at[_index(key, step, at)]
            else:
                if step not in at:
                    at[step] = tomlkit.table()
                at = at[step]
        at[_index(key, last, at) if isinstance(at, list) else last] = value
        return self._write(document)

    def set_mappings(self, mappings: Sequence[Mapped]) -> Config:
        """Make these the [[inputs.map]] of the file. Raises NoonsongError as `set` does."""
        document = self._read()
        if "inputs" not in document:
            document["inputs"] = tomlkit.table()
        inputs: Any = document["inputs"]
        kept = {_frozen(row): row for row in inputs.get("map", [])}  # with the comments beside them
        rows = tomlkit.aot()
        for mapped in mappings:
            plain = _without_defaults(mapped)
            row = kept.get(_frozen(plain))
            if row is None:
                row = tomlkit.table()
                row.update(plain)
            rows.append(row)
        inputs.pop("map", None)
        if mappings:
            inputs["map"] = rows
        return self._write(document)

    def _read(self) -> tomlkit.TOMLDocument:
        try:
            if self.path.exists():
                text = self.path.read_text(encoding="utf-8")
            else:
                text = (files("host") / "noonsong.default.toml").read_text(encoding="utf-8")
            return tomlkit.parse(text)
        except (OSError, UnicodeDecodeError, TOMLKitError) as error:
            raise NoonsongError(f"cannot read {self.path}: {error}") from None

    def _write(self, document: tomlkit.TOMLDocument) -> Config:
        """Checked first, then put in place whole: a power cut leaves the old file or the new one."""
        folder = self.path.resolve().parent
        try:
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=".noonsong-", suffix=".toml")
            new = Path(name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(tomlkit.dumps(document))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NoonsongError(f"cannot write into {folder}: {error.strerror}") from None
        try:
            config = load_config(new)
            self._check(config)
            new.chmod(self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644)
            new.replace(self.path)
            return config
        except NoonsongError as error:
            raise NoonsongError(str(error).replace(name, str(self.path))) from None
        finally:
            new.unlink(missing_ok=True)


def _without_defaults(mapped: Mapped) -> dict[str, Plain]:
    plain = msgspec.structs.asdict(Mapped("", ""))
    return {key: value for key, value in msgspec.structs.asdict(mapped).items() if value != plain[key]}


def _frozen(row: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((key, value) for key, value in row.items()))


def _index(key: str, step: str, rows: list[Any]) -> int:
    if step.isdigit() and int(step) < len(rows):
        return int(step)
    raise NoonsongError(f'there is no {step} in "{key}": there are 0 to {len(rows) - 1}')
