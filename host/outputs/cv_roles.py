"""What each of a board's voltages and gates is for, read from words like "pitch 1". Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from host.config import Board
from model.errors import NoonsongError
from model.tokens import VOICE_NAMES

CHANNELS = 4

CV_ALLOWED = '"pitch 1" to "pitch 4", "velocity 1", "gate 1", "trigger 1", "control density", "clock", "reset" or "off"'
GATE_ALLOWED = (
    '"gate 1" to "gate 4", "trigger 1", "trigger drums" (any family; "trigger drums 36" for one of its notes),'
    ' "clock", "reset" or "off"'
)
_WITH_LANE = {"cv": ("pitch", "velocity", "gate", "trigger"), "gate": ("gate", "trigger")}


class Role(NamedTuple):
    """`lane` 0 to 3: which line of notes it follows. Or `voice` (and `pitch`): which family's notes trigger it.
    Or `control`: whose position it shows. "clock" and "reset" belong to the clock.
    """

    kind: str
    lane: int | None = None
    voice: int | None = None
    pitch: int | None = None
    control: str = ""


class Outlets(NamedTuple):
    """Channels (0 to 3) among the voltages, and among the gates."""

    cvs: list[int]
    gates: list[int]


def parse_role(text: str, place: str) -> Role:
    """The role of an output at `place` "cv" or "gate". Raises NoonsongError saying what it may be."""
    kind, *rest = text.lower().split() or [""]
    if kind in ("off", "clock", "reset") and not rest:
        return Role(kind)
    if kind == "control" and place == "cv" and len(rest) == 1:
        return Role(kind, control=rest[0])
    if kind in _WITH_LANE[place] and len(rest) == 1 and rest[0] in ("1", "2", "3", "4"):
        return Role(kind, lane=int(rest[0]) - 1)
    if kind == "trigger" and place == "gate" and rest and rest[0] in VOICE_NAMES:
        voice = VOICE_NAMES.index(rest[0])
        if len(rest) == 1:
            return Role(kind, voice=voice)
        if len(rest) == 2 and rest[1].isdigit() and int(rest[1]) < 128:
            return Role(kind, voice=voice, pitch=int(rest[1]))
    allowed = CV_ALLOWED if place == "cv" else GATE_ALLOWED
    raise NoonsongError(
        f'board.{place if place == "cv" else "gates"} cannot hold "{text}": it may be {allowed}'
    )


def parse_roles(texts: Sequence[str], place: str) -> list[Role]:
    """The roles of all outputs of a kind; those not named are off. Raises NoonsongError as parse_role does."""
    if len(texts) > CHANNELS:
        raise NoonsongError(f"a board has {CHANNELS} outputs of each kind, not {len(texts)}")
    roles = [parse_role(text, place) for text in texts]
    return roles + [Role("off")] * (CHANNELS - len(roles))


def outlets_with_role(settings: Board, kind: str) -> Outlets:
    """The outputs that have a role without a lane, as "clock"."""
    cvs, gates = parse_roles(settings.cv, "cv"), parse_roles(settings.gates, "gate")
    return Outlets(
        [channel for channel, role in enumerate(cvs) if role.kind == kind],
        [channel for channel, role in enumerate(gates) if role.kind == kind],
    )
