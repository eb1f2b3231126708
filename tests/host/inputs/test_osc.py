import socket
import time
from collections.abc import Iterator

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from host.config import Mapped
from host.inputs.mappings import Mappings
from host.inputs.osc import OscInput
from model.errors import NoonsongError
from tests.host.playing import TABLE, controls


class Listener:
    def __init__(self) -> None:
        self.moves: list[tuple[str, float | None, str]] = []
        self.phrases = 0
        mappings = Mappings([Mapped("rhythm", "osc /fader/1", pickup="jump")], TABLE)
        self.input = OscInput("127.0.0.1", 0, mappings, TABLE)
        actions = {"phrase": self.begin, "panic": lambda: None}
        mappings.connect(self.move, controls(), actions)
        self.input.connect(self.move, actions)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def move(self, *move: object) -> None:
        self.moves.append(move)  # type: ignore[arg-type]

    def begin(self) -> None:
        self.phrases += 1

    def send(self, address: str, *values: float | str | bool) -> None:
        self.raw(message(address, *values).build().dgram)

    def raw(self, data: bytes) -> None:
        self.socket.sendto(data, self.input.address)

    def wait(self, moves: int = 0, faults: int = 0) -> None:
        deadline = time.monotonic() + 10
        while len(self.moves) < moves or self.input.faults < faults:
            assert time.monotonic() < deadline, (self.moves, self.input.last_fault)
            time.sleep(0.002)


def message(address: str, *values: float | str | bool) -> OscMessageBuilder:
    built = OscMessageBuilder(address)
    for value in values:
        built.add_arg(value)
    return built


@pytest.fixture
def osc() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.input.close()
    listener.socket.close()


def test_values_words_positions_and_assigned_addresses(osc: Listener) -> None:
    osc.send("/noonsong/temperature", 0.75)
    osc.send("/noonsong/density", "auto")
    osc.send("/noonsong/meter", "3/4")
    osc.send("/noonsong/freeze", True)
    osc.send("/noonsong/tempo/position", 1.0)
    osc.send("/fader/1", 1.0)
    osc.send("/noonsong/phrase")
    osc.send("/noonsong/phrase", 0.0)
    osc.send("/noonsong/temperature", 1)
    osc.wait(moves=7)
    assert osc.moves == [
        ("temperature", 0.75, "OSC"),
        ("density", None, "OSC"),
        ("meter", TABLE["meter"].parse("3/4"), "OSC"),
        ("freeze", 1.0, "OSC"),
        ("tempo", 300.0, "OSC"),
        ("rhythm", 2.0, "osc /fader/1"),
        ("temperature", 1.0, "OSC"),
    ]
    assert osc.phrases == 1


def test_bundles(osc: Listener) -> None:
    bundle = OscBundleBuilder(IMMEDIATELY)
    for value in (0.5, 0.6):
        bundle.add_content(message("/noonsong/temperature", value).build())
    osc.raw(bundle.build().dgram)
    osc.wait(moves=2)


def test_nonsense_is_counted_said_and_survived(osc: Listener) -> None:
    nonsense: list[tuple[str, tuple[float | str, ...], str]] = [
        ("/noonsong/loudness", (1.0,), "controls are temperature"),
        ("/noonsong/temperature", (99.0,), "may be 0.2 to 2"),
        ("/noonsong/temperature", (), "means nothing"),
        ("/noonsong/temperature", (float("nan"),), "may be 0.2 to 2"),
        ("/noonsong/temperature/position", ("high",), "wants a number"),
    ]
    for number, (address, values, says) in enumerate(nonsense, 1):
        osc.send(address, *values)
        osc.wait(faults=number)
        assert says in osc.input.last_fault
    osc.raw(b"")
    osc.raw(b"rubbish")
    osc.wait(faults=6)
    osc.send("/noonsong/temperature", 0.5)
    osc.wait(moves=1)


def test_a_port_in_use_is_said(osc: Listener) -> None:
    address, port = osc.input.address
    with pytest.raises(NoonsongError, match=r"OSC cannot listen on 127.0.0.1, port \d+ .*osc_port"):
        OscInput(address, port, Mappings([], TABLE), TABLE)
