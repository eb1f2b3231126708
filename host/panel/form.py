"""The settings as a form: every key of noonsong.toml that a page may set, drawn from the settings' own types.

What names files of the box (weights, journal) is not among them: no text from a page becomes a path.
"""

import re
import types
from collections.abc import Iterator
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from host.config import Config, load_config
from host.config_file import ConfigFile, Plain
from model.errors import NoonsongError

NOT_HERE = {"play.weights", "play.journal", "inputs.map", "controls"}  # paths; or with a place of their own

Kind = Literal["text", "number", "whole", "switch", "choice", "list", "wholes", "groups", "pairs"]


class Field(NamedTuple):
    """One setting. `value` is as a person writes it: lists with commas, groups of them with semicolons between,
    pairs as bass=1, drums=10.
    """

    key: str
    kind: Kind
    value: str | float | bool
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    help: str


class Form:
    """The settings in a file, and what they may be."""

    def __init__(self, file: ConfigFile) -> None:
        """The file is read whenever the form is asked for."""
        self._file = file
        self._help = _comments((files("host") / "noonsong.default.toml").read_text(encoding="utf-8"))

    def fields(self) -> list[Field]:
        """Every setting. Raises NoonsongError when the file cannot be read."""
        config = load_config(self._file.path) if self._file.path.exists() else Config()
        return list(self._of(config, ""))

    def set(self, key: str, text: str) -> None:
        """Set one as a person writes it. Raises NoonsongError saying what it may be; nothing has changed then."""
        field = next((field for field in self.fields() if field.key == key), None)
        if field is None:
            raise NoonsongError(f'there is no setting "{key}" to be set here')
        value = _parsed(field, text.strip())
        if key.startswith("midi.outputs.") and "outputs" not in (
            self._file.path.read_text(encoding="utf-8") if self._file.path.exists() else "outputs"
        ):
            self._file.set("midi.outputs", [{}])
        self._file.set(key, value)

    def _of(self, section: msgspec.Struct, prefix: str) -> Iterator[Field]:
        hints = get_type_hints(type(section), include_extras=True)
        for name in section.__struct_fields__:
            key, value = prefix + name, getattr(section, name)
            if key in NOT_HERE:
                continue
            if isinstance(value, msgspec.Struct):
                yield from self._of(value, f"{key}.")
            elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
                for index, row in enumerate(value):
                    yield from self._of(row, f"{key}.{index}.")
            else:
                section_name = re.sub(r"\.\d+", "", key)
                field = _field(key, hints[name], value, self._help.get(section_name, ""))
                if field is not None:
                    yield field


def _field(key: str, kind: Any, value: Any, help_text: str) -> Field | None:
    low = high = None
    if get_origin(kind) is Annotated:
        kind, meta, *_ = get_args(kind)
        low = meta.ge if meta.ge is not None else meta.gt
        high = meta.le
    if isinstance(kind, types.UnionType):
        return None
    origin = get_origin(kind)
    if origin is Literal:
        return Field(key, "choice", value, None, None, tuple(map(str, get_args(kind))), help_text)
    if origin is tuple:
        item = get_args(kind)[0]
        item = get_args(item)[0] if get_origin(item) is Annotated else item
        if get_origin(item) is tuple:
            groups = "; ".join(", ".join(group) for group in value)
            return Field(key, "groups", groups, None, None, (), help_text)
        listed: Kind = "wholes" if item is int else "list"
        return Field(key, listed, ", ".join(map(str, value)), None, None, (), help_text)
    if origin is dict:
        return Field(key, "pairs", ", ".join(f"{k}={v}" for k, v in value.items()), None, None, (), help_text)
    kinds: dict[Any, Kind] = {bool: "switch", int: "whole", float: "number", str: "text"}
    if kind not in kinds:
        return None
    return Field(key, kinds[kind], value, low, high, (), help_text)


def _parsed(field: Field, text: str) -> Plain:
    try:
        match field.kind:
            case "switch":
                return {"on": True, "off": False}[text]
            case "whole":
                return int(text)
            case "number":
                return float(text)
            case "list":
                return _parts(text, ",")
            case "wholes":
                return [int(part) for part in _parts(text, ",")]
            case "groups":
                return [_parts(group, ",") for group in _parts(text, ";")]
            case "pairs":
                pairs = [part.partition("=") for part in text.split(",")] if text else []
                return {name.strip(): int(number) for name, _, number in pairs}
    except (ValueError, KeyError):
        examples = {
            "switch": "on or off",
            "pairs": "written like bass=1, drums=10",
            "wholes": "written like 48, 60, 72",
        }
        raise NoonsongError(
            f'{field.key} cannot be "{text}": it is {examples.get(field.kind, "a number")}'
        ) from None
    return text


def _parts(text: str, between: str) -> list[str]:
    return [part.strip() for part in text.split(between)] if text else []


def _comments(toml: str) -> dict[str, str]:
    """What the commented default file says about each key."""
    said, section = {}, ""
    for line in toml.splitlines():
        if header := re.match(r"\[+([\w.]+)\]+", line):
            section = header[1]
        elif setting := re.match(r"# (\w+) = .*?  +# (.+)", line):
            said[f"{section}.{setting[1]}"] = setting[2]
    return said
