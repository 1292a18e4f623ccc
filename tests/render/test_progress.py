"""A learner's progress as a picture."""

from __future__ import annotations

import pytest

from kanslib.exercises.catalog import CATALOG
from kanslib.render.figure import WIDTHS
from tests.figures import faults, texts
from tests.types import OpenLab


@pytest.mark.parametrize("width", [*WIDTHS, 240])
def test_progress_picture_texts_never_overlap(open_lab: OpenLab, width: int) -> None:
    assert faults(open_lab("arp").progress(), width) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_progress_picture_has_a_sign_for_each_exercise(open_lab: OpenLab, width: int) -> None:
    lab = open_lab("election")
    lab.exercise("leader-of-svc1").check(lab.leader("svc1"))
    signs = [one.words for one in texts(lab.progress(), width) if one.words in ("○", "✗", "✓", "(✓)")]
    assert len(signs) == len(CATALOG)
    assert "○" in signs
    assert {"✓", "(✓)"} & set(signs)
