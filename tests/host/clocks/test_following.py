"""The whole line in simulated time, following clocks of others: phase, Start, position, loss, switching."""

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from host.clocks.pulse_clock import PulseClock
from host.events import Move, NoteOn
from tests.host.clocks.test_follower import p99, pulse_times, ramp
from tests.host.playing import TABLE, Stage
from tests.host.replay import replayed
from tests.host.test_performance import record

MIDI, GATE = 1.0, 2.0


class Master:
    """A sequencer in simulated time: MIDI clock with its transport."""

    def __init__(self, stage: Stage, source: PulseClock, tempo_bpm: float = 120.0, ppqn: int = 24) -> None:
        self.stage, self.source, self.tempo_bpm, self.ppqn = stage, source, tempo_bpm, ppqn
        self.next_s = stage.now_s
        self.sending = True
        self.pulses: list[float] = []
        self.jitter: Callable[[], float] = lambda: 0.0

    def send_due(self) -> None:
        while self.sending and self.next_s <= self.stage.now_s:
            self.source.pulse(self.next_s + self.jitter())
            self.pulses.append(self.next_s)
            self.next_s += 60 / self.tempo_bpm / self.ppqn

    def run(self, seconds: float) -> None:
        """Let time pass, sending what is due."""
        let_pass(self.stage, seconds, [self])

    def start(self, first_pulse_in_s: float = 0.002) -> float:
        """Start; returns the time of the first pulse."""
        self.source.start(self.stage.now_s)
        self.next_s = self.stage.now_s + first_pulse_in_s
        self.sending = True
        return self.next_s

    def stop(self) -> None:
        self.source.stop(self.stage.now_s)
        self.sending = False


def let_pass(stage: Stage, seconds: float, masters: Sequence[Master]) -> None:
    """From event to event: a pulse, a deadline, a step that the performance asked for."""
    end_s = stage.now_s + seconds
    while True:
        for master in masters:
            master.send_due()
        wanted_s = stage.performance.step(stage.now_s)
        while wanted_s <= stage.now_s:
            wanted_s = stage.performance.step(stage.now_s)
        stage.scheduler.run_due(stage.now_s)
        if stage.now_s >= end_s:
            return
        coming = [end_s, wanted_s, stage.scheduler.next_deadline_s() or end_s]
        coming += [master.next_s for master in masters if master.sending]
        stage.now_s = max(min(coming), stage.now_s + 1e-5)


def midi_stage(
    weights: Path, folder: Path, carry_on: bool = True, **values: float | None
) -> tuple[Stage, Master]:
    source = PulseClock("MIDI clock", 24, 120.0)
    stage = Stage(weights, folder, 5, {"midi": source}, carry_on, clock=MIDI, **values)
    return stage, Master(stage, source)


def ons(stage: Stage) -> list[float]:
    return [due_s for due_s, event in stage.heard.events if isinstance(event, NoteOn)]


def final_ticks(stage: Stage) -> list[int]:
    return [s.note.tick for s in stage.performance.recent if s.note is not None]


def test_start_is_the_first_note_on_the_first_clock_a_thousand_times(
    small_weights: Path, tmp_path: Path
) -> None:
    """Whatever stood before: the first note sounds at the first pulse, on a bar line, and nothing before it."""
    rng = random.Random(1)
    stage, master = midi_stage(small_weights, tmp_path, tempo=200.0, density=0.5)
    master.run(0.3)
    for _ in range(1000):
        if rng.random() < 0.9:
            master.stop()
            master.run(rng.uniform(0.0, 0.2))
        if rng.random() < 0.3:
            master.tempo_bpm = rng.uniform(40, 250)
        stage.heard.events.clear()
        told_s = stage.now_s
        first_s = master.start(rng.choice([0.0, 0.001, 0.004, rng.uniform(0.001, 0.05)]))
        master.run(first_s - stage.now_s + 0.004)
        heard = [due_s for due_s in ons(stage) if due_s > told_s + 0.0151]  # what comes sooner was final
        assert not heard or heard[0] > first_s - 1e-6
        bar_tick = stage.performance.player.settings.meter.tick
        first = next(
            s.note for s in stage.performance.recent if s.note is not None and s.note.tick >= bar_tick
        )
        assert first.tick == bar_tick
        sounds = [e for due_s, e in stage.heard.events if due_s == pytest.approx(first_s, abs=1e-6)]
        assert NoteOn(first.voice, first.pitch, first.velocity) in sounds
        master.run(rng.uniform(0.0, 0.3))
    stage.scheduler.close(stage.now_s)
    assert not stage.heard.hanging()


