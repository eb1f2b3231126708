"""The MIDI ports of this machine, through one of the interfaces that python-rtmidi was compiled for."""

import atexit
import contextlib
import fnmatch
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import rtmidi

from model.errors import NoonsongError

if TYPE_CHECKING:
    from host.jack_server import JackServer

# Our names -> rtmidi's.
APIS = {"alsa": "alsa", "jack": "jack", "core": "core", "windows": "winmm"}
VIRTUAL_NAME = "noonsong"
POLL_S = 0.001
CYCLES_TO_ARRIVE = 4  # to be taken from the queue, to be carried to who listens, and as many again
_STDERR = threading.RLock()  # one at a time, or what is put back is the other's nowhere
_NOT_GEAR = ("*midi through*", "*noonsong*", "*rtmidi*")  # never chosen unless named


class Closable(Protocol):
    """Any open port."""

    @property
    def closed(self) -> bool:
        """Whether it was let go of."""


Port = TypeVar("Port", bound=Closable)
OnMessage = Callable[[tuple[int, ...], float], None]  # the bytes of one message, when it came (monotonic)


class MidiPorts:
    """Lists and opens the ports of one interface."""

    def __init__(self, api: str = "auto") -> None:
        """`api`: one of APIS, or auto for the first that answers.

        Raises NoonsongError when there is none: a box without MIDI is no fault, so callers may go on.
        """
        if api != "auto" and api not in APIS:
            raise NoonsongError(f'there is no MIDI interface "{api}": it may be auto, {", ".join(APIS)}')
        os.environ.setdefault("JACK_NO_START_SERVER", "1")
        compiled = {rtmidi.get_api_name(number): number for number in rtmidi.get_compiled_api()}
        tried = []
        for name, rtmidi_name in APIS.items():
            if api not in ("auto", name) or rtmidi_name not in compiled:
                continue
            self.api, self._number = name, compiled[rtmidi_name]
            self._opened: list[Closable] = []
            self._server: JackServer | None = None
            self._lister: Any = None  # rtmidi.MidiOut, which has no types
            self._input_lister: rtmidi.MidiIn | None = None
            self._outputs: list[str] = []
            self._inputs: list[str] = []
            with quiet_stderr():
                if self._join():
                    atexit.register(self._leave)
                    return
            tried.append(name)
        raise NoonsongError(
            f"no MIDI: {' and '.join(tried) or api} did not answer. Load the sequencer (modprobe snd-seq),"
            " start a JACK server, or play without MIDI"
        )

    @property
    def alive(self) -> bool:
        """Whether messages get anywhere: what is sent to a JACK server that died waits, and then for ever."""
        return self.api != "jack" or (self._server is not None and self._server.alive)

    @property
    def present(self) -> bool:
        """Whether what is open can be kept: a little longer than `alive`."""
        return self.alive or not (self._server is None or self._server.buried)

    @property
    def known(self) -> tuple[list[str], list[str]]:
        """Outputs and inputs as they were found last, without asking; for any thread."""
        return self._outputs, self._inputs

    def names(self) -> list[str]:
        """Every output port there is now."""
        if self._can_ask():
            with quiet_stderr():
                self._outputs = list(self._lister.get_ports())
        return self._outputs

    def input_names(self) -> list[str]:
        """Every input port there is now."""
        if self._can_ask():
            with quiet_stderr():
                if self._input_lister is None:
                    self._input_lister = rtmidi.MidiIn(self._number, name="noonsong-ports")
                self._inputs = list(self._input_lister.get_ports())
        return self._inputs

    def _can_ask(self) -> bool:
        """Whether there is somebody to ask. When a server died, what was known stays until libjack is done with
        it; then there are no ports, and when everyone has let go of the old ones a new server may be joined.
        """
        if self.alive:
            return True
        if not self.present:
            self._outputs, self._inputs = [], []
            if all(port.closed for port in self._opened):
                self._leave()
                with quiet_stderr():
                    return self._join()
        return False

    def _leave(self) -> None:
        """A client that ends without a word makes a JACK server wait for it, and everybody with it."""
        with quiet_stderr():
            for lister in (self._lister, self._input_lister):
                if lister is not None:
                    lister.delete()
            self._lister = self._input_lister = None
            if self._server is not None:
                self._server.close()
                self._server = None

    def _join(self) -> bool:
        try:
            self._lister = rtmidi.MidiOut(self._number, name="noonsong-ports")
            self._lister.get_ports()
            if self.api == "jack":
                from host.jack_server import JackServer  # needs a library that only those with JACK have

                self._server = JackServer()
        except (OSError, RuntimeError, NoonsongError):
            return False
        return True

    def open_input(self, name: str, on_message: OnMessage, now_s: Callable[[], float]) -> "Input":
        """Listen to a port by its exact name, clock and active sensing included; "virtual" makes a port of
        our own. `on_message` is called on another thread and must not raise.

        Raises NoonsongError when it cannot be opened.
        """
        with _refusal(name), quiet_stderr():
            port = rtmidi.MidiIn(self._number, name=VIRTUAL_NAME)
            port.ignore_types(sysex=True, timing=False, active_sense=False)
            if name == "virtual":
                port.open_virtual_port("in")
            else:
                port.open_port(port.get_ports().index(name), name="in")
        return self._remember(Input(name, port, on_message, now_s, polled=self.api == "jack"))

    def open(self, name: str) -> "Out":
        """Open an output by its exact name; "virtual" makes a port of our own that others may connect to.

        Raises NoonsongError when it cannot be opened.
        """
        with _refusal(name), quiet_stderr():
            port = rtmidi.MidiOut(self._number, name=VIRTUAL_NAME)
            if name == "virtual":
                port.open_virtual_port(VIRTUAL_NAME)
            else:
                port.open_port(port.get_ports().index(name), name="out")
        self._let_pass()
        return self._remember(Out(port, self._let_pass))

    def _let_pass(self) -> None:
        """A JACK port takes what it has not delivered with it: who closes it waits until all has arrived."""
        if self._server is not None:
            self._server.let_pass(CYCLES_TO_ARRIVE)

    def _remember(self, port: Port) -> Port:
        self._opened = [port, *(other for other in self._opened if not other.closed)]
        return port


