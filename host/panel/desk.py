"""Does what a page asks for. A refusal is a sentence for that page."""

from collections.abc import Mapping

from host.controls import Control
from host.instrument import Instrument
from host.panel import requests as ask
from host.presets import Presets
from model.errors import NoonsongError


class Desk:
    """The one way from a page to the instrument."""

    def __init__(self, instrument: Instrument, table: Mapping[str, Control], presets: Presets) -> None:
        self._instrument = instrument
        self._table = table
        self._presets = presets

    def do(self, request: ask.Request, who: str) -> None:
        """Raises NoonsongError with a sentence when it cannot be done; nothing has changed then."""
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
            case ask.Mark(kind, tick):
                instrument.performance.mark(kind, tick, who)
            case ask.SavePreset(slot, name):
                presets.save(slot, name, instrument.performance.asked)
            case ask.RenamePreset(slot, name):
                presets.rename(slot, name)
            case ask.DeletePreset(slot):
                presets.delete(slot)
            case ask.Recall(slot, over_s):
                performance = instrument.performance
                presets.recall(slot, over_s, performance.asked, instrument.move, lambda: performance.asked)

    def _control(self, name: str) -> Control:
        if name not in self._table:
            raise NoonsongError(f'there is no control "{name}": the controls are {", ".join(self._table)}')
        return self._table[name]
