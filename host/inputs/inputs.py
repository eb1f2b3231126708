"""All inputs joined: what they are assigned to, learning new ones, and what a running box is told by them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from host.config import Config, Mapped
from host.config_file import ConfigFile
from host.controls import Control
from host.events import Heard, Notice, Thru, ThruLost
from host.inputs.dispatch import Dispatch
from host.inputs.echoes import Echoes
from host.inputs.keyboard import Keyboard
from host.inputs.mapping import ACTIONS
from host.inputs.mappings import Mappings, MoveControl, Recalled, describe, settings_of, with_learnt
from host.inputs.midi import MidiInputs
from host.inputs.osc import OscInput
from host.inputs.sources import Source
from host.midi_ports import MidiPorts
from model.errors import NoonsongError

Say = Callable[[str], None]


class HasKnobs(Protocol):
    """What is needed of host.board.Board."""

    @property
    def knob_count(self) -> int:
        """How many of its analogue inputs are knobs; those after them are CV inputs."""
        ...


class Inputs:
    """Knobs, MIDI and OSC. Until `connect`ed nothing moves; where knobs stand is kept for then."""

    def __init__(
        self,
        config: Config,
        table: Mapping[str, Control],
        ports: MidiPorts | None,
        file: ConfigFile,
        say: Say,
        now_s: Callable[[], float],
    ) -> None:
        """`ports`: None plays without MIDI inputs. `file`: where what is learnt is kept.

        Raises NoonsongError when an assignment cannot be, or an OSC port cannot be had.
        """
        self._table = table
        self._file = file
        self._say = say
        self._saved = config.inputs.map
        self._now_s = now_s
        self._saving = threading.Lock()
        self._board: HasKnobs | None = None
        self._early: dict[int, float] = {}  # what the board said before we knew it
        self.mappings = Mappings(settings_of(config), table)
        self.echoes = Echoes()
        self.dispatch = Dispatch(self.mappings, self.echoes)
        self.keyboard = Keyboard(config.inputs)
        self.osc: OscInput | None = None
        if config.inputs.osc_port:
            self.osc = OscInput(config.inputs.osc_address, config.inputs.osc_port, self.mappings, table)
        self.midi: MidiInputs | None = None
        passed_on = [pattern for output in config.midi.outputs for pattern in output.thru]
        patterns = [p for p in (*config.inputs.midi, config.inputs.keyboard, *passed_on) if p]
        if ports is not None and patterns:
            self.midi = MidiInputs(ports, patterns, self.dispatch, self._lost, now_s)

    def connect(
        self,
        move: MoveControl,
        values: Mapping[str, float | None],
        actions: Mapping[str, Callable[[], None]],
        post: Callable[[Notice, float], None],
        hear: Callable[[Heard], None],
        take_scale: Callable[[int, int, str], None],
        presets: Recalled | None = None,
    ) -> None:
        """Move the controls from now on. `values`: where they stand, kept up to date by who owns it;
        `actions`: what each of mapping.ACTIONS does, but "listen", which is done here; `post` takes what outputs
        may pass on, `hear` the keys that are played, `take_scale` (root, intervals as bits, who) a scale;
        `presets` are gone through by what is assigned to "preset", and called by program changes.
        """
        actions = {**actions, "listen": self.listen_for_scale}
        self.dispatch.on_key = self.keyboard.key
        self.keyboard.connect(hear, lambda root, intervals: take_scale(root, intervals, "keyboard"))
        self.dispatch.on_thru = lambda port, message, t_s: post(Thru(port, message), t_s)
        self.dispatch.on_lost = lambda port, t_s: post(ThruLost(port), t_s)
        assert set(actions) == set(ACTIONS)
        self.mappings.connect(move, values, actions, presets)
        if presets is not None:
            self.dispatch.on_program = partial(_called, presets)
        if self.osc is not None:
            self.osc.connect(move, actions, presets)

    def listen_for_scale(self) -> None:
        """What is played on the keyboard next is the scale to play in; it ends with a pause."""
        self.keyboard.listen_for_scale()
        self._say("play the scale on the keyboard, its root first; two seconds of silence end it")

    def knob_turned(self, index: int, position: float, t_s: float) -> None:
        """An analogue input of the board stands at 0 to 1; for the board's thread."""
        if self._board is None:
            self._early[index] = position
            return
        knobs = self._board.knob_count
        source = Source("knob", index + 1) if index < knobs else Source("cv", index - knobs + 1)
        self.mappings.turned(source, "", position)

    def attach_board(self, board: HasKnobs) -> None:
        """Whose knobs they are."""
        self._board = board
        for index, position in self._early.items():
            self.knob_turned(index, position, 0.0)

    def rows(self) -> list[tuple[Mapped, str]]:
        """Every assignment there is now, and the same in words."""
        return [(mapped, describe(mapped)) for mapped in self.mappings.rows()]

    @property
    def saved(self) -> Sequence[Mapped]:
        """The [[inputs.map]] of noonsong.toml; the other assignments come from its other settings."""
        return self._saved

    def learn(self, control: str, done: Callable[[str], None] = lambda sentence: None) -> None:
        """Assign the next thing that moves and keep that in noonsong.toml; `done` is told how it went.

        Raises NoonsongError when there is no such control.
        """

        def learnt(mapped: Mapped) -> None:
            # Not on the thread it came by: a disk may take its time, and knobs must not wait for it.
            threading.Thread(target=self._keep_learnt, args=(mapped, done), name="learnt").start()

        self.mappings.learn(control, learnt)

    def cancel_learning(self) -> None:
        """Learn nothing."""
        self.mappings.cancel_learning()

    def set_mappings(self, mappings: Sequence[Mapped]) -> None:
        """Make these the [[inputs.map]], now and in noonsong.toml.

        Raises NoonsongError, and changes nothing, when one of them cannot be or the file cannot be written.
        """
        with self._saving:
            Mappings(mappings, self._table)  # checked before the file is touched
            config = self._file.set_mappings(mappings)
            self._saved = tuple(mappings)
            self.mappings.replace(settings_of(config))

    def watch(self) -> None:
        """Look which devices have come and gone. Called now and then, off the audio path."""
        if self.midi is not None:
            before = self.midi.state
            try:
                self.midi.watch()
            except (OSError, RuntimeError) as error:  # what rtmidi raises; the box plays on
                self.midi.faults += 1
                self.midi.last_fault = f"MIDI inputs: {error}"
            if self.midi.state != before:
                self._say(self.midi.state)

    @property
    def faults(self) -> dict[str, str]:
        """What was last wrong with each input, in a sentence."""
        sources = {"MIDI inputs": self.midi, "OSC": self.osc}
        return {name: source.last_fault for name, source in sources.items() if source and source.faults}

    def close(self) -> None:
        """Let go of every device."""
        self.keyboard.close()
        for source in (self.midi, self.osc):
            if source is not None:
                source.close()

    def _keep_learnt(self, mapped: Mapped, done: Callable[[str], None]) -> None:
        with self._saving:
            sentence = f"{describe(mapped)} moves {mapped.control} from now on"
            self._saved = tuple(with_learnt(self._saved, mapped))
            try:
                self._file.set_mappings(self._saved)
            except NoonsongError as error:
                sentence += f", until you leave: {error}"
        self._say(sentence)
        done(sentence)

    def _lost(self, port: str) -> None:
        self.dispatch.on_lost(port, self._now_s())


def _called(presets: Recalled, program: int) -> None:
    """A MIDI program change: preset 1 for program 1 and so on; others mean somebody else."""
    if program in presets.saved():
        presets.recall(program)
