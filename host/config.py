"""noonsong.toml -> frozen, checked settings. Every setting has a default; every error names the key."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec

from host.board_events import ZERO_VOLT_PITCH
from host.midi_ports import APIS
from model.errors import NoonsongError
from model.tokens import VOICE_NAMES

DEFAULT_FILE = Path("noonsong.toml")

Channel = Annotated[int, msgspec.Meta(ge=1, le=16)]
Program = Annotated[int, msgspec.Meta(ge=1, le=128)]
OffsetMs = Annotated[float, msgspec.Meta(ge=-100, le=100)]
PulsesPerBeat = Literal[1, 2, 4, 8, 24, 48]
PulsesOutPerBeat = Literal[1, 2, 4, 8, 24]
GateRole = Literal["clock", "reset", "run", "freeze", "rest", "step", "off"]


ENGINES = ("network", "markov")


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Play(_Section, frozen=True):
    """How the piece is played."""

    weights: str = ""  # empty: those that noonsong ships
    journal: str = ""  # empty: where this system keeps such things
    engine: Literal["network", "markov"] = "network"
    commit_ms: Annotated[float, msgspec.Meta(ge=1, le=500)] = 15.0
    spin_ms: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.4


class MidiPort(_Section, frozen=True):
    """One MIDI output."""

    port: str = "auto"
    offset_ms: Annotated[float, msgspec.Meta(ge=-100, le=100)] = 0.0
    channels: dict[str, Channel] = {}
    programs: dict[str, Program] = {}
    send_programs: bool = True
    banks: dict[str, Annotated[int, msgspec.Meta(ge=0, le=16383)]] = {}
    mute: tuple[str, ...] = ()
    transpose: Annotated[int, msgspec.Meta(ge=-48, le=48)] = 0
    lowest: Annotated[int, msgspec.Meta(ge=0, le=127)] = 0
    highest: Annotated[int, msgspec.Meta(ge=0, le=127)] = 127
    velocity_curve: Literal["linear", "soft", "hard", "fixed"] = "linear"
    velocity_lowest: Annotated[int, msgspec.Meta(ge=1, le=127)] = 1
    velocity_highest: Annotated[int, msgspec.Meta(ge=1, le=127)] = 127
    control_ccs: dict[str, Annotated[int, msgspec.Meta(ge=0, le=119)]] = {}
    control_channel: Channel = 16
    thru: tuple[str, ...] = ()


class Midi(_Section, frozen=True):
    """Where MIDI goes."""

    api: str = "auto"
    outputs: tuple[MidiPort, ...] = (MidiPort(),)


class Mapped(_Section, frozen=True):
    """A control that something moves."""

    control: str
    by: str
    port: str = ""  # of MIDI only; empty: any
    low: float | str | None = None  # the control's values at the two ends of the way
    high: float | str | None = None
    curve: Literal["linear", "fine-low", "fine-high", "s"] = "linear"
    invert: bool = False
    pickup: Literal["jump", "pickup", "scaled", "toggle", "relative"] = "jump"


class Inputs(_Section, frozen=True):
    """What the instrument is played with, besides the board."""

    midi: tuple[str, ...] = ("auto",)
    map: tuple[Mapped, ...] = ()
    osc_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    osc_address: str = "127.0.0.1"
    keyboard: str = "auto"
    keyboard_channel: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    keyboard_voice: Literal["bass", "keys", "plucked", "strings", "winds", "voice"] = "keys"


class Day(_Section, frozen=True):
    """When it plays."""

    mode: Literal["always", "daily"] = "always"
    wake: Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "12:00"
    length_minutes: Annotated[float, msgspec.Meta(gt=0, le=1440)] = 60.0


class Board(_Section, frozen=True):
    """The board with knobs, gates and control voltages."""

    port: str = "auto"
    knobs: tuple[str, ...] = ("temperature", "density", "tempo", "thickness", "source", "rhythm")
    cv_voices: tuple[str, ...] = tuple(name for name in VOICE_NAMES if name != "drums")
    zero_pitch: Annotated[int, msgspec.Meta(ge=0, le=127)] = ZERO_VOLT_PITCH
    cv_inputs: tuple[str, ...] = ("", "")
    cv: tuple[str, ...] = ("pitch 1", "pitch 2", "pitch 3", "pitch 4")
    gates: tuple[str, ...] = ("gate 1", "gate 2", "gate 3", "gate 4")
    allot: Literal["last", "family", "register"] = "last"
    families: tuple[tuple[str, ...], ...] = (("bass",), ("keys", "plucked"), ("strings",), ("winds", "voice"))
    registers: tuple[Annotated[int, msgspec.Meta(ge=0, le=127)], ...] = (48, 60, 72)
    slew_ms: tuple[Annotated[int, msgspec.Meta(ge=0, le=65535)], ...] = (0, 0, 0, 0)
    trigger_ms: Annotated[float, msgspec.Meta(ge=0.1, le=1000)] = 10.0
    gate_inputs: tuple[GateRole, ...] = ("clock", "reset")
    offset_ms: OffsetMs = 0.0


class Clock(_Section, frozen=True):
    """Whose time is followed, and who may follow ours. The control "clock" chooses."""

    midi_port: str = "auto"
    midi_offset_ms: OffsetMs = 0.0
    gate_offset_ms: OffsetMs = 0.0
    link_offset_ms: OffsetMs = 0.0
    gate_pulses: PulsesPerBeat = 4
    lost: Literal["carry on", "stop"] = "carry on"
    midi_out: tuple[str, ...] = ()
    midi_out_offset_ms: OffsetMs = 0.0
    midi_out_while_stopped: bool = True
    gate_out_pulses: PulsesOutPerBeat = 4


class Panel(_Section, frozen=True):
    """The page that shows and plays the box."""

    port: Annotated[int, msgspec.Meta(ge=1024, le=65535)] = 1200
    network: bool = False  # also for other devices, with a pairing code
    spectators: bool = False  # devices that are not paired may look on
    names: tuple[str, ...] = ()  # further names of this machine, as a proxy or a name server may give it
    browser: bool = True


class Config(_Section, frozen=True):
    """The whole file."""

    play: Play = Play()
    controls: dict[str, float | bool | str] = {}
    midi: Midi = Midi()
    board: Board = Board()
    inputs: Inputs = Inputs()
    clock: Clock = Clock()
    day: Day = Day()
    panel: Panel = Panel()


def load_config(path: Path | None) -> Config:
    """Read a configuration; None means noonsong.toml here if there is one, else every default.

    Raises NoonsongError that names the file, the line, the key and what it may be.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return Config()
        path = DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoonsongError(f"cannot read {path}: {error}; `noonsong init` writes a new one") from None
    try:
        config = msgspec.convert(tomllib.loads(text), Config)
    except tomllib.TOMLDecodeError as error:
        raise NoonsongError(f"{path} is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise NoonsongError(f"{path}{_where(text, str(error))}") from None
    _check_names(path, text, config)
    return config


def _check_names(path: Path, text: str, config: Config) -> None:
    if config.midi.api != "auto" and config.midi.api not in APIS:
        allowed = ", ".join(["auto", *APIS])
        raise NoonsongError(f'{path}{_line(text, "api")}: midi.api may be {allowed}, not "{config.midi.api}"')
    named = [
        key
        for output in config.midi.outputs
        for key in (*output.channels, *output.programs, *output.banks, *output.mute)
    ]
    families = [name for lane in config.board.families for name in lane]
    for key in (*named, *config.board.cv_voices, *families):
        if key not in VOICE_NAMES:
            allowed = ", ".join(VOICE_NAMES)
            raise NoonsongError(
                f'{path}{_line(text, key)}: there is no voice "{key}"; the voices are {allowed}'
            )


def _where(text: str, message: str) -> str:
    """msgspec's message with the key it speaks of, the line where that stands, and what is allowed."""
    told, _, location = message.partition(" - at `$")
    path = [part for part in re.split(r"[.\[\]`]+", location) if part and not part.isdigit()]
    unknown = re.search(r"unknown field `(\w+)`", told)
    if unknown:
        section = ".".join(path) or "the file"
        allowed = ", ".join(_fields(path))
        key = unknown.group(1)
        return f'{_line(text, key)}: there is no setting "{key}" in {section}; it may hold {allowed}'
    if "matching regex" in told:
        told = "it must be a time of day like 12:00"
    elif "enum value" in told:
        told = f"it may be {', '.join(_choices(path))}"
    else:
        told = told[0].lower() + told[1:]
    return f"{_line(text, path[-1] if path else '')}: {'.'.join(path)}: {told}"


def _section(path: list[str]) -> type[_Section]:
    kinds: dict[str, type[_Section]] = {
        "play": Play,
        "midi": Midi,
        "board": Board,
        "day": Day,
        "panel": Panel,
        "outputs": MidiPort,
        "inputs": Inputs,
        "clock": Clock,
        "map": Mapped,
    }
    return kinds[path[-1]] if path else Config


def _fields(path: list[str]) -> tuple[str, ...]:
    return _section(path).__struct_fields__


def _choices(path: list[str]) -> tuple[str, ...]:
    """What a setting with a fixed number of words may be."""
    return get_args(get_type_hints(_section(path[:-1]))[path[-1]])


def _line(text: str, key: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        if key and re.match(rf"\s*(\[+\s*)?([\w.]+\.)?\"?{re.escape(key)}\b", line):
            return f", line {number}"
    return ""
