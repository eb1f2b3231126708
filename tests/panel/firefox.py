"""Firefox without a screen, driven as the standard says (WebDriver BiDi), which it speaks by itself."""

import contextlib
import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

FIREFOX = os.environ.get("NOONSONG_FIREFOX", "/usr/bin/firefox-esr")
PREFERENCES = {
    "app.update.enabled": False, "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.startup.homepage_override.mstone": "ignore", "browser.newtabpage.enabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False, "toolkit.telemetry.unified": False, "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False, "services.settings.server": "data:,", "app.normandy.enabled": False,
    "browser.region.network.url": "", "extensions.getAddons.cache.enabled": False,
}  # fmt: skip
ANSWER_S = 90.0
KEYS = {"Home": "\ue011", "End": "\ue010", "Enter": "\ue007", "ArrowUp": "\ue013", "PageUp": "\ue00e"}


class Firefox:
    """One browser; `errors` are what went wrong in the pages' own code."""

    def __init__(self, profile: Path, sound: str = "") -> None:
        """Starts it, with a new profile in an empty folder. `sound`: the server of its loudspeaker."""
        lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        self._process = subprocess.Popen(
            [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(profile), "PULSE_SERVER": sound, "MOZ_CRASHREPORTER_DISABLE": "1"},
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                break
        else:
            raise AssertionError("Firefox ended before it could be driven")
        self._ids = itertools.count(1)
        self.errors: list[str] = []
        self._stack = contextlib.ExitStack()
        self._line: ClientConnection = self._stack.enter_context(
            connect(f"{found[1]}/session", max_size=None, ping_interval=None)
        )
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])

    def ask(self, method: str, **parameters: object) -> Any:
        """Do one thing; returns its result."""
        number = next(self._ids)
        self._line.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._line.recv(timeout=ANSWER_S))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.errors.append(message["params"]["text"])
            elif message.get("id") == number:
                assert message["type"] == "success", f"{method} {parameters}: {message}"
                return message["result"]

    def open(self, url: str, width: int = 1280, height: int = 800) -> "FirefoxPage":
        """A page of that size."""
        context = self.ask("browsingContext.create", type="window")["context"]
        page = FirefoxPage(self, context)
        page.resize(width, height)
        self.ask("browsingContext.navigate", context=context, url=url, wait="complete")
        return page

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(Exception):
            self.ask("browser.close")
        self._stack.close()
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class FirefoxPage:
    """One page. A `selector` names the first element that fits."""

    def __init__(self, browser: Firefox, context: str) -> None:
        self._browser = browser
        self._context = context

    def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        viewport = {"width": width, "height": height}
        self._browser.ask("browsingContext.setViewport", context=self._context, viewport=viewport)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, in JSON's terms."""
        answer = self._browser.ask(
            "script.evaluate",
            expression=f"JSON.stringify({expression})",
            target={"context": self._context},
            awaitPromise=False,
            userActivation=False,
        )
        assert answer["type"] == "success", f"{expression}: {answer['exceptionDetails']['text']}"
        return json.loads(answer["result"]["value"]) if "value" in answer["result"] else None

    def text(self, selector: str) -> str:
        """What stands there."""
        text: str = self.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''")
        return text

    def middle(self, selector: str) -> tuple[int, int]:
        """Where it is on the screen."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.evaluate(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        return round(x), round(y)

    def click(self, selector: str) -> None:
        """With the mouse."""
        self.drag(selector, 0)

    def drag(self, selector: str, up: int) -> None:
        """Press there, move so many pixels up, let go."""
        x, y = self.middle(selector)
        moves = (
            [{"type": "pointerMove", "x": x, "y": y - up * step // 8} for step in range(1, 9)] if up else []
        )
        self._act("pointer", [
            {"type": "pointerMove", "x": x, "y": y}, {"type": "pointerDown", "button": 0}, *moves,
            {"type": "pointerUp", "button": 0},
        ])  # fmt: skip

    def press(self, key: str) -> None:
        """A key, where the focus is."""
        value = KEYS.get(key, key)
        self._act("key", [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}])

    def close(self) -> None:
        """Close it."""
        self._browser.ask("browsingContext.close", context=self._context)

    def _act(self, kind: str, actions: list[dict[str, Any]]) -> None:
        source = {"type": kind, "id": kind, "actions": actions}
        self._browser.ask("input.performActions", context=self._context, actions=[source])
