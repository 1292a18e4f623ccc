"""The claims of the course: each stands in its text, holds where it says so, and no number stands without one."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from kanslib.course import chapters
from kanslib.exercises.catalog import CATALOG
from tests.notebooks.claims import Claim, Claims, Fact
from tests.notebooks.prose import exercise_texts, flat, sentences, text_cells
from tests.types import OpenLab

FILES = sorted(path.stem for path in (Path(__file__).parent / "claims").glob("ch*.py"))
ALL: dict[str, Claims] = {name: importlib.import_module(f"tests.notebooks.claims.{name}").CLAIMS for name in FILES}
CELLS = {place: text for chapter in chapters.shipped() for place, text in text_cells(chapter).items()}
TEXTS = CELLS | {one.id: "\n\n".join(exercise_texts(one)) for one in CATALOG.values()}

RUNS = [
    pytest.param(one, backend, id=f"{one.place}-{number}-{backend}")
    for name in FILES
    for number, one in enumerate(ALL[name].claims)
    for backend in one.backends
]
QUOTED: list[Claim | Fact] = []
for _name in FILES:
    QUOTED += [*ALL[_name].claims, *ALL[_name].facts]

_NUMBER = (
    r"\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|ninety|hundred|"
    r"thousand|once|twice|half|third|quarter|always|never|none|nobody|immediately|at once"
)
NEEDS_PROOF = re.compile(rf"(?<![\w.#-])(?:{_NUMBER})(?![\w-])", re.IGNORECASE)
# numbers that count what the reader sees on the page, or name a chapter, a version or a layer
NO_CLAIM = re.compile(
    r"chapters? \d\d(?:(?:,| and| to) \d\d)*|case \d|layer 2|L2\w*|IPv[46]|RFC \d+|v\d[\w.]*|\b\d\d · |"
    r"the next (?:two|three) cells|these (?:two|three)|`[^`]*`",
    re.IGNORECASE,
)


def missing_quotes(place: str, text: str) -> list[str]:
    """Return the quotes of a place that its text does not have."""
    return [one.quote for one in QUOTED if one.place == place and flat(one.quote) not in flat(text)]


@pytest.mark.parametrize("place", sorted({one.place for one in QUOTED}))
def test_claim_stands_in_the_text(place: str) -> None:
    assert place in TEXTS, f"no cell and no exercise is called {place}"
    assert missing_quotes(place, TEXTS[place]) == []


def test_fact_has_a_source() -> None:
    facts = [one for one in QUOTED if isinstance(one, Fact)]
    assert facts
    assert [one.quote for one in facts if len(one.source) <= 8] == []


@pytest.mark.slow
@pytest.mark.parametrize(("one", "backend"), RUNS)
def test_claim_holds(one: Claim, backend: str, open_lab: OpenLab) -> None:
    one.check(open_lab(one.story, backend=backend))


def unproved(place: str, text: str) -> list[str]:
    """Return the sentences of a place that have a number, or a word such as always, and no claim."""
    quotes = [flat(one.quote) for one in QUOTED if one.place == place]
    return [
        f"{place}: {sentence}"
        for sentence in sentences(text)
        if NEEDS_PROOF.search(NO_CLAIM.sub("", sentence)) and not any(quote in flat(sentence) for quote in quotes)
    ]


@pytest.mark.parametrize("chapter", sorted({place[:2] for place in CELLS}))
def test_number_has_a_claim(chapter: str) -> None:
    exercises = [name for name, one in CATALOG.items() if one.chapter == chapter]
    places = [place for place in CELLS if place[:2] == chapter] + exercises
    assert [sentence for place in places for sentence in unproved(place, TEXTS[place])] == []


def test_number_without_claim_is_found() -> None:
    assert unproved("nowhere", "It takes six seconds. It never comes back. See chapter 06.") == [
        "nowhere: It takes six seconds.",
        "nowhere: It never comes back.",
    ]
