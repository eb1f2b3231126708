"""Every reader on tiny handmade files: ticks, bars, voices and dynamics are known exactly."""

import io
import random
import zipfile
from pathlib import Path

import mido
import pytest

from model.archive.kern import parse_token
from model.archive.musicxml import name_parts_and_measures, read_musicxml
from model.archive.piece import FLAT_VELOCITY, Reading, Rejected
from model.archive.read_abc import key_signature, read_abc
from model.archive.read_humdrum import read_humdrum
from model.archive.read_midi import read_midi
from model.archive.read_music21 import read_with_music21
from model.archive.read_score import read_score
from model.archive.reading import parse
from model.archive.sources import Item
from model.archive.voices import voice_of_name, voice_of_program, voice_of_sound, voices_of_staves
from model.tokens import VOICE_NAMES

DRUMS, BASS, KEYS, PLUCKED, STRINGS, WINDS, SINGING = range(7)


def onsets(reading: Reading) -> list[tuple[int, int, int]]:
    """(tick, pitch, duration), sorted."""
    return sorted(zip(*(reading.notes[name].tolist() for name in ("tick", "pitch", "duration")), strict=True))


def midi(tracks: list[list[tuple[int, mido.Message | mido.MetaMessage]]], ppq: int = 480) -> bytes:
    """A MIDI file from tracks of (absolute tick, message)."""
    file = mido.MidiFile(ticks_per_beat=ppq)
    for events in tracks:
        track = mido.MidiTrack()
        at = 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - at))
            at = tick
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def midi_note(
    tick: int, pitch: int, length: int, velocity: int = 80, channel: int = 0
) -> list[tuple[int, mido.Message]]:
    return [
        (tick, mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)),
        (tick + length, mido.Message("note_off", note=pitch, channel=channel)),
    ]


