"""The live bench: its arithmetic, and one short run of the real thing."""

import json
from pathlib import Path

import pytest

from bench import live, live_figures


def noted(**more):
    return {"moves": [], "plans": [], "due_s": [], "late_s": [], "board_events": [], "board": None} | more


def test_a_reaction_leaves_out_the_wait_for_the_notes_own_time() -> None:
    record = noted(
        plans=[{"moved_s": 1.002, "planned_s": 1.003}, {"moved_s": 1.003, "planned_s": 1.004, "due_s": 1.5},
               {"moved_s": 2.004, "planned_s": 2.005, "due_s": 2.5}],
        due_s=[1.5, 2.5], late_s=[0.001, 0.002],
    )  # fmt: skip
    trials = [live_figures.Trial("knob", 1.0), live_figures.Trial("CC", 2.0), live_figures.Trial("CC", 5.0)]
    found = live_figures.reactions(trials, record, [1.5005, 2.4])
    assert found == {
        "knob to the plan": [pytest.approx(3)],
        "knob to MIDI": [pytest.approx(5)],
        "knob to SPI": [pytest.approx(4.5)],
        "CC to the plan": [pytest.approx(5)],
        "CC to MIDI": [pytest.approx(7)],
        "CC unheard": [0.0],
    }


def test_gate_errors_are_about_their_middle() -> None:
    record = noted(board_events=[(1.0, 0), (2.0, 1), (3.0, 0), (9.0, 3)])
    rises = [(1.003, 0), (2.004, 1), (3.0035, 0)]
    assert live_figures.gate_errors(record, rises) == pytest.approx([0.5, 0.5, 0.0])


def test_phases_are_about_the_way_that_all_take() -> None:
    pulses_s = [0.02 * pulse for pulse in range(100)]
    due_s, late_s = [0.5, 1.2, 1.4, 1.6], [0.0, 0.003, 0.004, 0.003]  # the first: not settled yet
    assert live_figures.phases(due_s, late_s, pulses_s) == pytest.approx([0.0, 1.0, 0.0])


def test_only_the_time_in_which_a_core_stood_is_taken_off_a_notes_lateness() -> None:
    stood_s = [[(1.0, 1.25), (3.0, 4.0)], [(1.125, 1.5)]]
    due_s, late_s = [0.5, 0.75, 1.25, 1.5, 2.5], [0.25, 0.5, 0.5, 0.25, 2.0]
    assert live_figures.less_standstills(due_s, late_s, stood_s) == [0.25, 0.25, 0.25, 0.25, 1.0]


def test_percentiles() -> None:
    assert live_figures.percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert live_figures.percentile(list(range(1000)), 0.99) == 990


@pytest.mark.xdist_group("board")
def test_a_short_run(small_weights: Path, tmp_path: Path) -> None:
    figures = live.apart(live.measure, small_weights, 5.0, False)
    assert figures["note_ons"] == figures["note_offs"] > 5
    assert (figures["doubled"], figures["stray"], figures["held_at_end"]) == (0, 0, 0)
    assert figures["open_gates_at_end"] == 0
    reacted = figures["distributions"]
    assert reacted["do-nothing loop"] and reacted["MIDI note"]
    assert "knob to the plan" in reacted or "CC to the plan" in reacted
    assert "median" in live_figures.table(figures)
    from bench.live_picture import draw

    draw({"idle": figures, "soak": figures | {"memory_mb": [(0.0, 40.0), (1.0, 41.0)]}}, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
    json.dumps(figures)
