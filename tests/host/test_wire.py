"""The protocol's Python end: golden frames, and any bytes at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host import wire
from tests.golden import make_frames

GOLDEN = Path(__file__).parents[1] / "golden" / "frames.txt"


def _golden() -> list[tuple[str, int, int, bytes, bytes]]:
    rows = []
    for line in GOLDEN.read_text().splitlines():
        if not line.startswith("#"):
            name, kind, sequence, payload, frame = line.split()
            body = bytes.fromhex("" if payload == "-" else payload)
            rows.append((name, int(kind, 16), int(sequence, 16), body, bytes.fromhex(frame)))
    return rows


def test_golden_file_is_what_its_maker_writes() -> None:
    assert GOLDEN.read_text() == make_frames.text()


@pytest.mark.parametrize("row", _golden(), ids=lambda row: row[0])
def test_golden_frames(row: tuple[str, int, int, bytes, bytes]) -> None:
    _, kind, sequence, payload, frame = row
    received = list(wire.Decoder().feed(frame))
    assert len(received) == 1 and received[0].sequence == sequence
    message = received[0].message
    assert kind == message.TYPE and wire.payload_of(message) == payload
    assert wire.encode(message, sequence) == frame


def test_every_message_has_a_golden_frame() -> None:
    assert {row[1] for row in _golden()} == set(wire.BY_TYPE)


FIELD = {"B": st.integers(0, 255), "H": st.integers(0, 65535), "I": st.integers(0, 2**32 - 1),
         "h": st.integers(-32768, 32767)}  # fmt: skip


@st.composite
def _messages(draw: st.DrawFn) -> wire.Message:
    kind = draw(st.sampled_from(list(wire.BY_TYPE.values())))
    letters = []
    number = ""
    for letter in kind.LAYOUT[1:]:
        if letter.isdigit():
            number += letter
        else:
            letters += [letter] * int(number or 1)
            number = ""
    values: list[int | bytes] = [draw(FIELD[letter]) for letter in letters]
    if kind.TAIL:
        room = min(
            wire.MAX_PADDING, wire.MAX_RAW - 4 - sum({"B": 1, "H": 2, "h": 2, "I": 4}[x] for x in letters)
        )
        values.append(draw(st.binary(max_size=room)))
    make: Callable[..., wire.Message] = kind
    return make(*values)


@given(st.lists(st.tuples(_messages(), st.integers(0, 255)), max_size=6), st.data())
@settings(max_examples=200, deadline=None)
def test_any_messages_survive_any_split(sent: list[tuple[wire.Message, int]], data: st.DataObject) -> None:
    stream = b"".join(wire.encode(message, sequence) for message, sequence in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    decoder = wire.Decoder()
    got = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += list(decoder.feed(stream[begin:end]))
    assert [(r.message, r.sequence) for r in got] == sent
    assert decoder.bad_frames == decoder.unknown == 0


@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=5))
@settings(max_examples=300, deadline=None)
def test_any_bytes_do_no_harm_and_the_next_frame_is_read(noise: bytes, cuts: list[int]) -> None:
    decoder = wire.Decoder()
    at = sorted({min(c, len(noise)) for c in cuts})
    got = []
    for begin, end in zip([0, *at], [*at, len(noise)], strict=True):
        got += list(decoder.feed(noise[begin:end]))
    # Random bytes have a right sum once in 65536 frames, and then a known type and length ever more rarely.
    assert not got
    after = list(decoder.feed(b"\0" + wire.encode(wire.ReleaseAll(), 7)))
    assert after[-1].message == wire.ReleaseAll()


@given(_messages(), st.integers(0, 255), st.data())
@settings(max_examples=300, deadline=None)
def test_one_flipped_bit_is_never_believed(message: wire.Message, sequence: int, data: st.DataObject) -> None:
    frame = bytearray(wire.encode(message, sequence))
    at = data.draw(st.integers(0, len(frame) - 2))
    frame[at] ^= 1 << data.draw(st.integers(0, 7))
    believed = [
        r for r in wire.Decoder().feed(bytes(frame)) if (r.message, r.sequence) != (message, sequence)
    ]
    assert not believed


def test_a_line_that_never_ends_a_frame_uses_no_memory() -> None:
    decoder = wire.Decoder()
    for _ in range(1000):
        assert list(decoder.feed(b"\x55" * 1000)) == []
    assert len(decoder._buffer) <= wire.MAX_LONGEST_FRAME
    assert list(decoder.feed(b"\0")) == []
    assert decoder.bad_frames == 1


def test_longer_payloads_are_for_growing_messages_alone() -> None:
    assert wire.parse(wire.Knob.TYPE, b"\0" * 8) is None
    welcome = wire.parse(wire.Welcome.TYPE, bytes(range(17)) + b"of a later firmware")
    assert isinstance(welcome, wire.Welcome) and welcome.more == b"of a later firmware"
    assert wire.parse(0x7E, b"") is None


def test_fields_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        wire.encode(wire.Cv(300, 0, 0), 0)
    with pytest.raises(ValueError, match="more than"):
        wire.encode(wire.Ping(0, b"x" * 60), 0)
    assert dataclasses.is_dataclass(wire.Cv)


def test_the_boards_header_and_this_table_agree() -> None:
    header = (Path(__file__).parents[2] / "firmware/logic/messages.h").read_text()
    for kind in wire.FROM_HOST:
        name = {"ReportRequest": "Report"}.get(kind.__name__, kind.__name__)
        assert f"k{name} = {kind.TYPE:#04x}," in header, kind
    for kind in wire.FROM_BOARD:
        assert f"k{kind.__name__} = {kind.TYPE:#04x}," in header, kind
