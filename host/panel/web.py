"""The panel's HTTP and WebSocket side: what is asked is checked here, before anybody else sees it."""

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from host.panel import requests as ask
from host.panel.pages import MAX_REFUSED, Page, Pages
from host.panel.past import PastReader
from host.panel.security import Allowance, Door, Pairing, Role, Tokens
from host.panel.static_files import static_files
from model.errors import NoonsongError

COOKIE = "noonsong"
COOKIE_S = 365 * 24 * 3600
LARGEST_ASK_BYTES = 8192
LARGEST_BODY_BYTES = 1024
VISITS_A_SECOND, VISITS_AT_ONCE = 20.0, 120.0
MAX_ADDRESSES = 256
SAY_AGAIN_S = 30.0  # the same complaint about the same address
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Web:
    """The application. `ask` hands a request to the music, `say` a sentence to the player."""

    def __init__(
        self,
        door: Door,
        pairing: Pairing | None,
        tokens: Tokens,
        pages: Pages,
        past: PastReader,
        ask: Callable[[ask.Asked], bool],
        show_code: Callable[[str], None],
        play: Callable[[ask.PlayPast, dict[str, Any]], Awaitable[None]],
        say: Callable[[str], None],
        now_s: Callable[[], float],
    ) -> None:
        """`pairing`: None when only this machine may come in. `show_code` has the box show a code that
        somebody waits for (empty: nobody does), `play` plays an excerpt of the past.
        """
        self._door = door
        self._pairing = pairing
        self._tokens = tokens
        self._pages = pages
        self._past = past
        self._ask = ask
        self._show_code = show_code
        self._play = play
        self._say = say
        self._now_s = now_s
        self._files = static_files()
        self._visits: OrderedDict[str, Allowance] = OrderedDict()
        self._complained_s: OrderedDict[tuple[str, str], float] = OrderedDict()
        routes = [
            Route("/pair", self._pair, methods=["POST"]),
            Route("/past/{name}.mid", self._past_midi),
            Route("/past/{name}.json", self._past_notes),
            WebSocketRoute("/live", self._live),
            *(Route(path, self._file) for path in self._files),
        ]
        self.app: ASGIApp = _Guard(Starlette(routes=routes), self._refusal)

    def code_sentence(self) -> str:
        """What the terminal shows of the pairing code."""
        return f"pairing code for other devices: {self._pairing.code if self._pairing else ''}"

    def _refusal(self, connection: HTTPConnection) -> tuple[int, str] | None:
        """Why a request is not even looked at: (status, sentence)."""
        address = _address(connection)
        host = connection.headers.get("host", "")
        if not self._visit_allowed(address):
            self._complain(address, "asks too often and is kept waiting")
            return 429, "Too many requests: wait a little."
        if not self._door.host_allowed(host):
            self._complain(address, f'asked for "{host[:60]}", which is not this box, and was refused')
            return 421, "This is not the name of this box: add it to panel.names in noonsong.toml."
        changing = connection.scope["type"] == "websocket" or connection.scope["method"] not in (
            "GET",
            "HEAD",
        )
        origin = connection.headers.get("origin")
        if changing and not self._door.origin_allowed(origin, host):
            self._complain(address, f'came from the page "{(origin or "none")[:60]}" and was refused')
            return 403, "Only the box's own page may do this."
        return None

    def _visit_allowed(self, address: str) -> bool:
        allowance = self._visits.setdefault(address, Allowance(VISITS_A_SECOND, VISITS_AT_ONCE))
        self._visits.move_to_end(address)
        if len(self._visits) > MAX_ADDRESSES:
            self._visits.popitem(last=False)
        return allowance.take(self._now_s())

    def _complain(self, address: str, what: str) -> None:
        """Tell the player, once in a while, what somebody tried."""
        now_s = self._now_s()
        key = (address, what[:12])
        if now_s - self._complained_s.get(key, float("-inf")) >= SAY_AGAIN_S:
            self._complained_s[key] = now_s
            if len(self._complained_s) > MAX_ADDRESSES:
                self._complained_s.popitem(last=False)
            printable = "".join(c if c.isprintable() else "?" for c in what)
            self._say(f"the panel: somebody at {address} {printable}")

    def _role(self, connection: HTTPConnection) -> Role:
        return self._door.role(_address(connection), self._tokens.known(connection.cookies.get(COOKIE)))

    async def _file(self, request: Request) -> Response:
        file = self._files[request.url.path]
        headers = {"etag": file.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                file.packed, headers={**headers, "content-encoding": "gzip"}, media_type=file.kind
            )
        return Response(file.plain, headers=headers, media_type=file.kind)

    async def _pair(self, request: Request) -> Response:
        if self._pairing is None:
            return JSONResponse({"says": "Only this machine may play: set panel.network."}, 403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY_BYTES:
                return JSONResponse({"says": "That is no code."}, 413)
        before = self._pairing.code
        right = self._pairing.matches(body.decode(errors="replace"))
        if self._pairing.code != before:
            self._say(self.code_sentence())
        if not right:
            self._complain(_address(request), "gave a wrong pairing code")
            return JSONResponse({"says": "That is not the code that the box shows now."}, 403)
        token = secrets.token_urlsafe(32)
        try:
            self._tokens.add(token)
        except OSError as error:
            return JSONResponse({"says": f"The box cannot keep this: {error.strerror}."}, 500)
        self._show_code("")
        self._say(f"the panel: {_address(request)} is paired")
        answer = JSONResponse({"says": "paired"})
        answer.set_cookie(COOKIE, token, max_age=COOKIE_S, httponly=True, samesite="strict")
        return answer

    async def _past_midi(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await self._of_past(
            request, lambda: Response(
                self._past.midi(name),
                media_type="audio/midi",
                headers={"content-disposition": f'attachment; filename="noonsong-{name}.mid"'},
            ),
        )  # fmt: skip

    async def _past_notes(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await self._of_past(
            request,
            lambda: Response(msgspec.json.encode(self._past.notes(name)), media_type="application/json"),
        )

    async def _of_past(self, request: Request, make: Callable[[], Response]) -> Response:
        if self._role(request) == "stranger":
            return JSONResponse({"says": "Pair this device first."}, 403)
        try:
            return await run_in_threadpool(make)
        except NoonsongError as error:
            return JSONResponse({"says": f"{error}."}, 404)

    async def _live(self, socket: WebSocket) -> None:
        await socket.accept()
        role = self._role(socket)
        address = _address(socket)
        if role == "stranger":
            if self._pairing is not None:
                self._show_code(self._pairing.code)
            await socket.send_text('{"kind":"pair"}')
            await socket.close(4401)
            return
        page = self._pages.open(address, role)
        if page is None:
            await socket.send_text('{"kind":"full","says":"Too many pages are open: close some."}')
            await socket.close(4429)
            return
        sending = asyncio.create_task(self._send(socket, page))
        try:
            await self._receive(socket, page)
        except WebSocketDisconnect as gone:
            if gone.code == 1009:
                self._complain(address, "sent a huge message and was cut off")
        finally:
            sending.cancel()
            self._pages.close(page)

    async def _send(self, socket: WebSocket, page: Page) -> None:
        hello = {"kind": "hello", "page": page.number, "who": page.who, "role": page.role}
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            await socket.send_text(msgspec.json.encode(hello).decode())
            while True:
                await socket.send_text(await page.queue.get())
                if page.queue.empty():
                    self._pages.caught_up(page)

    async def _receive(self, socket: WebSocket, page: Page) -> None:
        while socket.application_state is WebSocketState.CONNECTED:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            if not page.asks.take(self._now_s()):
                page.refused += 1
                self._complain(page.address, "floods the panel; what is too much is thrown away")
                if page.refused > MAX_REFUSED:
                    await socket.close(4429)
                    return
                continue
            text = message.get("text") or ""
            try:
                await self._handle(page, ask.decode_request(text))
            except msgspec.DecodeError as error:  # also what does not fit the fields
                self._complain(page.address, "sends what no page of this box sends; it is thrown away")
                _refuse(page, f"not understood: {error}")

    async def _handle(self, page: Page, request: ask.Request) -> None:
        if page.role != "player" and not isinstance(request, ask.READING):
            _refuse(page, "This device only looks on: pair it to play.")
        elif isinstance(request, ask.Ping):
            _answer(page, {"kind": "pong", "sent_ms": request.sent_ms, "now_s": self._now_s()})
        elif isinstance(request, ask.Past):
            hours = await run_in_threadpool(self._past.hours)
            _answer(page, {"kind": "past", "hours": hours})
        elif isinstance(request, ask.PlayPast):
            try:
                await self._play(request, await run_in_threadpool(self._past.notes, request.name))
            except NoonsongError as error:
                _refuse(page, str(error))
        elif isinstance(request, ask.Weigh):
            page.weigh = request.on
            self._pages.tell()
        elif not self._ask(ask.Asked(page.number, page.who, request)):
            _refuse(page, "The box is too busy to listen: try again.")


class _Guard:
    """Wraps the application: refuses before it, adds the headers after it."""

    def __init__(self, app: ASGIApp, refusal: Callable[[HTTPConnection], tuple[int, str] | None]) -> None:
        self._app = app
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        refusal = self._refusal(HTTPConnection(scope))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        if refusal is None:
            await self._app(scope, receive, with_headers)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": refusal[1]})
        else:
            response = JSONResponse({"says": refusal[1]}, refusal[0])
            await response(scope, receive, with_headers)


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else "nowhere"


def _answer(page: Page, message: dict[str, Any]) -> None:
    page.offer(msgspec.json.encode(message).decode())


def _refuse(page: Page, says: str) -> None:
    _answer(page, {"kind": "refused", "says": says})
