"""What a figure hands to a program that shows notebooks: VS Code and Colab read these types, and are not tried here."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from IPython.core.formatters import DisplayFormatter

from tests.render.test_accessible import FIGURES
from tests.types import OpenLab

ALONE = sorted(FIGURES.keys() - {"time_machine"})  # which shows itself: a widget, and its scenes for paper


@pytest.mark.parametrize("name", ALONE)
def test_figure_bundle_has_html_with_inline_picture_and_words(open_lab: OpenLab, name: str) -> None:
    data, _ = DisplayFormatter().format(FIGURES[name](open_lab))
    assert "<svg" in data["text/html"]
    assert data["text/plain"]


@pytest.mark.parametrize("name", ALONE)
def test_figure_html_loads_nothing_and_runs_nothing(open_lab: OpenLab, name: str) -> None:
    data, _ = DisplayFormatter().format(FIGURES[name](open_lab))
    assert not re.search(r"<script|<link|<iframe|\bsrc=|@import|url\(\s*['\"]?(?!#)", data["text/html"])


@pytest.mark.parametrize("name", ALONE)
def test_figure_image_is_svg_that_stands_alone(open_lab: OpenLab, name: str) -> None:
    data, _ = DisplayFormatter().format(FIGURES[name](open_lab))
    root = ET.fromstring(data["image/svg+xml"])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width")
    assert "prefers-color-scheme:dark" in data["image/svg+xml"]
    assert "--jp-layout-color0:" in data["image/svg+xml"]  # the ground that JupyterLab's page would have given
