"""Bounds between which a death is noticed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kanslib.metallb import memberlist
from tests.metallb.objects import MANY


@MANY
@given(st.integers(4, 60), st.integers(0, 10_000))
def test_sample_between_earliest_and_latest(members: int, seed: int) -> None:
    drawn = memberlist.sample(members, seed)
    assert memberlist.earliest(members).dead <= drawn.dead <= memberlist.latest(members).dead
    assert drawn.suspect < drawn.dead
