"""The board at full rate both ways for minutes of its own time: `python -m tests.sim.soak --minutes 10`."""

from __future__ import annotations

import argparse
import json
import random
import sys

from tests.sim.measure import errors_of
from tests.sim.simulator import Simulator
from tests.sim.traffic import Traffic

PORTION_S = 1


def main() -> int:
    """Run, print a line a minute and the result as JSON; returns 1 when anything was lost or late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with Simulator() as sim:
        traffic = Traffic(sim, random.Random(args.seed))
        traffic.connect()
        begin = sim.cycle, sim.received_bytes, sim.sent_bytes
        step = missing = 0
        worst = {"cv": 0.0, "gate": 0.0}
        least_settle_us = 1e9
        while sim.cycle - begin[0] < args.minutes * 60 * 16e6:
            until = sim.cycle + PORTION_S * 16_000_000
            while sim.cycle < until:
                traffic.play(every_us=20_000)
                traffic.fill()
                step += 1
                for knob in range(8):
                    sim.set_adc(knob, abs((step * 7 + knob * 100) % 2046 - 1023))
                traffic.step()
            # What is still to come is left for the next portion; the rest is measured and forgotten.
            now_us = sim.board_us(sim.cycle)
            done = [p for p in traffic.planned if p.due_us < now_us - 3_000]
            traffic.planned = [p for p in traffic.planned if p.due_us >= now_us - 3_000]
            errors = errors_of(sim, done)
            missing += errors.missing
            worst["cv"] = max(worst["cv"], *map(abs, errors.cv))
            worst["gate"] = max(worst["gate"], *map(abs, errors.gate))
            least_settle_us = min(least_settle_us, *errors.settle)
            keep_from = sim.cycle - 16_000 * 10
            sim.dac_writes = [w for w in sim.dac_writes if w.cycle > keep_from]
            sim.pins = [p for p in sim.pins if p.cycle > keep_from]
            if (sim.cycle - begin[0]) // 16_000_000 % 60 == 0:
                print(f"{now_us / 6e7:.1f} min, {traffic.sent_frames} frames, {missing} missing", flush=True)
        use = traffic.line_use(sim.cycle - begin[0], sim.received_bytes - begin[1], sim.sent_bytes - begin[2])
        status = traffic.status
        assert status is not None
        result = {
            "minutes": round((sim.cycle - begin[0]) / 60 / 16e6, 2),
            "line_to_board": round(use[0], 4),
            "line_from_board": round(use[1], 4),
            "frames_sent": traffic.sent_frames,
            "frames_received": traffic.host.decoder.frames,
            "pings_answered": traffic.pongs,
            "wrong_answers": traffic.wrong_pongs,
            "sequence_gaps": traffic.gaps,
            "bad_frames_at_host": traffic.host.decoder.bad_frames,
            "bad_frames_at_board": status.bad_frames,
            "lost_at_board": status.lost,
            "overruns": sim.overruns + status.overruns,
            "late": status.late,
            "events_missing": missing,
            "worst_us": {name: round(value, 1) for name, value in worst.items()},
            "least_settle_us": round(least_settle_us, 1),
        }
        print(json.dumps(result, indent=1))
        faults = (
            "wrong_answers",
            "sequence_gaps",
            "bad_frames_at_host",
            "bad_frames_at_board",
            "lost_at_board",
        )
        return int(any(result[name] for name in (*faults, "overruns", "late", "events_missing")))


if __name__ == "__main__":
    sys.exit(main())
