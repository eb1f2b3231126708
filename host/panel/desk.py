"""Does what a page asks for. A refusal is a sentence for that page."""

from collections.abc import Callable, Mapping
from typing import Any

from host.board import Board
from host.config_file import ConfigFile
from host.controls import Control
from host.inputs.inputs import Inputs
from host.inputs.mapping import TARGETS
from host.instrument import Instrument
from host.midi_ports import MidiPorts, bare_name
from host.panel import requests as ask
from host.panel.calibrating import Calibrating
from host.panel.form import Form
from host.panel.replay import Replay
from host.presets import Presets
from model.errors import NoonsongError

Later = Callable[[dict[str, Any]], None]


class Desk:
    """The one way from a page to the instrument."""

    def __init__(
        self,
        instrument: Instrument,
        table: Mapping[str, Control],
        presets: Presets,
        replay: Replay,
        board: Board | None,
        inputs: Inputs,
        ports: MidiPorts | None,
        file: ConfigFile,
    ) -> None:
        self._instrument = instrument
        self._table = table
        self._presets = presets
        self._replay = replay
        self._inputs = inputs
        self._ports = ports
        self._file = file
        self._form = Form(file)
        self._calibrating = Calibrating(board) if board is not None else None
        self.restart_wanted = False
        self.changed_settings = False  # since the start: they hold from the next one on

    def do(self, request: ask.Request, who: str, later: Later) -> dict[str, Any] | None:
        """The answer, where one is wanted; `later` takes those that come when they come, from any thread.

        Raises NoonsongError with a sentence when it cannot be done; nothing has changed then.
        """
        instrument, presets = self._instrument, self._presets
        match request:
            case ask.Turn(control, position):
                instrument.move(control, self._control(control).value_at(position), who)
            case ask.Enter(control, text):
                instrument.move(control, self._control(control).parse(text), who)
            case ask.Reset(control):
                instrument.move(control, self._control(control).default, who)
            case ask.Press("panic"):
                instrument.panic()
            case ask.Press("phrase"):
                instrument.performance.begin_phrase()
            case ask.Press("rest"):
                instrument.rest(True)
            case ask.Press("wake"):
                instrument.rest(False)
            case ask.Press("end past"):
                self._replay.end()
            case ask.Press("restart"):
                self._file.check()  # somebody may have written into it: better not to start than to be gone
                self.restart_wanted = True
                instrument.stop()
            case ask.Settings():
                return self._settings()
            case ask.Set(key, text):
                self._form.set(key, text)
                self.changed_settings = True
                return self._settings()
            case ask.Learn(control):
                return self._learn(control, later)
            case ask.Forget(index, says):
                return self._forget(index, says)
            case ask.Calibrate(channel):
                return self._calibration().begin(channel, instrument.now_s())
            case ask.Volts(text):
                calibrating = self._calibration()
                return calibrating.read(text, instrument.now_s()) if text else calibrating.save()
            case ask.Mark(kind, tick):
                instrument.performance.mark(kind, tick, who)
            case ask.SavePreset(slot, name):
                presets.save(slot, name, instrument.performance.asked)
            case ask.RenamePreset(slot, name):
                presets.rename(slot, name)
            case ask.DeletePreset(slot):
                presets.delete(slot)
            case ask.Recall(slot):
                presets.recall(slot)

        return None

    def _settings(self) -> dict[str, Any]:
        known = self._ports.known if self._ports is not None else ([], [])
        return {
            "kind": "settings",
            "fields": [field._asdict() for field in self._form.fields()],
            "learnable": [*self._table, *TARGETS],
            "assigned": [[row.control, says] for row, says in self._inputs.rows()],
            "ports": [sorted({bare_name(name) for name in names}) for names in known],
            "changed": self.changed_settings,
            "board": self._calibrating is not None,
        }

    def _learn(self, control: str, later: Later) -> dict[str, Any]:
        if not control:
            self._inputs.cancel_learning()
            return {"kind": "learning", "control": ""}
        self._inputs.learn(control, lambda says: later({**self._settings(), "kind": "learnt", "says": says}))
        return {"kind": "learning", "control": control}

    def _forget(self, index: int, says: str) -> dict[str, Any]:
        rows = self._inputs.rows()
        if index >= len(rows) or rows[index][1] != says:
            raise NoonsongError("that assignment is there no more")
        mapped = rows[index][0]
        if mapped not in self._inputs.saved:
            raise NoonsongError(f"{says} is assigned by the section board of the settings: change it there")
        self._inputs.set_mappings([row for row in self._inputs.saved if row != mapped])
        return self._settings()

    def _calibration(self) -> Calibrating:
        if self._calibrating is None:
            raise NoonsongError("there is no board to calibrate: set board.port")
        return self._calibrating

    def _control(self, name: str) -> Control:
        if name not in self._table:
            raise NoonsongError(f'there is no control "{name}": the controls are {", ".join(self._table)}')
        return self._table[name]
