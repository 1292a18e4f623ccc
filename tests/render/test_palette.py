"""Colors can be told apart on a light and on a dark ground."""

from __future__ import annotations

import pytest

from kanslib.palette import BLUE, GREEN, GREY, PURPLE, SERVICE_COLOURS, VERMILLION, service_colours
from tests.contrast import contrast

LIGHT, DARK = "#ffffff", "#111111"


@pytest.mark.parametrize("colour", sorted({BLUE, VERMILLION, GREEN, PURPLE, GREY, *SERVICE_COLOURS}))
@pytest.mark.parametrize("ground", [LIGHT, DARK])
def test_palette_marks_contrast(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3


def test_palette_badge_text_contrast() -> None:
    assert contrast("#ffffff", BLUE) >= 4.5


def test_service_colours_eight_differ_in_any_order() -> None:
    names = [f"svc{number}" for number in range(8)]
    colours = service_colours(reversed(names))
    assert len(set(colours.values())) == 8
    assert colours == service_colours(names)
    assert not {VERMILLION, GREY} & set(colours.values())