class Out:
    """An output that is open. Whoever sends sees to it that nobody else does, or closes it, meanwhile."""

    def __init__(self, port: "rtmidi.MidiOut", let_pass: Callable[[], None]) -> None:
        """Made by `MidiPorts.open`. `let_pass` waits until what was sent has arrived."""
        self.closed = False
        self.send: Callable[[tuple[int, ...]], None] = port.send_message
        self._port = port
        self._let_pass = let_pass

    def close(self) -> None:
        """Let go of it, when what was sent has arrived."""
        self._let_pass()
        self.closed = True
        with quiet_stderr():
            self._port.close_port()
            self._port.delete()


class Input:
    """An input that is listened to."""

    def __init__(
        self,
        name: str,
        port: "rtmidi.MidiIn",
        on_message: OnMessage,
        now_s: Callable[[], float],
        polled: bool,
    ) -> None:
        """Made by `MidiPorts.open_input`. `polled`: JACK calls back within its own period, in which nobody may
        wait for Python (while a port is opened that would even be for ever): there a thread looks instead.
        """
        self.name = name
        self._port = port
        self._on_message = on_message
        self._now_s = now_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"MIDI from {name}", daemon=True)
        if polled:
            self._thread.start()
        else:
            port.set_callback(lambda event, _: on_message(tuple(event[0]), now_s()))

    @property
    def closed(self) -> bool:
        """Whether it listens no more."""
        return self._closing.is_set()

    def close(self) -> None:
        """Listen no more."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        with quiet_stderr():
            self._port.cancel_callback()
            self._port.close_port()
            self._port.delete()

    def _poll(self) -> None:
        while not self._closing.is_set():
            event = self._port.get_message()
            if event is not None:
                self._on_message(tuple(event[0]), self._now_s())
            else:
                self._closing.wait(POLL_S)


def match_port(pattern: str, names: Sequence[str]) -> str | None:
    """The first port whose name is, contains or matches (*, ?) the pattern, whatever its case.

    "auto" is the first that looks like gear. The numbers that ALSA puts behind a name do not count.
    """
    exact = [name for name in names if bare_name(name) == bare_name(pattern)]
    return next((name for name in (*exact, *names) if port_matches(pattern, name)), None)


def port_matches(pattern: str, name: str) -> bool:
    """Whether one port's name matches a pattern as in match_port."""
    low, wanted = bare_name(name), bare_name(pattern)
    if wanted == "auto":
        return not any(fnmatch.fnmatch(low, no) for no in _NOT_GEAR)
    return wanted in low or fnmatch.fnmatch(low, wanted)


def bare_name(name: str) -> str:
    """A port's name in small letters, without the numbers that ALSA puts behind it: the same after a replug."""
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
    with _STDERR:
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
