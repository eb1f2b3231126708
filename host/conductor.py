"""Who leads the clock: the tempo control, or a source that others beat, exchanged while playing.

A source's ticks plus an anchor are the piece's. The anchor is chosen so that nothing jumps when the piece
plays on (a glide of tempo to the nearest pulse or beat), and so that bars agree where time stood (the piece
is placed: no note before that tick, the next ones are chosen anew).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from host.clock import Clock
from host.clocks.glide import Glide, Line, glide
from host.clocks.source import Source
from host.settings import Meter
from model.tokens import PPQN

INTERNAL = "internal"


class Placement(NamedTuple):
    """`tick`: no note before it, what was planned is chosen anew (None: the plan stays). `bar_tick`: there is
    a bar line (None: where they were); with `tick` the same, a note falls on it.
    """

    tick: int | None
    bar_tick: int | None


class ClockStatus(NamedTuple):
    """For those who look on: `following`: the chosen source leads."""

    source: str
    following: bool
    running: bool
    tempo_bpm: float
    sentence: str


class Conductor:
    """Aims the clock. `listen`, then (when the clock was stopped if it had to be) `lead`, at every step."""

    def __init__(self, clock: Clock, sources: Mapping[str, Source], carry_on: bool = True) -> None:
        """`sources` by the name under which they are chosen. `carry_on`: without a source that beats, the piece
        goes on at the tempo it has; otherwise it waits.
        """
        self.clock = clock
        self.sources = dict(sources)
        self.chosen = INTERNAL
        self.rolling = True
        self._carry_on = carry_on
        self._numbering: int | None = None  # of the source's ticks that the anchor belongs to
        self._anchor = 0.0
        self._glide: Glide | None = None
        self._lost_place = False

    @property
    def following(self) -> Source | None:
        """The source that leads now."""
        return self.sources[self.chosen] if self._numbering is not None else None

    @property
    def settled(self) -> bool:
        """Whether a source leads, and the tempo is its own."""
        return self._numbering is not None and self._glide is None

    def choose(self, name: str, now_s: float) -> None:
        """Take another source, or none ("internal"). The tempo stays until the source has been heard."""
        if name != self.chosen:
            self._leave(now_s)
            self.chosen = name
            if name in self.sources:
                self.sources[name].guess_tempo(self.clock.tempo_bpm)

    def set_tempo(self, tempo_bpm: float, now_s: float) -> None:
        """The tempo control was moved: it leads when nothing else does."""
        source = self.following
        if source is not None:
            source.set_tempo(tempo_bpm)
        else:
            self.clock.set_tempo(tempo_bpm, now_s)

    def lose_place(self) -> None:
        """The piece and its source have come apart (the machine slept): place it anew."""
        self._numbering = None
        self._lost_place = True

    def slip(self, ticks: int, now_s: float) -> None:
        """Stand so many ticks earlier in the piece: they have passed without being played."""
        self._anchor -= ticks
        self.clock.aim(self.clock.straight_at(now_s) - ticks, self.clock.ticks_per_s, now_s)

    def bar_line(self, t_s: float, lowest_tick: int) -> Placement:
        """Where a bar line falls that was told at a time: on the next pulse, and a note with it, while a source
        stands.
        """
        source = self.following
        if source is None or self.clock.running:
            return Placement(None, round(self.clock.tick_at(t_s)))
        tick = round(source.next_tick + self._anchor)
        if tick < lowest_tick:
            self._anchor += lowest_tick - tick
            tick = lowest_tick
        self.clock.move_to(tick - 0.5, t_s)
        return Placement(tick, tick)

    def listen(self, now_s: float, wanted: bool) -> None:
        """Take in what the sources say. `rolling` tells whether time passes; `wanted`: the player lets it."""
        for source in self.sources.values():
            source.update(now_s)
        chosen = self._leading()
        self.rolling = wanted and (chosen is None or chosen.rolling)
        if chosen is None:
            self._leave(now_s)
        elif not wanted:
            self._numbering = None  # it goes on without us

    def lead(self, now_s: float, lowest_tick: int, meter: Meter) -> Placement | None:
        """Run and aim the clock. Nothing final lies at or after `lowest_tick`."""
        source = self._leading()
        if source is None:
            if self.rolling:
                self.clock.run(now_s)
            return None
        placement = None
        if self._numbering != source.numbering:
            if self._must_glide(source):
                if not source.settled:
                    return None  # one more pulse, and the tempo is known
                placement = self._approach(source, now_s, meter)
            elif self.rolling or source.armed:
                placement = self._place(source, now_s, lowest_tick, meter)
        if self.rolling and self._numbering is not None:
            self.clock.run(now_s)
            self._aim(source, now_s)
        return placement

    def status(self, now_s: float) -> ClockStatus:
        """How things stand; from any thread."""
        source = self.sources.get(self.chosen)
        following = self._numbering is not None
        if source is None:
            missing = 'Ableton Link is not installed: pip install "noonsong[link]"'
            sentence = "" if self.chosen == INTERNAL else missing
        else:
            sentence = source.sentence(now_s)
            if not following and self.clock.running:
                sentence += f"; going on at {self.clock.tempo_bpm:.1f} bpm"
        return ClockStatus(self.chosen, following, self.clock.running, self.clock.tempo_bpm, sentence)

    def _leading(self) -> Source | None:
        source = self.sources.get(self.chosen)
        return None if source is None or (self._carry_on and not source.alive) else source

    def _leave(self, now_s: float) -> None:
        source = self.following
        if source is not None:
            if self.clock.running:
                self.clock.set_tempo(source.tempo_bpm, now_s)
            self._numbering = None
            self._glide = None

    def _must_glide(self, source: Source) -> bool:
        """Whether the piece plays, and nobody has told it to be elsewhere."""
        told = self._numbering is not None and source.told
        return self.clock.running and source.rolling and not told and not self._lost_place

    def _approach(self, source: Source, now_s: float, meter: Meter) -> Placement | None:
        """To the nearest pulse, or beat where those are known; bar lines then move to where the source has them."""
        unit = PPQN if source.placed else source.unit_ticks
        old = Line(self.clock.straight_at(now_s), self.clock.ticks_per_s)
        new = Line(source.tick_at(now_s), source.ticks_per_s(now_s))
        self._glide, self._anchor = glide(old, new, now_s, unit, meter.tick % unit)
        self._numbering = source.numbering
        if source.placed and meter.tick_in_bar(round(self._anchor)):
            return Placement(None, round(self._anchor))
        return None

    def _place(self, source: Source, now_s: float, lowest_tick: int, meter: Meter) -> Placement | None:
        """Time stood: go on at the first place that agrees with the source's bars, or else with its pulses."""
        there = source.tick_at(now_s) if self.rolling else source.next_tick
        begins = source.begins and there < source.unit_ticks
        stood = self.clock.straight_at(now_s)
        lost, self._lost_place = self._lost_place, False
        self._glide = None
        self._numbering = source.numbering
        if source.placed:
            first = source.next_tick - source.unit_ticks if begins and self.rolling else there
            tick = lowest_tick + (meter.tick + first - lowest_tick) % meter.bar_ticks
        elif lost:
            first, tick = there, float(lowest_tick)
        else:
            first = there
            grid = (stood - meter.tick) / source.unit_ticks
            tick = meter.tick + source.unit_ticks * math.ceil(grid - 0.5 / source.unit_ticks)
        self._anchor = tick - first
        if not self.rolling:
            self.clock.move_to(tick - 0.5, now_s)
        if not source.placed and not lost and tick <= stood + 0.5:
            return None
        return Placement(math.ceil(tick), math.ceil(tick) if begins else None)

    def _aim(self, source: Source, now_s: float) -> None:
        straight = source.tick_at(now_s) + self._anchor
        ticks_per_s = source.ticks_per_s(now_s)
        if self._glide is not None:
            if self._glide.over(now_s):
                self._glide = None
            else:
                straight += self._glide.offset_ticks(now_s)
                ticks_per_s += self._glide.offset_ticks_per_s(now_s)
        self.clock.aim(straight, ticks_per_s, now_s)
