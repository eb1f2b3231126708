from host.gate_inputs import GateInputs


class Played:
    def __init__(self) -> None:
        self.done: list[tuple[str, object]] = []

    def play_step(self, t_s: float) -> None:
        self.done.append(("step", t_s))

    def bar_line(self, t_s: float) -> None:
        self.done.append(("bar", t_s))

    def move(self, control: str, value: float | None, who: str) -> None:
        self.done.append((control, value))


def test_every_role_does_what_it_says() -> None:
    pulses: list[float] = []
    gates, played = (
        GateInputs(["clock", "reset", "run", "freeze", "rest", "step", "off"], pulses.append),
        Played(),
    )
    gates.connect(played, played.move)
    for index in range(8):
        gates.changed(index, True, float(index))
        gates.changed(index, False, index + 0.5)
    assert pulses == [0.0]
    assert played.done == [
        ("bar", 1.0),
        *[("freeze", 0.0), ("freeze", 1.0)],
        *[("freeze", 1.0), ("freeze", 0.0)],
        *[("mute", 1.0), ("mute", 0.0)],
        ("step", 5.0),
    ]


def test_levels_from_before_count_edges_do_not() -> None:
    gates, played = GateInputs(["run", "step"], lambda t_s: None), Played()
    gates.changed(0, False, 1.0)
    gates.changed(1, True, 1.0)
    gates.connect(played, played.move)
    assert played.done == [("freeze", 1.0)]