class TestMidi:
    def test_grid_program_drums_and_metre(self) -> None:
        head = [
            (0, mido.MetaMessage("time_signature", numerator=3, denominator=4)),
            (0, mido.MetaMessage("set_tempo", tempo=500_000)),
        ]
        violin = [
            (0, mido.Message("program_change", program=40)),
            *midi_note(0, 67, 480),
            *midi_note(480, 69, 160),
        ]
        drums = midi_note(240, 38, 60, channel=9)
        effects = [
            (0, mido.Message("program_change", program=124, channel=3)),
            *midi_note(0, 60, 480, channel=3),
        ]
        reading = read_midi(midi([head, violin, drums, effects]))
        assert onsets(reading) == [(0, 67, 24), (12, 38, 3), (24, 69, 8)]
        assert sorted(set(reading.notes["voice"].tolist())) == [DRUMS, STRINGS]
        assert reading.bars == ((0, 72),)
        assert reading.tempo_bpm == pytest.approx(120)
        assert not reading.performed
        assert not reading.has_dynamics

    def test_a_metre_change_is_a_new_segment(self) -> None:
        head = [
            (0, mido.MetaMessage("time_signature", numerator=4, denominator=4)),
            (1920, mido.MetaMessage("time_signature", numerator=6, denominator=8)),
        ]
        notes = [event for tick in range(0, 4800, 480) for event in midi_note(tick, 60, 240)]
        assert read_midi(midi([head, notes])).bars == ((0, 96), (96, 72))

    def test_no_time_signature_is_no_metre(self) -> None:
        assert read_midi(midi([midi_note(0, 60, 480)])).bars == ()

    def test_free_time_is_a_performance_with_dynamics(self) -> None:
        head = [(0, mido.MetaMessage("time_signature", numerator=4, denominator=4))]
        notes = [e for i in range(60) for e in midi_note(i * 331 + i * i % 97, 50 + i % 20, 200, 40 + i % 50)]
        reading = read_midi(midi([head, notes]))
        assert reading.performed
        assert reading.has_dynamics
        assert reading.bars == ()

    def test_every_cut_is_rejected_with_a_sentence(self) -> None:
        whole = midi([[event for i in range(20) for event in midi_note(i * 480, 60 + i % 5, 400)]])
        for length in range(len(whole)):
            with pytest.raises(Rejected, match=r"truncated|MThd|readable"):
                read_midi(whole[:length])

    def test_rubbish_after_the_head_is_rejected(self) -> None:
        with pytest.raises(Rejected):
            read_midi(b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\4\xff\xff\xff\xff")


KERN = """\
!!!COM: Nobody
!!!OTL: A tune
**kern\t**dynam\t**kern
*Ivioln\t*\t*Ipiano
*M3/4\t*\t*M3/4
4g\tp\t4r
=1\t=1\t=1
4cc\tf\t2.C 2.E
8dd\t.\t.
12eeL\t.\t.
12ff\t.\t.
12ggJ\t.\t.
8aa\t.\t.
=2\t=2\t=2
[2.b\t.\t4F
.\t.\t2G
=3\t=3\t=3
4b]\t.\t2.C
8qcc\t.\t.
2dd\t.\t.
==\t==\t==
*-\t*-\t*-
"""


class TestHumdrum:
    def test_pick_up_ties_triplets_chords_and_grace_notes(self) -> None:
        reading = read_humdrum(KERN)
        assert onsets(reading) == [
            (0, 67, 24),
            (24, 48, 72), (24, 52, 72), (24, 72, 24),
            (48, 74, 12), (60, 76, 8), (68, 77, 8), (76, 79, 8), (84, 81, 12),
            (96, 53, 24), (96, 71, 96), (120, 55, 48),
            (168, 48, 72),
            (189, 72, 3), (192, 74, 48),
        ]  # fmt: skip
        assert reading.bars == ((-48, 72),), "the bar line after the pick-up is at 24"
        assert reading.records["OTL"] == "A tune"

    def test_written_dynamics(self) -> None:
        reading = read_humdrum(KERN)
        first, second = (int(reading.notes["velocity"][reading.notes["tick"] == tick][0]) for tick in (0, 24))
        assert reading.has_dynamics
        assert (first, second) == (50, 86)
        flat = read_humdrum(KERN.replace("\tp\t", "\t.\t").replace("\tf\t", "\t.\t"))
        assert not flat.has_dynamics
        assert set(flat.notes["velocity"].tolist()) == {FLAT_VELOCITY}

    def test_instruments(self) -> None:
        reading = read_humdrum(KERN)
        high = reading.notes["pitch"] > 60
        assert set(reading.notes["voice"][high].tolist()) == {STRINGS}
        assert set(reading.notes["voice"][~high].tolist()) == {KEYS}

    @pytest.mark.parametrize(
        ("order", "heard"),
        [("*>[A,B]", "cd"), ("*>[A,A,B]", "ccd"), ("*>[B,A,B,]", "dcd"), ("*>[A,X]", "cd"), ("*", "cd")],
    )
    def test_sections_in_the_order_given(self, order: str, heard: str) -> None:
        text = f"**kern\n{order}\n*>A\n*M4/4\n1c\n=\n*>B\n1d\n==\n*-\n"
        reading = read_humdrum(text)
        assert onsets(reading) == [(96 * i, 60 if name == "c" else 62, 96) for i, name in enumerate(heard)]
        assert reading.bars == ((0, 96),)

    def test_endings_without_a_list(self) -> None:
        text = "**kern\n*M4/4\n*>A\n1c\n=\n*>A1\n1d\n=:|!\n*>A2\n1e\n==\n*-\n"
        assert [pitch for _, pitch, _ in onsets(read_humdrum(text))] == [60, 62, 60, 64]

    def test_repeat_signs_without_labels(self) -> None:
        text = "**kern\n*M4/4\n1c\n=1!|:\n1d\n=2:|!\n1e\n==\n*-\n"
        assert [pitch for _, pitch, _ in onsets(read_humdrum(text))] == [60, 62, 62, 64]

    def test_a_repeated_pick_up_keeps_the_bar_line(self) -> None:
        bar = "4c\n4d\n4e\n4f\n"
        text = f"**kern\n*M4/4\n4g\n=1!|:\n{bar}=2\n4c\n4d\n4e\n=:|!\n4g\n=3\n{bar}==\n*-\n"
        reading = read_humdrum(text)
        # The repeat leaves out a beat that is not there, so its bars begin three beats after the last.
        assert reading.bars == ((-72, 96), (192, 96))
        assert onsets(reading)[-4][0] == 24 + 2 * (96 + 72) + 24

    def test_metre_changes_in_the_middle(self) -> None:
        text = "**kern\n*M4/4\n1c\n=1\n*M6/8\n2.d\n=2\n2.e\n=3\n*M4/4\n1f\n==\n*-\n"
        assert read_humdrum(text).bars == ((0, 96), (96, 72), (240, 96))

    def test_splitting_spines(self) -> None:
        text = "**kern\n*M4/4\n*^\n2c\t4e\n.\t4f\n2d\t2g\n*v\t*v\n=\n1c\n==\n*-\n"
        expected = [(0, 60, 48), (0, 64, 24), (24, 65, 24), (48, 62, 48), (48, 67, 48), (96, 60, 96)]
        assert onsets(read_humdrum(text)) == expected

    def test_a_rest_over_bar_lines_does_not_move_them(self) -> None:
        text = "**kern\t**kern\n*M2/1\t*M2/1\n00r\t0c\n=1\t=1\n.\t0d\n=2\t=2\n0e\t0f\n==\t==\n*-\t*-\n"
        assert onsets(read_humdrum(text)) == [(0, 60, 192), (192, 62, 192), (384, 64, 192), (384, 65, 192)]

    @pytest.mark.parametrize(
        ("token", "expected"),
        [("4.cc#", 1.5), ("12e-", 1 / 3), ("0C", 8), ("00r", 16), ("3%2g", 8 / 3), ("8..d", 0.875)],
    )
    def test_durations(self, token: str, expected: float) -> None:
        assert parse_token(token)[0] / parse_token("4c")[0] == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("hello\n", "not Humdrum"),
            ("**text\nla\n*-\n", "no \\*\\*kern"),
            ("**kern\t**kern\n4c\n*-\t*-\n", "1 fields where 2 spines"),
        ],
    )
    def test_what_is_not_kern(self, text: str, sentence: str) -> None:
        with pytest.raises(Rejected, match=sentence):
            read_humdrum(text)


