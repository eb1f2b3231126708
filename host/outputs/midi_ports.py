"""The MIDI ports of this machine, through one of the interfaces that python-rtmidi was compiled for."""

import contextlib
import fnmatch
import os
import re
from collections.abc import Iterator, Sequence

import mido
import rtmidi

from model.errors import NoonsongError

# Our names -> mido's names and rtmidi's.
APIS = {
    "alsa": ("LINUX_ALSA", "alsa"),
    "jack": ("UNIX_JACK", "jack"),
    "core": ("MACOSX_CORE", "core"),
    "windows": ("WINDOWS_MM", "winmm"),
}
VIRTUAL_NAME = "noonsong"
_NOT_GEAR = ("*midi through*", "*noonsong*", "*rtmidi*")  # never chosen unless named


class MidiPorts:
    """Lists and opens output ports."""

    def __init__(self, api: str = "auto") -> None:
        """`api`: one of APIS, or auto for the first that answers.

        Raises NoonsongError when there is none: a box without MIDI is no fault, so callers may go on.
        """
        if api != "auto" and api not in APIS:
            raise NoonsongError(f'there is no MIDI interface "{api}": it may be auto, {", ".join(APIS)}')
        os.environ.setdefault("JACK_NO_START_SERVER", "1")
        compiled = {rtmidi.get_api_name(number): number for number in rtmidi.get_compiled_api()}
        tried = []
        for name, (self._mido_name, rtmidi_name) in APIS.items():
            if api not in ("auto", name) or rtmidi_name not in compiled:
                continue
            try:
                with quiet_stderr():
                    self._lister = rtmidi.MidiOut(compiled[rtmidi_name], name="noonsong-ports")
                    self._lister.get_ports()
            except (OSError, RuntimeError):
                tried.append(name)
                continue
            self.api = name
            return
        raise NoonsongError(
            f"no MIDI: {' and '.join(tried) or api} did not answer. Load the sequencer (modprobe snd-seq),"
            " start a JACK server, or play without MIDI"
        )

    def names(self) -> list[str]:
        """Every output port there is now."""
        with quiet_stderr():
            return list(self._lister.get_ports())

    def open(self, name: str) -> "mido.ports.BaseOutput":
        """Open a port by its exact name. Raises NoonsongError when it cannot be."""
        with _refusal(name), quiet_stderr():
            return mido.open_output(name, api=self._mido_name)  # a client_name would make it virtual

    def open_virtual(self) -> "mido.ports.BaseOutput":
        """A port of our own that others may connect to. Raises NoonsongError where the system has none."""
        with _refusal(VIRTUAL_NAME), quiet_stderr():
            return mido.open_output(VIRTUAL_NAME, virtual=True, api=self._mido_name, client_name=VIRTUAL_NAME)


def match_port(pattern: str, names: Sequence[str]) -> str | None:
    """The first port whose name is, contains or matches (*, ?) the pattern, whatever its case.

    "auto" is the first that looks like gear. The numbers that ALSA puts behind a name do not count.
    """
    lowered = [(name, _bare(name)) for name in names]
    if pattern == "auto":
        gear = (name for name, low in lowered if not any(fnmatch.fnmatch(low, no) for no in _NOT_GEAR))
        return next(gear, None)
    wanted = _bare(pattern)
    for name, low in lowered:
        if low == wanted:
            return name
    for name, low in lowered:
        if wanted in low or fnmatch.fnmatch(low, wanted):
            return name
    return None


def _bare(name: str) -> str:
    return re.sub(r" \d+:\d+$", "", name).lower()


@contextlib.contextmanager
def _refusal(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError, NotImplementedError) as error:
        raise NoonsongError(f"the MIDI port {name} cannot be opened: {error}") from None


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep the complaints of the sound libraries off the player's screen: our own sentence follows."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
