"""English that is read fast: short sentences, a subject that does something, no idiom, each term in its box."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean

import pytest

from kanslib.course import chapters
from kanslib.exercises.catalog import CATALOG
from tests.notebooks.prose import exercise_texts, flat, sentences, text_cells, words

CHAPTERS = chapters.shipped()
NUMBERS = sorted({one.chapter for one in CATALOG.values()})
LONGEST, MEAN, PASSIVE = 30, 15, 0.1
_BE = r"(?:is|are|was|were|be|been|being|am|gets?|got)"
_IRREGULAR = (
    "known made seen given sent taken written built kept held left lost found told done shown put cut chosen drawn "
    "brought thought bought caught said paid met led read spread thrown broken driven hidden torn born begun won set"
)
_PASSIVE = re.compile(
    rf"\b{_BE}\s+(?:not\s+|n[o']t\s+|never\s+|also\s+|only\s+|\w+ly\s+)?(?:\w+ed|{'|'.join(_IRREGULAR.split())})\b",
    re.IGNORECASE,
)
# what slows a reader down who learned English at school: idioms, poetry, words order turned round, words of no field
BANNED = (
    "kind death", "screw", "in your hand", "goes dark", "by heart", "far and wide", "at a stroke",
    "turns out", "let's dive", "dive in", "under the hood", "out of the box", "rule of thumb",
    "boils down", "piece of cake", "on the fly", "keep an eye", "for free", "good-bye", "goodbye", "stands a",
    "a story in which", "with manners", "into the void", "commit yourself", "knock", "stranger", "purist", "scratch",
    "deal them out", "like cards", "the dice", "in spite of", "for the way", "word for word", "have the last word",
    "last word", "in the eyes of", "torn out", "makes of it", "made of it", "hold in the head", "lonely", "desk",
    "gives up", "gave up", "out there", "sees to", "the somebody", "superfluous", "loudly", "hasty", "polite",
)  # fmt: skip
# words that the glossary replaced
REPLACED = ("twin", "twins", "stand-in", "quest", "told", "computed world", "claim", "claims", "claimed")


def _problems(texts: dict[str, str]) -> list[str]:
    found = [f"{place}: {one}" for place, text in texts.items() for one in sentences(text) if len(words(one)) > LONGEST]
    for place, text in texts.items():
        lower = flat(text).lower()
        found += [f"{place}: “{one}”" for one in (*BANNED, *REPLACED) if re.search(rf"\b{one}\b", lower)]
    return found


def _texts_of_exercises(number: str) -> dict[str, str]:
    return {one.id: "\n\n".join(exercise_texts(one)) for one in CATALOG.values() if one.chapter == number}


def _check(texts: dict[str, str]) -> None:
    assert _problems(texts) == []
    every = [one for text in texts.values() for one in sentences(text)]
    assert every
    assert mean(len(words(one)) for one in every) <= MEAN
    passive = [one for one in every if _PASSIVE.search(one)]
    assert len(passive) <= PASSIVE * len(every), passive


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_is_plain(chapter: Path) -> None:
    _check(text_cells(chapter))


@pytest.mark.parametrize("number", NUMBERS)
def test_exercises_are_plain(number: str) -> None:
    _check(_texts_of_exercises(number))


BOX = re.compile(r"^> \*\*([^*]+)\*\*", re.MULTILINE)
GLOSSARY = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
HOUSE = ("recording", "moment", "action", "observation", "provenance", "backend", "simulator", "VIP", "leader", "phase")


@pytest.mark.parametrize("word", [*HOUSE, "evidence"])
def test_word_of_the_house_has_a_box_and_a_glossary_entry(word: str) -> None:
    boxed = {term for chapter in CHAPTERS for text in text_cells(chapter).values() for term in BOX.findall(text)}
    assert word in boxed
    assert re.search(rf"^\| (?:[\w ,]+, )?{word}(?:, [\w ]+)* \|", GLOSSARY, re.MULTILINE)


def test_check_finds_what_is_not_plain() -> None:
    texts = {"x": "Hardly a scratch. " + "word " * 31 + "."}
    assert len(_problems(texts)) == 2
    assert _PASSIVE.search("The rules were written by kube-proxy.")
    assert not _PASSIVE.search("kube-proxy writes the rules.")
