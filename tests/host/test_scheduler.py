from host.events import NoteOff, NoteOn, OutputEvent
from host.outputs.base import Output
from host.scheduler import MAX_HELD_S, MAX_PENDING, Scheduler, TimedNote
from tests.host.playing import Heard

A, B = NoteOn(2, 60, 90), NoteOn(2, 64, 90)


def test_on_then_off_in_time_and_told() -> None:
    heard, played = Heard(), list[int]()
    scheduler = Scheduler([heard], played.append)
    scheduler.add([TimedNote(7, 1.0, 1.5, A)])
    scheduler.run_due(0.999)
    assert heard.events == [] and played == []
    scheduler.run_due(1.0)
    assert heard.events == [(1.0, A)] and played == [7]
    assert scheduler.next_deadline_s() == 1.5
    scheduler.run_due(2.0)
    assert heard.events[1:] == [(1.5, NoteOff(2, 60))]
    assert scheduler.next_deadline_s() is None


def test_struck_again_while_sounding_ends_first_and_lasts_as_the_new_one() -> None:
    heard = Heard()
    scheduler = Scheduler([heard])
    scheduler.add([TimedNote(1, 1.0, 3.0, A), TimedNote(2, 2.0, 4.0, A)])
    for now_s in (1.0, 2.0, 3.0, 4.0):
        scheduler.run_due(now_s)
    off = NoteOff(2, 60)
    assert heard.events == [(1.0, A), (2.0, off), (2.0, A), (4.0, off)]


def test_at_one_moment_ends_come_before_beginnings() -> None:
    heard = Heard()
    scheduler = Scheduler([heard])
    scheduler.add([TimedNote(1, 1.0, 2.0, A), TimedNote(2, 2.0, 3.0, B)])
    scheduler.run_due(1.0)
    scheduler.run_due(2.0)
    assert [event for _, event in heard.events] == [A, NoteOff(2, 60), B]


def test_offset_and_lead_of_an_output() -> None:
    early = Heard()
    early.lead_s, early.offset_s = 0.02, 0.005
    scheduler = Scheduler([early])
    scheduler.add([TimedNote(1, 1.0, 2.0, A)])
    scheduler.run_due(0.984)
    assert early.events == []
    scheduler.run_due(0.986)
    assert early.events == [(1.005, A)]


def test_panic_ends_everything_at_once_but_not_the_piece() -> None:
    heard = Heard()
    scheduler = Scheduler([heard])
    scheduler.add([TimedNote(1, 1.0, 9.0, A), TimedNote(2, 2.0, 3.0, B)])
    scheduler.run_due(1.0)
    scheduler.panic(1.5)
    assert not heard.hanging()
    scheduler.run_due(2.0)
    assert heard.events[-1] == (2.0, B)
    scheduler.close(2.5)
    assert not heard.hanging()


def test_no_note_is_held_for_ever() -> None:
    heard = Heard()
    scheduler = Scheduler([heard])
    scheduler.add([TimedNote(1, 1.0, 1e9, A)])
    scheduler.run_due(1.0)
    scheduler.run_due(1.0 + MAX_HELD_S)
    assert not heard.hanging()


def test_a_full_heap_refuses_and_counts() -> None:
    scheduler = Scheduler([Heard()])
    scheduler.add(TimedNote(i, 1.0, 2.0, A) for i in range(MAX_PENDING))
    assert scheduler.refused_notes == MAX_PENDING // 2


class Broken(Output):
    def _send(self, event: OutputEvent, due_s: float) -> None:
        raise OSError("cable out")


def test_one_broken_output_does_not_silence_the_others() -> None:
    broken, heard = Broken("synth"), Heard()
    scheduler = Scheduler([broken, heard])
    scheduler.add([TimedNote(1, 1.0, 2.0, A)])
    scheduler.run_due(2.0)
    assert len(heard.events) >= 1
    assert broken.faults >= 1 and broken.last_fault == "synth: cable out"


def test_guests_are_played_like_notes_but_never_told_and_may_be_withdrawn() -> None:
    heard, played = Heard(), list[int]()
    heard.lead_s = 0.01
    scheduler = Scheduler([heard], played.append)
    scheduler.add([TimedNote(None, 1.0, 3.0, A), TimedNote(1, 1.0, 3.0, B), TimedNote(None, 2.0, 3.0, A)])
    scheduler.run_due(1.0)
    assert {event for _, event in heard.events} == {A, B} and played == [1] and scheduler.sent_notes == 1
    scheduler.withdraw(1.005)
    assert heard.hanging() == {(B.voice, B.pitch)}
    # What was sent ahead of its time ends after it has begun.
    assert heard.events[-1][0] > 1.005 + heard.lead_s
    scheduler.run_due(9.0)
    assert heard.ons().count((A.voice, A.pitch)) == 1 and not heard.hanging()


