"""When each planned event came out, against when it was due: shared by tests and benches."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from tests.sim.simulator import CYCLES_PER_US, GATE_PINS, Simulator
from tests.sim.traffic import Planned

# A note's voltage is due this long before its gate: settling time, and room to write four (logic/voices.h).
NOTE_CV_LEAD_US = 20 + 140
WINDOW_US = 4_000


@dataclass
class Errors:
    """Deviations in microseconds of board time, late positive; `missing` counts events never seen."""

    cv: list[float] = field(default_factory=list)
    gate: list[float] = field(default_factory=list)
    settle: list[float] = field(default_factory=list)
    missing: int = 0

    def summary(self) -> dict[str, dict[str, float]]:
        """Median, 99th percentile and worst of the absolute errors; the shortest settling time."""
        out: dict[str, dict[str, float]] = {}
        for name, values in (("cv", self.cv), ("gate", self.gate)):
            absolute = np.abs(np.array(values))
            out[name] = {
                "events": float(len(values)),
                "median_us": round(float(np.median(absolute)), 1),
                "p99_us": round(float(np.percentile(absolute, 99)), 1),
                "worst_us": round(float(absolute.max()), 1),
            }
        out["settle"] = {"least_us": round(min(self.settle), 1)}
        return out


def errors_of(sim: Simulator, planned: list[Planned]) -> Errors:
    """Match every planned event with the DAC word and the gate edge that it caused."""
    errors = Errors()
    end_us = sim.board_us(sim.cycle) - 2_000
    writes: dict[tuple[int, int], list[int]] = {}
    for write in sim.dac_writes:
        writes.setdefault((write.channel, write.dac_code), []).append(write.cycle)
    rises: dict[int, list[int]] = {pin: [] for pin in GATE_PINS}
    for change in sim.pins:
        if change.high and change.pin in rises:
            rises[change.pin].append(change.cycle)
    for event in planned:
        if event.due_us > end_us:
            continue
        want_us = event.due_us - (NOTE_CV_LEAD_US if event.gate else 0)
        near = [
            c
            for c in writes.get((event.channel, event.dac_code), [])
            if abs(sim.board_us(c) - want_us) < WINDOW_US
        ]
        if not near:
            errors.missing += 1
            continue
        cv_cycle = min(near, key=lambda c: abs(sim.board_us(c) - want_us))
        errors.cv.append(sim.board_us(cv_cycle) - want_us)
        if not event.gate:
            continue
        edges = rises[GATE_PINS[event.channel]]
        at = bisect_left(edges, cv_cycle)
        if at == len(edges) or sim.board_us(edges[at]) - event.due_us > WINDOW_US:
            errors.missing += 1
            continue
        errors.gate.append(sim.board_us(edges[at]) - event.due_us)
        errors.settle.append((edges[at] - cv_cycle) / CYCLES_PER_US)
    return errors
