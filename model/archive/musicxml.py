"""What verovio leaves out of a MusicXML score: its metadata, what its parts are played on, its dynamics."""

import io
import re
import zipfile
from dataclasses import dataclass, field
from xml.etree import ElementTree

from model.archive.dynamics import Mark
from model.archive.piece import Rejected
from model.archive.voices import voice_of_name, voice_of_program, voice_of_sound
from model.tokens import PPQN

LARGEST_SCORE_BYTES = 64 << 20
_MEASURE_ID = "bar"


@dataclass
class Part:
    """A part: its voice (None: leave it out) and its dynamics by measure index, in ticks from its start."""

    name: str = ""
    sound: str = ""
    program: int = -1
    marks: dict[int, list[Mark]] = field(default_factory=dict)

    @property
    def voice(self) -> int | None:
        """Index into VOICES: by the standard sound, else the name, else the General MIDI program."""
        for found in (voice_of_sound(self.sound), voice_of_name(self.name) if self.name else ""):
            if not isinstance(found, str):
                return found
        return voice_of_program(max(self.program, 0))


def unpack_mxl(data: bytes) -> str:
    """The MusicXML inside a compressed .mxl file. Raises Rejected when it is broken or far too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            inside = ""
            if "META-INF/container.xml" in names:
                found = re.search(rb'full-path="([^"]+)"', archive.read("META-INF/container.xml"))
                inside = found[1].decode("utf-8", "replace") if found else ""
            if inside not in names:
                scores = [
                    n for n in names if n.endswith((".xml", ".musicxml")) and not n.startswith("META-INF")
                ]
                if not scores:
                    raise Rejected("it is a compressed score without a score inside")
                inside = scores[0]
            if archive.getinfo(inside).file_size > LARGEST_SCORE_BYTES:
                raise Rejected("it is absurdly long: over 64 MB of MusicXML")
            return decode_text(archive.read(inside))
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise Rejected(f"it is a broken compressed score ({error})") from error


def decode_text(data: bytes) -> str:
    """Text in UTF-8, UTF-16 with its mark, or else Latin-1; an XML declaration says UTF-8 then."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return re.sub(r"""(<\?xml[^>]*?encoding=)["'][^"']*["']""", r'\1"UTF-8"', text, count=1)


def name_parts_and_measures(text: str) -> str:
    """The same score, its parts named by their ids and its measures by their index in each part.

    So that verovio's tracks and its time map, in which a repeated measure comes back, can be told apart.
    """
    head, part, body = text.partition("<part ")

    def named(block: re.Match[str]) -> str:
        name = f"<part-name>{block[2]}</part-name>"
        return re.sub(r"<part-name\b(?:[^>]*/>|.*?</part-name>)", name, block[0], flags=re.S)

    head = re.sub(r'<score-part\b([^>]*?)id="([^"]+)".*?</score-part>', named, head, flags=re.S)
    parts = []
    for one in (part + body).split("<part "):
        count = iter(range(1 << 30))
        parts.append(
            re.sub(
                r"<measure(?=[\s>])(?: id=\"[^\"]*\")?",
                lambda _, count=count: f'<measure id="{_MEASURE_ID}{next(count)}"',  # type: ignore[misc]
                one,
            )
        )
    return head + "<part ".join(parts)


def measure_index(name: str) -> int:
    """The index that name_parts_and_measures gave to a measure, also where it comes back; -1 for others."""
    found = re.match(rf"{_MEASURE_ID}(\d+)", name)
    return int(found[1]) if found else -1


def read_musicxml(text: str) -> tuple[dict[str, str], dict[str, Part]]:
    """(records under Humdrum's names, parts by id). Raises Rejected when the text is not well-formed."""
    records: dict[str, str] = {}
    parts: dict[str, Part] = {}
    try:
        root = ElementTree.fromstring(text.encode("utf-8") if text.startswith("<?xml") else text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Rejected(f"it is not well-formed MusicXML ({error})") from error
    for path, key in (
        ("work/work-title", "OPR"),
        ("movement-title", "OTL"),
        ("identification/rights", "YEM"),
    ):
        values = [(element.text or "").strip() for element in root.findall(path)]
        if any(values):
            records[key] = " ".join(filter(None, values))
    for creator in root.findall("identification/creator"):
        if creator.get("type") == "composer" and creator.text:
            records.setdefault("COM", creator.text.strip())
    for block in root.iter("score-part"):
        program = block.findtext("midi-instrument/midi-program", "").strip()
        parts[block.get("id", "")] = Part(
            " ".join(block.findtext("part-name", "").split()),
            block.findtext("score-instrument/instrument-sound", "").strip(),
            int(program) - 1 if program.isdigit() else -1,
        )
    records["instruments"] = ", ".join(part.name for part in parts.values() if part.name)
    for element in root.findall("part"):
        if (known := parts.get(element.get("id", ""))) is not None:
            _read_marks(element, known)
    return records, parts


def _read_marks(element: ElementTree.Element, part: Part) -> None:
    divisions = 1.0
    for index, measure in enumerate(element.iterfind("measure")):
        at = 0.0  # in divisions from the measure's start
        marks: list[Mark] = []
        for item in measure:
            if item.tag == "attributes":
                divisions = _number(item.findtext("divisions"), divisions) or 1.0
            elif item.tag == "note" and item.find("chord") is None:
                at += _number(item.findtext("duration"), 0.0)
            elif item.tag in ("backup", "forward"):
                at += _number(item.findtext("duration"), 0.0) * (-1 if item.tag == "backup" else 1)
            elif item.tag == "direction":
                offset = _number(item.findtext("offset"), 0.0)
                marks.extend((round((at + offset) * PPQN / divisions), token) for token in _tokens(item))
        if marks:
            part.marks[index] = sorted(marks)


def _tokens(direction: ElementTree.Element) -> list[str]:
    tokens = [level.tag for level in direction.iterfind("direction-type/dynamics/*")]
    signs = {"crescendo": "<", "diminuendo": ">", "stop": "["}
    tokens += [signs.get(wedge.get("type", ""), "") for wedge in direction.iterfind("direction-type/wedge")]
    return [token for token in tokens if token]


def _number(text: str | None, otherwise: float) -> float:
    try:
        return float(text) if text else otherwise
    except ValueError:
        return otherwise