def test_continue_after_a_song_position_lands_on_its_beat(small_weights: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    stage, master = midi_stage(small_weights, tmp_path)
    master.start()
    master.run(1.0)
    for _ in range(50):
        master.stop()
        master.run(rng.uniform(0.02, 0.1))
        sixteenths = rng.randrange(200)
        master.source.position(stage.now_s, sixteenths)
        master.source.go_on(stage.now_s)
        master.next_s, master.sending = stage.now_s + 0.004, True
        first_s = master.next_s
        master.run(rng.uniform(0.05, 1.5))
        clock, meter = stage.performance.clock, stage.performance.player.settings.meter
        elapsed = (stage.now_s - first_s) * 48  # ticks at 120
        in_bar = (clock.tick_at(stage.now_s) - meter.tick) % 96
        assert (in_bar - sixteenths * 6 - elapsed + 48) % 96 - 48 == pytest.approx(0, abs=0.2)


def test_stop_and_continue_go_on_where_it_stood(small_weights: Path, tmp_path: Path) -> None:
    stage, master = midi_stage(small_weights, tmp_path)
    first_s = master.start()
    anchor = None
    for _ in range(20):
        master.run(0.7)
        sent = len(master.pulses)
        tick = stage.performance.clock.tick_at(stage.now_s)
        anchor = round(tick - sent) if anchor is None else anchor
        assert tick == pytest.approx(anchor + sent - 1 + (stage.now_s - master.pulses[-1]) * 48, abs=0.1)
        master.stop()
        master.run(0.3)
        assert not stage.performance.clock.running and not stage.heard.hanging()
        master.source.go_on(stage.now_s)
        master.next_s, master.sending = stage.now_s + 0.003, True
    assert first_s > 0


@pytest.mark.parametrize("seed", range(3))
def test_phase_error_of_the_notes_with_jitter_and_ramps(
    small_weights: Path, tmp_path: Path, seed: int
) -> None:
    """Notes as they are sent, against where the true clock has their ticks."""
    rng = random.Random(seed)
    stage, master = midi_stage(small_weights, tmp_path, density=3.0)
    master.sending = False
    master.run(0.1)
    true = [stage.now_s + 0.01 + t for t in pulse_times(ramp(8.0), 28)]
    master.source.start(stage.now_s)
    stage.performance.recent.clear()
    stage.heard.events.clear()
    for heard_s in sorted(t + rng.uniform(-0.002, 0.002) for t in true):
        master.run(heard_s - stage.now_s)
        master.source.pulse(heard_s)
    notes = [s.note for s in stage.performance.recent if s.note is not None]
    sent = ons(stage)[-len(notes) :]
    first_tick = notes[0].tick
    pairs = [(n.tick - first_tick, due_s) for n, due_s in zip(notes, sent, strict=True)]
    errors = [due_s - true[tick] for tick, due_s in pairs if tick < len(true)]
    print(f"{len(errors)} notes: p99 {p99(errors) * 1e3:.2f} ms, worst {max(map(abs, errors)) * 1e3:.2f} ms")
    assert 512 > len(errors) > 100 and p99(errors) <= 0.003
    beats = [due_s for tick, due_s in pairs if tick % 24 == 0]
    assert all(b >= a for a, b in itertools.pairwise(beats))


def test_a_lost_clock_is_noticed_within_two_beats_and_carried_on(small_weights: Path, tmp_path: Path) -> None:
    stage, master = midi_stage(small_weights, tmp_path, density=6.0)
    master.tempo_bpm = 100.0
    master.start()
    master.run(3.0)
    assert stage.performance.clock_status(stage.now_s).following
    master.sending = False
    before = len(ons(stage))
    master.run(2 * 60 / 100)
    status = stage.performance.clock_status(stage.now_s)
    assert not status.following and "no pulse of MIDI clock" in status.sentence
    master.run(3.0)
    assert stage.performance.clock.tempo_bpm == pytest.approx(100, abs=0.5)
    assert len(ons(stage)) > before + 5
    master.next_s, master.sending, master.tempo_bpm = stage.now_s, True, 104.0
    speeds = []
    for _ in range(200):
        master.run(0.01)
        speeds.append(stage.performance.clock.tempo_bpm)
    assert stage.performance.clock_status(stage.now_s).following
    assert max(abs(b - a) for a, b in itertools.pairwise(speeds)) < 6
    assert speeds[-1] == pytest.approx(104, abs=0.5)


def test_a_lost_clock_stops_the_piece_if_so_configured(small_weights: Path, tmp_path: Path) -> None:
    stage, master = midi_stage(small_weights, tmp_path, carry_on=False, density=6.0)
    let_pass(stage, 2.0, [])
    assert not stage.performance.clock.running  # it waits for the clock
    master.start()
    master.run(2.0)
    assert len(ons(stage)) > 4
    master.sending = False
    master.run(1.1)
    heard = len(ons(stage))
    assert not stage.performance.clock.running and not stage.heard.hanging()
    master.run(2.0)
    assert len(ons(stage)) == heard
    master.next_s, master.sending = stage.now_s, True
    master.run(2.0)
    assert len(ons(stage)) > heard


@pytest.mark.parametrize("ppqn", [1, 2, 4, 8, 24, 48])
def test_gate_pulses_stop_and_go_on(small_weights: Path, tmp_path: Path, ppqn: int) -> None:
    source = PulseClock("the clock input", ppqn, 120.0, holds=True)
    stage = Stage(small_weights, tmp_path, sources={"gate": source}, clock=GATE, density=8.0)
    let_pass(stage, 1.0, [])
    assert not stage.performance.clock.running
    master = Master(stage, source, 90.0, ppqn)
    master.next_s = stage.now_s
    heard = 0
    for _ in range(4):
        master.run(4.0)
        assert stage.performance.clock.tempo_bpm == pytest.approx(90, rel=0.02)
        assert len(ons(stage)) > heard
        master.sending = False
        at = stage.performance.clock.tick_at(master.pulses[-1])
        master.run(max(1.6 * 60 / 90 / ppqn, 0.1) + 0.08)
        assert not stage.performance.clock.running and not stage.heard.hanging()
        assert (
            stage.performance.clock.tick_at(stage.now_s) <= at + 24 / ppqn * 1.6 + 0.07 * 36
        )  # a step every 50 ms
        heard = len(ons(stage))
        master.run(1.0)
        assert len(ons(stage)) == heard
        master.next_s, master.sending = stage.now_s, True
        master.run(0.01)
        assert stage.performance.clock.tick_at(stage.now_s) == pytest.approx(at + 24 / ppqn, abs=1.0)


@pytest.mark.parametrize("seed", range(4))
def test_changing_source_jumps_nothing_and_drops_nothing(
    small_weights: Path, tmp_path: Path, seed: int
) -> None:
    """Tempo bends by little from step to step, positions never go back, and the notes are those of the piece
    that was never switched.
    """
    rng = random.Random(seed)
    midi, gate = PulseClock("MIDI clock", 24, 120.0), PulseClock("gate", 4, 120.0, holds=True)
    stage = Stage(
        small_weights, tmp_path / "a", sources={"midi": midi, "gate": gate}, density=5.0, tempo=100.0
    )
    masters = [Master(stage, midi, 112.0), Master(stage, gate, 92.0, 4)]
    masters[1].next_s += 0.077
    for master in masters:
        master.jitter = lambda: rng.uniform(-0.0005, 0.0005)
    end_s, places, speeds = stage.now_s + 40, list[float](), list[float]()
    switch_s = stage.now_s + 3
    while stage.now_s < end_s:
        if stage.now_s >= switch_s:
            switch_s = stage.now_s + rng.uniform(3, 6)
            stage.performance.move(Move("clock", float(rng.randrange(3)), "test"))
        let_pass(stage, 0.005, masters)
        places.append(stage.performance.clock.tick_at(stage.now_s))
        speeds.append(stage.performance.clock.tempo_bpm)
    assert all(b > a - 0.1 for a, b in itertools.pairwise(places))
    assert max(b - a for a, b in itertools.pairwise(places)) < 0.6
    assert min(speeds) > 75 and max(speeds) < 140
    assert max(abs(b - a) for a, b in itertools.pairwise(speeds)) < 6
    whole = Stage(small_weights, tmp_path / "b", density=5.0, tempo=100.0)
    let_pass(whole, 50.0, [])
    assert stage.heard.ons() == whole.heard.ons()[: len(stage.heard.ons())]
    assert len(stage.heard.ons()) > 100


def test_back_to_internal_keeps_the_tempo(small_weights: Path, tmp_path: Path) -> None:
    stage, master = midi_stage(small_weights, tmp_path, tempo=100.0)
    master.tempo_bpm = 133.0
    master.run(6.0)
    stage.performance.move(Move("clock", 0.0, "test"))
    master.run(1.0)
    assert stage.performance.clock.tempo_bpm == pytest.approx(133, abs=0.7)
    assert stage.performance.asked["tempo"] == pytest.approx(133, abs=0.7)
    stage.performance.move(Move("tempo", 60.0, "test"))
    master.run(0.1)
    assert stage.performance.clock.tempo_bpm == 60.0


def test_an_offset_moves_the_notes(small_weights: Path, tmp_path: Path) -> None:
    for offset_s in (-0.03, 0.05):
        stage, master = midi_stage(small_weights, tmp_path / str(offset_s))
        master.source.offset_s = offset_s
        master.start()
        master.run(4.0)
        pulse_tick = stage.performance.clock.tick_at(master.pulses[-1] + offset_s)
        assert pulse_tick == pytest.approx(round(pulse_tick), abs=0.02)


def test_freezing_meanwhile_keeps_the_bar(small_weights: Path, tmp_path: Path) -> None:
    stage, master = midi_stage(small_weights, tmp_path)
    first_s = master.start()
    for _ in range(6):
        master.run(1.3)
        stage.performance.move(Move("freeze", 1.0, "test"))
        master.run(0.77)
        assert not stage.performance.clock.running
        stage.performance.move(Move("freeze", 0.0, "test"))
        master.run(0.1)
        meter = stage.performance.player.settings.meter
        in_bar = (stage.performance.clock.tick_at(stage.now_s) - meter.tick) % 96
        assert in_bar == pytest.approx((stage.now_s - first_s) * 48 % 96, abs=0.3)


def test_after_the_machine_slept_it_is_in_the_bar_again(small_weights: Path, tmp_path: Path) -> None:
    stage, master = midi_stage(small_weights, tmp_path, density=6.0)
    first_s = master.start()
    master.run(3.0)
    heard = len(ons(stage))
    for _ in range(48 * 20):  # twenty seconds pass unseen, their pulses wait for us
        master.source.pulse(master.next_s)
        master.next_s += 60 / 120 / 24
    stage.now_s += 20.0
    master.run(1.0)
    assert stage.performance.stalls == 1
    assert len(set(ons(stage)[heard:])) < 25  # onsets, no burst of what was missed
    meter = stage.performance.player.settings.meter
    in_bar = (stage.performance.clock.tick_at(stage.now_s) - meter.tick) % 96
    assert in_bar == pytest.approx((stage.now_s - first_s) * 48 % 96, abs=0.3)


def test_any_clock_at_any_time_leaves_it_playing_and_replayable(small_weights: Path, tmp_path: Path) -> None:
    """Transport, loss, switching, steps, bar lines, mute, moves and deaths at random."""
    rng = random.Random(5)

    def stage_of() -> tuple[Stage, list[Master]]:
        midi, gate = PulseClock("MIDI clock", 24, 120.0), PulseClock("gate", 4, 120.0, holds=True)
        stage = Stage(small_weights, tmp_path, sources={"midi": midi, "gate": gate})
        return stage, [Master(stage, midi, 140.0), Master(stage, gate, 70.0, 4)]

    stage, masters = stage_of()
    deaths = 0
    for _ in range(250):
        master = rng.choice(masters)
        match rng.randrange(14):
            case 0:
                stage.performance.move(Move("clock", float(rng.randrange(4)), "test"))
            case 1:
                master.stop()
            case 2:
                master.start(rng.uniform(0, 0.02))
            case 3:
                master.source.position(stage.now_s, rng.randrange(64))
                master.source.go_on(stage.now_s)
                master.next_s, master.sending = stage.now_s + 0.003, True
            case 4:
                master.sending = not master.sending
                master.next_s = max(master.next_s, stage.now_s)
            case 5:
                master.tempo_bpm = rng.uniform(20, 300)
            case 6:
                stage.performance.play_step(stage.now_s)
            case 7:
                stage.performance.move(Move("step", 0.0, "test"))
            case 8:
                stage.performance.bar_line(stage.now_s)
            case 9:
                control = TABLE[rng.choice(["swing", "mute", "density", "meter", "tempo", "freeze"])]
                stage.performance.move(Move(control.name, control.value_at(rng.random()), "test"))
            case 10:
                stage.performance.begin_phrase()
            case 11 if deaths < 5:
                deaths += 1
                stage.kill()
                stage, masters = stage_of()
            case _:
                pass
        let_pass(stage, rng.choice([0.0, 0.01, 0.1, 0.5]), masters)
        assert stage.performance.journal_fault == ""
    for name in ("freeze", "step", "clock", "mute"):
        stage.performance.move(Move(name, 0.0, "test"))
    heard = len(ons(stage))
    let_pass(stage, 5.0, [])
    assert len(ons(stage)) > heard
    stage.scheduler.close(stage.now_s)
    assert not stage.heard.hanging()
    assert replayed(small_weights, tmp_path / "journal.sqlite") == record(tmp_path)


def test_each_step_plays_the_next_note_at_its_pulse(small_weights: Path, tmp_path: Path) -> None:
    """The player's rhythm, the model's notes: the elapsed time is what the model was told."""
    rng = random.Random(7)
    stage = Stage(small_weights, tmp_path, tempo=100.0)
    let_pass(stage, 1.0, [])
    stage.performance.play_step(stage.now_s)
    let_pass(stage, 0.1, [])
    assert stage.performance.asked["step"] == 1.0
    stage.heard.events.clear()
    stage.performance.recent.clear()
    times = []
    for pause_s in [0.05, 0.3, 0.3, 0.9, 12.0, 0.02, *[rng.uniform(0.03, 1.0) for _ in range(40)]]:
        let_pass(stage, pause_s, [])
        times.append(stage.now_s)
        stage.performance.play_step(stage.now_s)
        let_pass(stage, 0.001, [])
    assert sorted(set(ons(stage))) == pytest.approx(times, abs=1e-9)
    ticks = sorted({s.note.tick for s in stage.performance.recent if s.note is not None})
    assert len(ticks) == len(times)
    for (a, b), (before_s, after_s) in zip(itertools.pairwise(ticks), itertools.pairwise(times), strict=True):
        elapsed = (after_s - before_s) * 40
        assert b - a == pytest.approx(elapsed, abs=1.01) or elapsed > 384
        assert b - a <= 385
    heard = len(ons(stage))
    let_pass(stage, 3.0, [])
    assert len(ons(stage)) == heard  # nothing by itself
    stage.performance.move(Move("step", 0.0, "test"))
    let_pass(stage, 3.0, [])
    assert len(ons(stage)) > heard
    assert replayed(small_weights, tmp_path / "journal.sqlite") == record(tmp_path)


def test_a_bar_line_told_while_playing_is_where_the_model_counts_from(
    small_weights: Path, tmp_path: Path
) -> None:
    stage = Stage(small_weights, tmp_path)
    let_pass(stage, 3.3, [])
    told_tick = round(stage.performance.clock.tick_at(stage.now_s))
    stage.performance.bar_line(stage.now_s)
    let_pass(stage, 0.1, [])
    assert stage.performance.player.settings.meter.tick_in_bar(told_tick) == 0


def test_muted_it_plays_on_in_silence(small_weights: Path, tmp_path: Path) -> None:
    stage = Stage(small_weights, tmp_path, density=6.0)
    let_pass(stage, 2.0, [])
    stage.performance.move(Move("mute", 1.0, "test"))
    let_pass(stage, 0.05, [])
    assert not stage.heard.hanging()
    heard, position = len(ons(stage)), stage.piece.playhead.position
    let_pass(stage, 2.0, [])
    assert len(ons(stage)) == heard and stage.piece.playhead.position > position
    stage.performance.move(Move("mute", 0.0, "test"))
    let_pass(stage, 2.0, [])
    assert len(ons(stage)) > heard
