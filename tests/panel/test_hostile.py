"""Clients that mean harm: nothing changes, the music plays on, and the player is told."""

import http.client
import json
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.panel.conftest import Box, wait_until

StartBox = Callable[..., Box]


@pytest.fixture
def box(start_box: StartBox) -> Box:
    return start_box("--seed", "5", "--control", "tempo=120")


def get(
    box: Box, path: str, host: str | None = None, method: str = "GET", body: bytes = b"", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"localhost:{box.port}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer, text


def live(
    box: Box, origin: str | None = None, host: str | None = None
) -> AbstractContextManager[ClientConnection]:
    return connect(
        f"ws://{host or 'localhost'}:{box.port}/live",
        origin=cast(Origin, origin or f"http://localhost:{box.port}"),
        sock=socket.create_connection(("127.0.0.1", box.port)),
        open_timeout=30,
        ping_interval=None,
        max_size=None,
    )


def of_kind(page: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    while True:
        message: dict[str, Any] = json.loads(page.recv(timeout=30))
        if message["kind"] == kind:
            return message


def moved_by_pages(journal: Path) -> int:
    db = sqlite3.connect(journal)
    count: int = db.execute("SELECT count(*) FROM moves WHERE who LIKE 'panel%'").fetchone()[0]
    db.close()
    return count


def last_position(journal: Path) -> int:
    db = sqlite3.connect(journal)
    position: int = db.execute("SELECT max(position) FROM spelled").fetchone()[0]
    db.close()
    return position


def assert_plays_on(box: Box) -> None:
    before = last_position(box.journal)
    wait_until(lambda: last_position(box.journal) > before, "the music plays on")
    with live(box) as page:
        assert of_kind(page, "whole")["piece"]


GARBAGE = [
    "", "x", "null", "[]", "{}", '{"ask":', '{"ask":"turn"}', '{"ask":"turn","control":"density"}',
    '{"ask":"turn","control":"density","position":2}', '{"ask":"turn","control":"density","position":"1"}',
    '{"ask":"turn","control":"density","position":NaN}', '{"ask":"turn","control":"density","position":1e999}',
    '{"ask":"turn","control":["density"],"position":0.5}', '{"ask":"shell","command":"id"}',
    '{"ask":"turn","control":"density","position":0.5,"who":"board"}', '{"ask":"press","button":"reboot"}',
    '{"ask":"save","slot":-1,"name":"x"}', '{"ask":"save","slot":1,"name":""}', '{"ask":"recall","slot":9999}',
    '{"ask":"mark","kind":"<script>","tick":1}', '{"ask":"mark","kind":"loved","tick":-5}', "\x00" * 50,
    '{"ask":"enter","control":"density","text":"' + "9" * 200 + '"}', "[" * 3000, '{"a":' * 900,
]  # fmt: skip


def test_garbage_changes_nothing_and_is_reported(box: Box) -> None:
    with live(box) as page:
        of_kind(page, "hello")
        for text in GARBAGE:
            page.send(text)
            assert "not understood" in str(of_kind(page, "refused")["says"])
        page.send(b"\xff\xfe\x00binary")
        of_kind(page, "refused")
        page.send('{"ask":"turn","control":"volume","position":0.5}')
        assert 'there is no control "volume"' in str(of_kind(page, "refused")["says"])
        page.send('{"ask":"enter","control":"density","text":"../../etc/passwd"}')
        assert "density cannot be" in str(of_kind(page, "refused")["says"])
    box.wait_until_said("somebody at 127.0.0.1 sends what no page of this box sends")
    assert_plays_on(box)
    assert moved_by_pages(box.journal) == 0


def test_pages_of_other_sites_are_refused(box: Box) -> None:
    for origin in (
        "http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example", "file://",
    ):  # fmt: skip
        with pytest.raises(InvalidStatus) as refused:
            live(box, origin=origin).__enter__()
        assert refused.value.response.status_code == 403
    box.wait_until_said("came from the page")
    assert_plays_on(box)


def test_a_name_that_was_made_to_point_here_is_refused(box: Box) -> None:
    for host in ("evil.example", f"evil.example:{box.port}", "localhost.evil.example", "192.168.1.9", ""):
        answer, text = get(box, "/", host=host or "-")
        assert answer.status == 421 and b"<!doctype" not in text
    with pytest.raises(InvalidStatus):
        live(box, origin=f"http://evil.example:{box.port}", host="evil.example").__enter__()
    box.wait_until_said("which is not this box")
    for host in (f"localhost:{box.port}", f"127.0.0.1:{box.port}", f"[::1]:{box.port}", "localhost"):
        assert get(box, "/", host=host)[0].status == 200


PATHS = [
    "/../../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../server.py",
    "//etc/passwd", "/past/../../journal.sqlite", "/past/..%2f..%2fetc%2fpasswd.mid", "/past/%00.mid",
    "/past/2026-11-21/../../x.mid", "/past/2026-99-99.mid", "/past/2026-11-21T99.mid", "/past/;ls.json",
    "/past/2026-11-21'--.json", "/server.py", "/.git/config", "/journal.sqlite", "/panel-tokens", "/style.css/..",
]  # fmt: skip


def test_no_path_reaches_the_files_of_the_box(box: Box) -> None:
    for path in PATHS:
        answer, text = get(box, path)
        assert answer.status in (307, 400, 404), path
        assert b"root:" not in text and b"import" not in text and b"SQLite" not in text
    for path in ("/past/2020-01-01.mid", "/past/2020-01-01T10.json"):
        assert get(box, path)[0].status in (200, 404)
    answer, _ = get(box, "/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert_plays_on(box)


def test_a_huge_message_cuts_off_who_sent_it(box: Box) -> None:
    with live(box) as page:
        of_kind(page, "hello")
        with pytest.raises(ConnectionClosed):
            page.send('{"ask":"enter","control":"density","text":"' + "1" * 5_000_000 + '"}')
            for _ in range(100_000):
                page.recv(timeout=30)
    box.wait_until_said("sent a huge message and was cut off")
    assert (
        get(box, "/pair", method="POST", body=b"1" * 2_000_000, Origin=f"http://localhost:{box.port}")[
            0
        ].status
        == 403
    )
    assert_plays_on(box)
    assert moved_by_pages(box.journal) == 0


def test_a_flood_is_thrown_away_and_others_still_play(box: Box) -> None:
    with live(box) as flood, live(box) as page:
        of_kind(flood, "hello")
        of_kind(page, "whole")
        try:
            for n in range(3000):
                flood.send(json.dumps({"ask": "turn", "control": "temperature", "position": n % 2}))
        except ConnectionClosed:
            pass
        box.wait_until_said("floods the panel")
        page.send('{"ask":"enter","control":"density","text":"3"}')
        while True:
            controls = of_kind(page, "frame").get("controls")
            if isinstance(controls, dict) and controls.get("density", {}).get("value") == 3.0:
                break
    assert moved_by_pages(box.journal) < 600
    assert_plays_on(box)


def test_a_browser_that_does_not_read_loses_frames_and_nobody_waits_for_it(box: Box) -> None:
    with ExitStack() as stack:
        dead = stack.enter_context(live(box))
        dead.recv(timeout=30)
        dead.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # and from here on it reads nothing
        page = stack.enter_context(live(box))
        of_kind(page, "whole")
        began = time.monotonic()
        ticks = []
        while time.monotonic() - began < 3.0:
            clock = of_kind(page, "frame")["clock"]
            assert isinstance(clock, list)
            ticks.append(clock[0])
        assert len(ticks) > 10 and ticks == sorted(ticks)
        dead.socket.close()
    assert_plays_on(box)


def test_too_many_pages_of_one_address_are_refused(box: Box) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(live(box)) for _ in range(8)]
        with live(box) as ninth:
            assert "Too many pages" in str(of_kind(ninth, "full")["says"])
        assert of_kind(pages[0], "whole")
    assert_plays_on(box)


def test_half_a_request_keeps_nobody_out(box: Box) -> None:
    slow = [socket.create_connection(("127.0.0.1", box.port)) for _ in range(20)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    assert get(box, "/")[0].status == 200
    for connection in slow:
        connection.close()
    assert_plays_on(box)
