"""The board's knobs turn controls."""

from collections.abc import Callable, Mapping, Sequence

from host.controls import Control
from model.errors import NoonsongError

MoveControl = Callable[[str, float | None, str], None]


class Knobs:
    """Turns (knob, position 0..1) into control moves. Until connected, the last turn of each is kept."""

    def __init__(self, names: Sequence[str], table: Mapping[str, Control]) -> None:
        """`names`: the control of each knob; an empty name for a knob without one.

        Raises NoonsongError when there is no such control.
        """
        for name in names:
            if name not in ("", "source", *table):  # weights of one source only have no such control
                raise NoonsongError(f'no control "{name}" for a knob: the controls are {", ".join(table)}')
        self._controls = [table.get(name) for name in names]
        self._move: MoveControl | None = None
        self._waiting: dict[int, float] = {}

    def connect(self, move: MoveControl) -> None:
        """From now on, move the controls; first to where the knobs stand."""
        self._move = move
        for index, position in self._waiting.items():
            self.turned(index, position, 0.0)

    def turned(self, index: int, position: float, t_s: float) -> None:
        """A knob was turned; for the board's thread."""
        control = self._controls[index] if index < len(self._controls) else None
        if self._move is None:
            self._waiting[index] = position
        elif control is not None:
            self._move(control.name, control.value_at(position), "board")