def test_a_note_of_the_piece_that_took_a_guests_place_stays_when_guests_go() -> None:
    heard = Heard()
    scheduler = Scheduler([heard])
    scheduler.add([TimedNote(None, 1.0, 5.0, A), TimedNote(1, 2.0, 6.0, A)])
    scheduler.run_due(2.0)
    scheduler.withdraw(3.0)
    assert heard.hanging() == {(A.voice, A.pitch)}
    scheduler.run_due(6.0)
    assert [at_s for at_s, event in heard.events if isinstance(event, NoteOff)] == [2.0, 6.0]


def test_muted_ends_come_after_what_is_on_its_way_to_a_board() -> None:
    heard = Heard()
    heard.lead_s = 0.01
    scheduler = Scheduler([heard])
    scheduler.add([TimedNote(1, 1.0, 5.0, A)])
    scheduler.run_due(0.995)
    scheduler.mute(True, 0.996)
    (on_s, _), (off_s, off) = heard.events
    assert off == NoteOff(A.voice, A.pitch) and off_s > on_s


class Keeper(Heard):
    """Keeps what was prepared until it is let go."""

    prepares = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[float, OutputEvent]] = []

    def _send(self, event: OutputEvent, due_s: float) -> None:
        self.waiting.append((due_s, event))

    def _flush(self) -> None:
        for due_s, event in self.waiting:
            super()._send(event, due_s)
        self.waiting.clear()


def test_a_chord_is_prepared_before_its_time_and_leaves_at_it() -> None:
    keeper, plain, played = Keeper(), Heard(), list[int]()
    scheduler = Scheduler([keeper, plain], played.append)
    scheduler.add([TimedNote(1, 1.0, 2.0, A), TimedNote(2, 1.0, 2.0, B), TimedNote(3, 1.001, 2.0, A)])
    scheduler.prepare(1.0)
    assert [event for _, event in keeper.waiting] == [A, B]
    assert keeper.events == plain.events == [] and played == []
    assert scheduler.next_deadline_s() == 1.0
    scheduler.run_due(1.0)
    assert keeper.events == plain.events == [(1.0, A), (1.0, B)] and played == [1, 2]
    scheduler.run_due(3.0)
    assert keeper.events == plain.events and not keeper.hanging()


def test_an_end_may_come_early_but_not_before_a_beginning_that_is_due_sooner() -> None:
    keeper = Keeper()
    scheduler = Scheduler([keeper])
    scheduler.add([TimedNote(1, 1.0, 2.0, A), TimedNote(2, 1.0, 2.0002, B), TimedNote(3, 2.0, 3.0, A)])
    scheduler.run_due(1.0)
    del keeper.events[:]
    scheduler.prepare(2.0)
    assert keeper.events == [(2.0, NoteOff(A.voice, A.pitch))]
    scheduler.run_due(2.0)
    scheduler.prepare(2.0002)
    assert keeper.events[1:] == [(2.0, A), (2.0002, NoteOff(B.voice, B.pitch))]
    assert scheduler.next_deadline_s() == 3.0


def test_prepared_after_what_it_strikes_again() -> None:
    keeper = Keeper()
    scheduler = Scheduler([keeper])
    scheduler.add([TimedNote(1, 1.0, 2.0, A), TimedNote(2, 2.0, 3.0, A)])
    scheduler.run_due(1.0)
    scheduler.prepare(2.0)
    scheduler.run_due(2.0)
    scheduler.run_due(3.0)
    off = NoteOff(A.voice, A.pitch)
    assert keeper.events == [(1.0, A), (2.0, off), (2.0, A), (3.0, off)]


def test_what_begins_as_everything_is_released_is_not_ended_by_it() -> None:
    keeper = Keeper()
    scheduler = Scheduler([keeper])
    scheduler.add([TimedNote(1, 1.0, 9.0, B), TimedNote(2, 2.0, 3.0, A)])
    scheduler.run_due(1.0)
    scheduler.release_at(2.0)
    scheduler.prepare(2.0)
    scheduler.run_due(2.0)
    assert [event for _, event in keeper.events] == [B, NoteOff(B.voice, B.pitch), A]
    assert keeper.hanging() == {(A.voice, A.pitch)}


def test_nothing_that_was_prepared_hangs_when_the_player_stops_it() -> None:
    for stop in (
        lambda scheduler: scheduler.panic(0.9999),
        lambda scheduler: scheduler.mute(True, 0.9999),
        lambda scheduler: scheduler.withdraw(0.9999),
        lambda scheduler: scheduler.close(0.9999),
    ):
        keeper = Keeper()
        scheduler = Scheduler([keeper])
        scheduler.add([TimedNote(None, 1.0, 1.5, A)])
        scheduler.prepare(1.0)
        stop(scheduler)
        scheduler.run_due(1.0)
        assert not keeper.hanging()
        scheduler.run_due(2.0)
        assert not keeper.hanging()