ABC_HEAD = "X:1\nT:A jig\nM:6/8\nL:1/8\nK:D\n"


class TestAbc:
    def test_key_pick_up_and_repeat_with_endings(self) -> None:
        reading = read_abc(ABC_HEAD + "A|f3 c3|1 d6:|2 e6|]\n")
        pitches = [pitch for _, pitch, _ in onsets(reading)]
        assert pitches == [69, 78, 73, 74, 69, 78, 73, 76]
        assert reading.bars[0] == (-60, 72), "the pick-up is an eighth"
        assert reading.records["OTL"] == "A jig"

    def test_broken_rhythm_triplets_chords_ties(self) -> None:
        head = "X:1\nM:4/4\nL:1/8\nK:C\n"
        assert onsets(read_abc(head + "c>d e<f (3gab [CEG]2-[CEG]2|\n")) == [
            (0, 72, 18), (18, 74, 6), (24, 76, 6), (30, 77, 18), (48, 79, 8), (56, 81, 8), (64, 83, 8),
            (72, 60, 48), (72, 64, 48), (72, 67, 48),
        ]  # fmt: skip

    def test_accidentals_hold_for_the_bar(self) -> None:
        reading = read_abc("X:1\nM:4/4\nL:1/4\nK:G\nf ^c c =f|f c F, f'|\n")
        assert [pitch for _, pitch, _ in onsets(reading)] == [78, 73, 73, 77, 78, 72, 54, 90]

    def test_two_strains_each_repeated(self) -> None:
        reading = read_abc("X:1\nM:2/4\nL:1/4\nK:C\nC D:|E F:|\n")
        assert [pitch for _, pitch, _ in onsets(reading)] == [60, 62, 60, 62, 64, 65, 64, 65]

    def test_inline_fields_voices_and_decorations(self) -> None:
        text = 'X:1\nM:2/4\nL:1/4\nK:C\nV:1\n"Am"!trill!C {/g}D|[M:3/4] [EG]F .G|\nV:2\nC,2|C,3|\n'
        reading = read_abc(text)
        assert onsets(reading)[-5:] == [(48, 48, 72), (48, 64, 24), (48, 67, 24), (72, 65, 24), (96, 67, 24)]
        assert reading.bars == ((0, 48), (48, 72))

    @pytest.mark.parametrize(
        ("key", "altered"),
        [
            ("D", {"F": 1, "C": 1}), ("Gm", {"B": -1, "E": -1}), ("A mix", {"F": 1, "C": 1}), ("Ddor", {}),
            ("Bb", {"B": -1, "E": -1}), ("F#m", {"F": 1, "C": 1, "G": 1}), ("none", {}), ("C ^f", {"F": 1}),
        ],
    )  # fmt: skip
    def test_keys(self, key: str, altered: dict[str, int]) -> None:
        assert key_signature(key) == altered


