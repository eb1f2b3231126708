"""From the measures of a score, as they are played, to the few segments that say where bar lines fall."""

from collections.abc import Iterable

from model.archive.piece import Bars

Measure = tuple[int, int, int]  # start tick, end tick, nominal length in ticks (0 when not known)


def bar_segments(measures: Iterable[Measure]) -> Bars:
    """Segments (tick, bar_ticks) for measures in playing order.

    Only a measure that is full starts a segment: a shorter one is a pick-up, or one of two parts that a
    repeat sign has cut a bar into, and keeps the position it has within the bars around it.
    """
    segments: list[tuple[int, int]] = []
    measures = list(measures)
    for start, end, nominal in measures:
        if nominal <= 0 or end - start < nominal:
            continue
        if segments:
            anchor, bar = segments[-1]
            if bar == nominal and (start - anchor) % bar == 0:
                continue
        segments.append((start, nominal))
    if not segments:
        return ()
    (tick, bar), *rest = segments
    if tick > 0:
        tick -= -(-tick // bar) * bar
    return ((tick, bar), *rest)


def usual_length(measures: Iterable[tuple[int, int]]) -> int:
    """The length in ticks that most measures (start, end) have, 0 when fewer than three in five share one."""
    lengths = [end - start for start, end in measures if end > start]
    if not lengths:
        return 0
    usual = max(set(lengths), key=lengths.count)
    return usual if lengths.count(usual) >= 0.6 * len(lengths) else 0
