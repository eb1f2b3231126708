"""The panel's process: serves the page, passes on what happens to whoever looks, and what they ask to the music.

Started by host.panel.link with a connected socket; it ends when the music does. It runs below everything
else, and knows the instrument only through messages.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from host.panel import pipe
from host.panel.machine import Machine
from host.panel.pages import Pages
from host.panel.past import PastReader
from host.panel.requests import Asked, Excerpt, PlayPast, Up, Watchers
from host.panel.security import Door, Pairing, Tokens
from host.panel.web import LARGEST_ASK_BYTES, Web
from host.priority import ordinary

MACHINE_S = 2.0
PORTS_TRIED = 10
NICE = 10
NOTES_AT_ONCE = 200


class Facts(msgspec.Struct):
    """What the music's process tells at the start."""

    journal: str
    process: int
    port: int  # wanted; 0 for any
    network: bool
    spectators: bool
    names: list[str]


class PanelServer:
    """Joins the pipe to the music, the pages and the web."""

    def __init__(self, connection: socket.socket, facts: Facts) -> None:
        self._outbox = pipe.Outbox(connection)
        self._connection = connection
        self._facts = facts
        journal = Path(facts.journal)
        self._excerpts = 0
        self._machine = Machine(facts.process, journal.parent)
        self._pages = Pages(self._watchers_changed)
        self.pairing = Pairing(secrets.randbelow) if facts.network else None
        names = [*facts.names, socket.gethostname(), f"{socket.gethostname().partition('.')[0]}.local"]
        self.web = Web(
            Door(facts.network, facts.spectators, names),
            self.pairing,
            Tokens(journal.with_name("panel-tokens")),
            self._pages,
            PastReader(journal),
            ask=self._ask,
            show_code=self._show_code,
            play=self._play,
            say=self._say,
            now_s=time.monotonic,
        )

    async def run(self) -> None:
        """Until the music's process goes away."""
        sockets, wanted = listen(self._facts.port, self._facts.network)
        port = sockets[0].getsockname()[1]
        config = uvicorn.Config(
            self.web.app, loop="asyncio", http="h11", ws="websockets-sansio", lifespan="off", log_config=None,
            access_log=False, server_header=False, proxy_headers=False, ws_max_size=LARGEST_ASK_BYTES,
            ws_ping_interval=5.0, ws_ping_timeout=10.0, ws_per_message_deflate=False, limit_concurrency=64,
            timeout_keep_alive=20, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=sockets))
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._put(pipe.UP, msgspec.json.encode(self._up(port, wanted)))
        tasks = [asyncio.create_task(self._look_at_machine())]
        try:
            await self._read()
        finally:
            for task in tasks:
                task.cancel()
            server.should_exit = True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(serving, 2.0)

    def _up(self, port: int, wanted: int) -> Up:
        url = f"http://localhost:{port}"
        sentences = [f"the panel is at {url}"]
        if port != wanted:
            sentences.append(f"(port {wanted} is in use by another program)")
        if self.pairing is not None:
            sentences.append(f"other devices open http://{own_address()}:{port}")
            sentences.append(self.web.code_sentence())
        return Up(port, url, sentences)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        unpacker = pipe.Unpacker()
        while True:
            data = await loop.sock_recv(self._connection, 65536)
            if not data:
                return
            for kind, body in unpacker.feed(data):
                if kind == pipe.FRAME:
                    self._pages.frame(body.decode())
                elif kind == pipe.WHOLE:
                    self._pages.whole(body.decode())
                elif kind == pipe.ANSWER:
                    self._pages.answer(int.from_bytes(body[:4], "little"), body[4:].decode())

    async def _look_at_machine(self) -> None:
        while True:
            if len(self._pages):
                figures = {"kind": "machine", **self._machine.look(time.monotonic())}
                self._pages.everybody(msgspec.json.encode(figures).decode())
            await asyncio.sleep(MACHINE_S)

    def _watchers_changed(self, count: int, begin: bool, weigh: bool) -> None:
        self._put(pipe.WATCHERS, msgspec.json.encode(Watchers(count, begin, weigh)))

    def _ask(self, asked: Asked) -> bool:
        return self._put(pipe.ASK, msgspec.json.encode(asked))

    async def _play(self, request: PlayPast, past: dict[str, Any]) -> None:
        """Hand an excerpt to the music, a few notes at a time: reading them must not keep it from playing."""
        self._excerpts += 1
        number, rows = self._excerpts, past["notes"]
        excerpt = Excerpt(number, request.name, request.from_s, past["length_s"], request.beside)
        self._put(pipe.EXCERPT, msgspec.json.encode(excerpt))
        for first in range(0, len(rows), NOTES_AT_ONCE):
            while not self._outbox.empty:
                await asyncio.sleep(0.01)
            if number != self._excerpts:
                return  # something else is to be played
            self._put(pipe.NOTES, msgspec.json.encode((number, rows[first : first + NOTES_AT_ONCE])))

    def _show_code(self, code: str) -> None:
        self._put(pipe.CODE, code.encode())

    def _say(self, sentence: str) -> None:
        self._put(pipe.NOTICE, sentence.encode())

    def _put(self, kind: bytes, body: bytes) -> bool:
        """False: the music does not read, so this is left out."""
        try:
            put = self._outbox.put(kind, body)
        except OSError:  # the music is gone; the reader notices
            return False
        if not self._outbox.empty:
            asyncio.get_running_loop().call_later(0.01, self._flush)
        return put

    def _flush(self) -> None:
        with contextlib.suppress(OSError):
            self._outbox.flush()
            if not self._outbox.empty:
                asyncio.get_running_loop().call_later(0.01, self._flush)


def listen(wanted: int, network: bool) -> tuple[list[socket.socket], int]:
    """Sockets of both families on one port, and the port that was wanted.

    Raises OSError when none of the next PORTS_TRIED ports is free.
    """
    for attempt in range(2 * PORTS_TRIED):
        # The wanted port first for a while: a box that was killed and started again comes back to its pages.
        port = wanted if attempt < PORTS_TRIED or wanted == 0 else wanted + attempt - PORTS_TRIED + 1
        try:
            first = _bound(socket.AF_INET, "0.0.0.0" if network else "127.0.0.1", port)
        except OSError:
            if attempt < PORTS_TRIED:
                time.sleep(0.1)
            continue
        sockets = [first]
        with contextlib.suppress(OSError):
            address = "::" if network else "::1"
            sockets.append(_bound(socket.AF_INET6, address, first.getsockname()[1]))
        return sockets, wanted or first.getsockname()[1]
    raise OSError(f"no port from {wanted} to {wanted + PORTS_TRIED} is free: set another panel.port")


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        bound.listen(64)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def own_address() -> str:
    """The address under which other devices find this one; its name where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; the system only says which way it would go
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def main() -> int:
    """The process. Arguments: the descriptor of the pipe, and the facts as JSON."""
    with contextlib.suppress(OSError, AttributeError):  # what the music runs with is not for us
        ordinary()
        os.nice(NICE)
    connection = socket.socket(fileno=int(sys.argv[1]))
    facts = msgspec.json.decode(sys.argv[2], type=Facts)
    with connection:
        try:
            asyncio.run(PanelServer(connection, facts).run())
        except BrokenPipeError:
            return 0
        except OSError as error:
            connection.setblocking(True)
            connection.sendall(pipe.pack(pipe.NOTICE, f"no panel: {error}".encode()))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
