"""Opens the page in a browser, where there is a screen and somebody sitting before it."""

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping


def has_screen(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether a browser would open in a window of this machine: not in a terminal, not at the end of ssh."""
    if "SSH_CONNECTION" in environment:
        return False
    if platform in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> None:
    """Open the page; browsers that take their time keep nobody waiting."""
    if has_screen(os.environ):
        threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()