def musicxml(measures: str, name: str = "Violin", program: int = 41) -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="4.0"><work><work-title>A piece</work-title></work>
<identification><creator type="composer">Nobody</creator><rights>CC0</rights></identification>
<part-list><score-part id="P1"><part-name>{name}</part-name>
<midi-instrument id="P1-I1"><midi-program>{program}</midi-program></midi-instrument></score-part></part-list>
<part id="P1">{measures}</part></score-partwise>"""


def xml_note(step: str, duration: int, kind: str, extra: str = "", octave: int = 4) -> str:
    return (
        f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch><duration>{duration}</duration>"
        f"{extra}<type>{kind}</type></note>"
    )


def dynamic(name: str) -> str:
    return f"<direction><direction-type><dynamics><{name}/></dynamics></direction-type></direction>"


ATTRIBUTES = (
    "<attributes><divisions>2</divisions><key><fifths>0</fifths></key>"
    "<time><beats>3</beats><beat-type>4</beat-type></time><clef><sign>G</sign><line>2</line></clef></attributes>"
)
WALTZ = (
    f'<measure number="0" implicit="yes">{ATTRIBUTES}{dynamic("p")}{xml_note("G", 2, "quarter")}</measure>'
    '<measure number="1"><barline location="left"><repeat direction="forward"/></barline>'
    f"{dynamic('f')}{xml_note('C', 6, 'half', '<dot/>')}</measure>"
    f'<measure number="2">{xml_note("D", 4, "half")}{xml_note("E", 2, "quarter")}'
    '<barline location="right"><repeat direction="backward"/></barline></measure>'
)


def parse_bytes(folder: Path, name: str, data: bytes) -> Reading:
    """The reading of a file by way of the whole front door; its rejection as an exception."""
    (folder / name).write_bytes(data)
    parsed = parse(Item("tests", str(folder), name, ""))
    if parsed.piece is None:
        raise Rejected(parsed.reason)
    piece = parsed.piece
    return Reading(
        piece.notes, piece.bars, piece.tempo_bpm, piece.has_dynamics, piece.performed, parsed.records or {}
    )


class TestMusicXml:
    def test_pick_up_repeat_dynamics_and_voice(self, tmp_path: Path) -> None:
        waltz = WALTZ.replace('<measure number="0"', "<measure number='0'") + "".join(
            f'<measure number="{n}">{xml_note("CDEFGAB"[n % 7], 6, "half", "<dot/>")}</measure>'
            for n in range(3, 16)
        )
        reading = parse_bytes(tmp_path, "waltz.musicxml", musicxml(waltz).encode())
        assert onsets(reading)[:7] == [
            (0, 67, 24),
            (24, 60, 72), (96, 62, 48), (144, 64, 24),
            (168, 60, 72), (240, 62, 48), (288, 64, 24),
        ]  # fmt: skip
        assert reading.bars == ((-48, 72),)
        assert reading.has_dynamics
        assert reading.notes["velocity"][:3].tolist() == [50, 86, 86]
        assert set(reading.notes["voice"].tolist()) == {STRINGS}
        assert reading.records["COM"] == "Nobody"

    def test_the_spare_reader_agrees(self) -> None:
        usual, spare = read_score(musicxml(WALTZ)), read_with_music21(musicxml(WALTZ))
        assert onsets(spare) == onsets(usual)
        assert spare.bars == usual.bars == ((-48, 72),)
        assert set(spare.notes["voice"].tolist()) == {STRINGS}
        with pytest.raises(Rejected, match="neither verovio nor music21"):
            read_with_music21(musicxml(WALTZ).replace("<step>C</step>", "<step>H</step>"))

    def test_compressed(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        measures = ATTRIBUTES + "".join(xml_note("CDE"[i % 3], 2, "quarter") for i in range(3))
        more = "".join(
            f'<measure number="{n}">{"".join(xml_note("FGA"[i], 2, "quarter") for i in range(3))}</measure>'
            for n in range(2, 9)
        )
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(
                "score.xml", musicxml(f'<measure number="1">{measures}</measure>{more}', "Flute", 74)
            )
        reading = parse_bytes(tmp_path, "a.mxl", buffer.getvalue())
        assert len(reading.notes) == 24
        assert set(reading.notes["voice"].tolist()) == {WINDS}

    @pytest.mark.parametrize(
        ("name", "data", "sentence"),
        [
            ("a.xml", b"<html></html>", "not MusicXML"),
            ("a.xml", b"<score-partwise><part>", "not well-formed"),
            ("a.mxl", b"PK\3\4 broken", "broken compressed score"),
            ("a.mxl", b"", "it is empty"),
            ("a.mid", b"RIFF....", "MThd"),
            ("a.abc", b"hello", "not ABC"),
            ("a.krn", b"\x00\x01\x02", "not Humdrum"),
            ("a.mid", midi([midi_note(0, 60, 480)]), "only 1 notes"),
            (
                "a.mid",
                midi([[e for i in range(40) for e in midi_note(i * 480, 60, 400)]]),
                "full of one note",
            ),
            ("a.mid", midi([[]]), "no notes"),
        ],
    )
    def test_what_is_not_music_gets_a_sentence(
        self, tmp_path: Path, name: str, data: bytes, sentence: str
    ) -> None:
        with pytest.raises(Rejected, match=sentence):
            parse_bytes(tmp_path, name, data)

    def test_parts_and_measures_can_be_told_apart(self) -> None:
        layout = "<print><measure-layout><measure-distance>9</measure-distance></measure-layout></print>"
        text = name_parts_and_measures(musicxml(WALTZ.replace(ATTRIBUTES, layout + ATTRIBUTES)))
        assert layout in text
        assert "<part-name>P1</part-name>" in text
        assert [f'<measure id="bar{i}"' in text for i in range(4)] == [True, True, True, False]
        _, parts = read_musicxml(musicxml(WALTZ))
        assert parts["P1"].marks == {0: [(0, "p")], 1: [(0, "f")]}


class TestVoices:
    @pytest.mark.parametrize(
        ("program", "voice"),
        [(0, KEYS), (33, BASS), (24, PLUCKED), (46, PLUCKED), (40, STRINGS), (73, WINDS), (52, SINGING)],
    )
    def test_programs(self, program: int, voice: int) -> None:
        assert voice_of_program(program) == voice

    @pytest.mark.parametrize("program", [47, *range(112, 128)])
    def test_timpani_and_effects_are_left_out(self, program: int) -> None:
        assert voice_of_program(program) is None
        assert voice_of_program(program, is_drum=True) == DRUMS

    @pytest.mark.parametrize(
        ("name", "voice"),
        [
            ("Violino Primo.", STRINGS), ("BASSVS", SINGING), ("Tenore vagante", SINGING),
            ("[Fortepian]", KEYS), ("Flute", WINDS), ("Lute", PLUCKED),
            ("Corno inglese.", WINDS), ("Trombone basso", WINDS), ("Kontrabas", STRINGS),
            ("GŁOS.", SINGING),
            ("Baſso", SINGING), ("Timpani.", None), ("Harpsichord", KEYS), ("Harp", PLUCKED),
            ("Arpa.", PLUCKED),
            ("Bass Guitar", BASS), ("Mignon", ""), ("", ""),
        ],
    )  # fmt: skip
    def test_names(self, name: str, voice: int | str | None) -> None:
        assert voice_of_name(name) == voice

    def test_sounds(self) -> None:
        sounds = ("voice.vocals", "strings.cello", "pluck.bass.electric", "drum.timpani", "")
        assert [voice_of_sound(sound) for sound in sounds] == [SINGING, STRINGS, BASS, None, ""]

    def test_staves_that_say_nothing_take_after_the_others(self) -> None:
        assert voices_of_staves([(["empty"], "", False)] * 2) == [KEYS, KEYS]
        assert voices_of_staves([(["bass"], "", False), (["empty"], "", True)]) == [SINGING, SINGING]
        assert voices_of_staves([(["violn"], "", False)] * 2 + [(["empty"], "", False)]) == [STRINGS] * 3
        assert voices_of_staves([(["Cstr", "bass"], "", False)]) == [STRINGS], "a string bass, not a singer"
        assert VOICE_NAMES[SINGING] == "voice"


def damaged(data: list[str], alphabet: str, seed: int) -> str:
    """The text with a few characters changed, put in or taken out."""
    draw = random.Random(seed)
    data = list(data)
    for _ in range(draw.choice([1, 2, 5, 20])):
        at = draw.randrange(len(data))
        data[at : at + draw.randrange(2)] = draw.choice(alphabet) * draw.randrange(2)
    return "".join(data)


ABC_OF_ALL_KINDS = (
    ABC_HEAD + "A|f3 c3|1 d6:|2 e6|] (3abc [CEG]2- [CEG] {g}a>b c<<d "
    '"Am"!f!z2 [M:3/4] [K:Am] V:2 x\n|: a b :| Z4 ::\n%%MIDI program 73\nQ:1/4=90\n'
)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_text_is_read_or_rejected_never_a_fault(seed: int) -> None:
    alphabet = "|:[]()<>{}!\"'^_=,/0123456789abcgzCDEFGKLMQVX%\t\n *&;r.@-#~"
    outcomes = set()
    for number in range(150):
        for read, text in ((read_humdrum, KERN), (read_abc, ABC_OF_ALL_KINDS)):
            try:
                read(damaged(list(text), alphabet, 1000 * seed + number))
                outcomes.add("read")
            except Rejected as error:
                assert str(error)
                outcomes.add("rejected")
    assert outcomes == {"read", "rejected"}
