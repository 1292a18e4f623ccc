"""The layout of figures: widths of texts, lines, labels and axes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kanslib.render.figure import TimeAxis, stack_labels, text_width, wrap_text

_WORDS = st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=60)


@given(_WORDS, st.floats(40, 600))
def test_wrap_text_fits_and_keeps_every_character(words: str, width: float) -> None:
    lines = wrap_text(words, width)
    assert all(text_width(line) <= width for line in lines)
    assert "".join(words.split()) == "".join("".join(lines).split())


@given(st.lists(st.tuples(st.floats(0, 600), _WORDS), max_size=12))
def test_stack_labels_never_overlap(points: list[tuple[float, str]]) -> None:
    labels = stack_labels(points, 0, 600)
    assert len(labels) == len(points)
    for row in {label.row for label in labels}:
        mine = sorted((label for label in labels if label.row == row), key=lambda label: label.left)
        assert all(one.right < other.left for one, other in pairwise(mine))


def test_stack_labels_stay_inside_the_figure() -> None:
    (label,) = stack_labels([(300, "declared dead")], 0, 320)
    assert label.right <= 320


@given(st.floats(-100, 0), st.floats(1, 2000), st.integers(120, 960))
def test_time_axis_ticks_keep_their_distance(start: float, length: float, width: int) -> None:
    axis = TimeAxis(start, start + length, 0, width)
    places = [axis.x(tick) for tick in axis.ticks()]
    assert all(other - one >= 55.8 for one, other in pairwise(places))
    assert all(start <= tick <= start + length for tick in axis.ticks())
