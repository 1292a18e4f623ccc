"""Colors can be told apart on a light and on a dark ground."""

from __future__ import annotations

import pytest

from kanslib.palette import BLUE, GREEN, GREY, PURPLE, VERMILLION
from tests.contrast import contrast

LIGHT, DARK = "#ffffff", "#111111"


@pytest.mark.parametrize("colour", [BLUE, VERMILLION, GREEN, PURPLE, GREY])
@pytest.mark.parametrize("ground", [LIGHT, DARK])
def test_palette_marks_contrast(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3


def test_palette_badge_text_contrast() -> None:
    assert contrast("#ffffff", BLUE) >= 4.5
