"""docs/pictures is what docs/make_pictures.py makes of the recorded course, and README.md shows all of it."""

from __future__ import annotations

import re
import runpy
from xml.etree import ElementTree as ET

import pytest

from kanslib.palette import DARK_GROUND, PAPER
from tests.docs.pages import ROOT

PICTURES = ROOT / "docs" / "pictures"
MAKE = "run: python docs/make_pictures.py"
MOST_BYTES = 1_000_000


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(runpy.run_path(str(ROOT / "docs" / "make_pictures.py"))["pictures"]())


def test_pictures_equal_what_the_command_makes(made: dict[str, str]) -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in PICTURES.iterdir()} == made, MAKE


def test_pictures_are_small_and_need_nothing_else() -> None:
    for path in PICTURES.iterdir():
        content = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert path.stat().st_size <= MOST_BYTES
        assert not re.search(r"https?:|<script|url\(", content)
        assert ET.fromstring(path.read_text(encoding="utf-8")).get("aria-label")


def test_pictures_have_the_ground_of_their_theme() -> None:
    grounds = {"light": PAPER, "dark": DARK_GROUND}
    for path in PICTURES.iterdir():
        theme = path.stem.rpartition("-")[2]
        assert re.findall(r"background:(#\w+)", path.read_text(encoding="utf-8")) == [grounds[theme]]


def test_readme_shows_each_picture_in_its_theme() -> None:
    found = re.findall(r"<picture>(.*?)</picture>", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    pairs = []
    for picture in found:
        dark = re.findall(r'media="\(prefers-color-scheme: dark\)" srcset="\S+/docs/pictures/(\S+)-dark\.svg"', picture)
        light = re.findall(r'<img src="\S+/docs/pictures/(\S+)-light\.svg" alt="[^"]{40,}"', picture)
        assert dark == light
        pairs += dark
    assert sorted(pairs) == sorted({path.stem.rpartition("-")[0] for path in PICTURES.iterdir()})


def test_animation_shows_each_moment_in_turn() -> None:
    root = ET.parse(PICTURES / "time-machine-light.svg").getroot()
    frames = [one for one in root.iter() if one.get("class") == "frame"]
    texts = [" ".join(one.itertext()) for one in frames]
    assert len(frames) == 7
    assert "the API still says Ready" in texts[1]
    assert "NotReady" in texts[3]
    delays = [re.findall(r"animation-delay:([\d.]+)s", one.get("style", "")) for one in frames]
    assert delays == [[f"{3 * number}"] for number in range(7)]
