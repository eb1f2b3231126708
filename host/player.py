"""Settings and history -> tokens -> notes, ahead of time, with rollback when a control moves.

Pure: the notes are a function of (weights, seed, moves with the ticks at which they became final), because
- chance is counter-based: the number drawn for a token depends on the seed and the token's position only;
- a move names the tick up to which all notes are final; what is later is chosen anew, and no new note
  falls at or before that tick.
So a player that is rebuilt from the journal goes on as the one that was switched off would have.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from host.events import Spelled
from host.loop_guard import HEARD_TOKENS, loosened, tightness
from host.pace import next_onset, with_onset
from host.scales import in_scale
from host.settings import Settings
from model import tokens
from model.conditioning import SideInput
from model.tokens import END, FIRST_SHIFT, SHIFTS, Note, State, TokenRange

MAX_PLANNED_NOTES = 512
_MAX_TOKENS_PER_NOTE = tokens.MAX_CHAINED_SHIFTS + 2


class SteppingEngine(Protocol):
    """What the player needs of quantize.engine.Engine."""

    max_rollback: int

    def reset(self, position: int = 0) -> None:
        """Forget everything; the next token is number `position`."""

    def step(self, token: int, side: SideInput) -> None:
        """Read one token."""

    def prefill(self, tokens: Sequence[int], sides: Sequence[SideInput]) -> None:
        """Read many tokens."""

    def truncate(self, position: int) -> None:
        """Forget the tokens from number `position` on."""

    def sample(
        self,
        allowed: tuple[TokenRange, ...],
        temperatures: tuple[float, float, float],
        top_p: float,
        seed: int,
    ) -> int:
        """Choose the next token."""
        ...


class Place(NamedTuple):
    """Where the stream stands after a token: with the engine, all it takes to go on from there."""

    position: int  # tokens so far; the last of them is `token`
    token: int
    state: State
    onsets: tuple[int, ...]  # ticks of the last notes and beginnings of phrases, each once


class Player:
    """Plans notes ahead, hands out the final ones, and plans again when a control moves."""

    def __init__(self, engine: SteppingEngine, seed: int, settings: Settings) -> None:
        """A new piece at tick 0 (or one to `resume`)."""
        self.engine = engine
        self.seed = seed
        self.settings = settings
        self.planned: deque[tuple[Spelled, Place]] = deque()
        self._final = Place(0, END, tokens.START, (0,))
        # Told each choice of a note: the position the note will have, what was allowed, the temperature and the
        # token. The engine still stands before the choice; whoever looks must not move it.
        self.on_note_choice: Callable[[int, tuple[TokenRange, ...], float, int], None] | None = None
        self._onset_tick: int | None = None  # where the next note must fall, whatever the model would choose
        self._history: list[int] = []  # the last tokens up to the tip, for the loop guard
        engine.reset()
        self._begin()

    def resume(self, past: Sequence[int], sides: Sequence[SideInput], place: Place) -> None:
        """Stand where the journal ends: `past` are the last tokens up to `place`, each with its side input.

        With layers x window of them (or all there are) the engine is, bit for bit, where it was: what is
        older has left its window in every layer.
        """
        self.planned.clear()
        self._final = place
        self._history = list(past)
        self.engine.reset(place.position - len(past))
        self.engine.prefill(past, sides)

    @property
    def final(self) -> Place:
        """Where the final notes end."""
        return self._final

    @property
    def planned_tick(self) -> int:
        """How far the plan reaches: no note will come before this tick unless a control moves."""
        return self._tip.state.tick

    @property
    def full(self) -> bool:
        """Whether planning further would exceed what can be rolled back."""
        reach = self._tip.position + _MAX_TOKENS_PER_NOTE - self._final.position
        return len(self.planned) >= MAX_PLANNED_NOTES or reach >= self.engine.max_rollback

    def move(
        self,
        changes: Mapping[str, float | None],
        floor_tick: int,
        new_phrase: bool = False,
        bar_tick: int | None = None,
        skip: bool = False,
    ) -> None:
        """Set controls. Notes at or before `floor_tick` stay; all later ones will be chosen anew.

        `new_phrase`: they will be a beginning, not a continuation. `bar_tick`: there is a bar line, whatever the
        metre had expected. `skip`: only what is final stays, though no note may fall before the floor is over.
        """
        floor_tick = max(floor_tick, self._final.state.tick)  # what is final is never chosen again
        kept_tick = self._final.state.tick if skip else floor_tick
        tip = self._tip
        while self.planned and self.planned[-1][0].tick > kept_tick:
            dropped, _ = self.planned.pop()
            new_phrase = new_phrase or dropped.note is None
        self.settings = self.settings.moved(changes, floor_tick, bar_tick)
        # Heard from the very next token on: the last one that stays is read again, with the new side input.
        before, tip = tip, self._tip
        del self._history[len(self._history) - (before.position - tip.position) :]
        self.engine.truncate(tip.position - 1)
        self.engine.step(tip.token, self.settings.side(tip.state.tick))
        if new_phrase:
            self._begin()

    def plan_note(self) -> Spelled:
        """Choose one more note after those planned. Call while not `full`."""
        place = self._tip
        temperatures = self._temperatures()
        spelled: list[int] = []
        note = None
        while note is None:
            allowed = self._allowed(place)
            token = self._draw(place, allowed, temperatures)
            if self.on_note_choice is not None and tokens.is_note(token):
                self.on_note_choice(place.position + 2, allowed, temperatures[1], token)
            spelled.append(token)
            state, note = tokens.advance(place.state, token)
            onsets = with_onset(place.onsets, state.tick) if note is not None else place.onsets
            place = Place(place.position + 1, token, state, onsets)
            self.engine.step(token, self.settings.side(state.tick))
        planned = Spelled(note, place.position, note.tick, tuple(spelled), self.settings.number)
        self.planned.append((planned, place))
        self._remember(spelled)
        return planned

    def play_onset(self, tick: int) -> list[Spelled]:
        """The next note, and all that the model lets sound with it, at a tick that somebody else decides: after
        the last final one and at most LONGEST_SHIFT later. Final at once. Nothing else may be planned.
        """
        self._onset_tick = tick
        while True:
            self.plan_note()
            tip = self._tip
            if self.full or tokens.is_shift(self._draw(tip, self._allowed(tip), self._temperatures())):
                break
        self._onset_tick = None
        return self.commit(tick)

    def hear(self, notes: Sequence[Note]) -> list[Spelled]:
        """Notes of one tick that somebody else plays: the past from now on, and all that follows is chosen anew.

        Nothing can come before what is final: they are taken to sound with it, if they come too late. Returns
        what became final: a beginning that waited, then what was heard.
        """
        cells = {tokens.note_token(note.voice, note.pitch): note for note in notes}
        tick = max(notes[0].tick, self._final.state.tick)
        if tick == self._final.state.tick and min(cells) <= self._final.state.cell:
            tick += 1  # within an onset tokens ascend
        self.move({}, tick, skip=True)
        final = self.commit(tick)
        place, read, sides = self._final, list[int](), list[SideInput]()
        for cell in sorted(cells):
            gap = min(tick - place.state.tick, tokens.LONGEST_SHIFT)
            touch = tokens.touch_token(cells[cell].velocity, cells[cell].duration)
            spelled = [*tokens.shift_tokens(gap), cell, touch]
            state, note = place.state, None
            for token in spelled:
                state, note = tokens.advance(state, token)
                sides.append(self.settings.side(state.tick))
            read += spelled
            # Not an onset of ours: the density asked for is what the box itself plays.
            place = Place(place.position + len(spelled), touch, state, place.onsets)
            tick = state.tick
            final.append(Spelled(note, place.position, tick, tuple(spelled), self.settings.number, True))
        self.engine.prefill(read, sides)
        self._final = place
        self._remember(read)
        return final

    def commit(self, until_tick: int) -> list[Spelled]:
        """What was planned up to and with `until_tick`: final from now on."""
        final = []
        while self.planned and self.planned[0][0].tick <= until_tick:
            spelled, self._final = self.planned.popleft()
            final.append(spelled)
        return final

    @property
    def _tip(self) -> Place:
        return self.planned[-1][1] if self.planned else self._final

    def _begin(self) -> None:
        tip = self._tip
        state, _ = tokens.advance(tip.state, END)
        place = Place(tip.position + 1, END, state, with_onset(tip.onsets, state.tick))
        self.engine.step(END, self.settings.side(state.tick))
        self.planned.append((Spelled(None, place.position, state.tick, (END,), self.settings.number), place))
        self._remember([END])

    def _remember(self, spelled: Sequence[int]) -> None:
        self._history += spelled
        if len(self._history) > 4 * (HEARD_TOKENS + self.engine.max_rollback):
            del self._history[: -(HEARD_TOKENS + self.engine.max_rollback)]

    def _temperatures(self) -> tuple[float, float, float]:
        tight = tightness(self._history)
        rhythm, pitch, touch = self.settings.temperatures
        return loosened(rhythm, tight), loosened(pitch, tight), loosened(touch, tight)

    def _draw(
        self, place: Place, allowed: tuple[TokenRange, ...], temperatures: tuple[float, float, float]
    ) -> int:
        if len(allowed) == 1 and allowed[0][1] - allowed[0][0] == 1:
            return allowed[0][0]
        token = self.engine.sample(allowed, temperatures, self.settings.top_p, self.seed)
        if tokens.is_shift(token) and place.state.shifts == 0:
            # Whether time passes at all is the model's choice; the pace only says how much of it may.
            shifts = self._paced_shifts(place)
            if not shifts[0] <= token < shifts[1]:
                token = self.engine.sample((shifts,), temperatures, self.settings.top_p, self.seed)
        return token

    def _paced_shifts(self, place: Place) -> TokenRange:
        """The shifts, after a note, that neither fall into the past nor leave the density asked for."""
        earliest, latest = next_onset(place.onsets, self.settings.controls.get("density"))
        earliest = max(earliest, self.settings.floor_tick + 1)
        # The longest shift, and then the rest, when one shift cannot reach it.
        first = min(bisect_left(SHIFTS, earliest - place.state.tick), len(SHIFTS) - 1)
        stop = max(first + 1, bisect_right(SHIFTS, latest - place.state.tick))
        return FIRST_SHIFT + first, FIRST_SHIFT + stop

    def _allowed(self, place: Place) -> tuple[TokenRange, ...]:
        """The grammar's mask, less what would fall into the past or be too long a silence."""
        ranges = tokens.allowed(place.state)
        if place.state.pending:
            return ranges
        ranges = in_scale(ranges, self.settings.pitch_classes)
        onset_tick = self.settings.downbeat_tick if self._onset_tick is None else self._onset_tick
        if onset_tick is not None and place.state.tick < onset_tick:
            token = tokens.shift_tokens(onset_tick - place.state.tick)[0]
            return ((token, token + 1),)
        if place.state.tick == onset_tick and place.onsets[-1] < onset_tick:
            return tuple(r for r in ranges if not tokens.is_shift(r[0]))
        if place.state.tick <= self.settings.floor_tick:
            return (self._paced_shifts(place),)  # nothing may sound until the floor
        if place.state.shifts == 0:
            return ranges
        _, latest = next_onset(place.onsets, self.settings.controls.get("density"))
        stop = FIRST_SHIFT + bisect_right(SHIFTS, latest - place.state.tick)
        cut = [(first, stop) if first == FIRST_SHIFT else (first, last) for first, last in ranges]
        return tuple((first, last) for first, last in cut if first < last)
