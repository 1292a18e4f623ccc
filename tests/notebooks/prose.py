"""The sentences that a learner reads: those of the chapters' text cells, and those of the exercises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from kanslib.exercises.exercise import Exercise

_NO_SENTENCES = ("|", "#", "```", "![", "*about", "<")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_END = re.compile(r"(?<=[.!?:])[*_”\")]*\s+(?=[A-Z0-9`*“\"(])")
_ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|etc|vs|no|v\d+)\.$", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9][\w'’./:-]*")


def text_cells(chapter: Path) -> dict[str, str]:
    """Return the text cells of a chapter by their ids."""
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"}


def exercise_texts(exercise: Exercise) -> list[str]:
    """Return what an exercise says, before and after an answer."""
    feedback = [one.text for one in exercise.misconceptions]
    return [exercise.question, *exercise.hints, exercise.explanation, *feedback]


def flat(text: str) -> str:
    """Return a text without its line breaks and links, for a search of words."""
    return " ".join(_LINK.sub(r"\1", text).split())


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs and the points of lists; no headings, tables, pictures or code."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=#)|(?<=\|)\n(?!\|)", text):
        lines = [line.strip().removeprefix(">").strip() for line in block.strip().splitlines()]
        if lines and lines[0].startswith("#"):
            lines = lines[1:]
        kept = [line for line in lines if line and not line.startswith(_NO_SENTENCES)]
        if kept and not re.fullmatch(r"\*\d+ minutes?\*(?: · workshop)?", kept[0]):
            yield re.sub(r"^(?:[-*]|\d+\.) ", "", " ".join(kept))


def sentences(text: str) -> list[str]:
    """Return the sentences of a Markdown text; a colon before a capital letter ends one, too.

    >>> sentences("One, e.g. this. Two: see `a.b`.")
    ['One, e.g. this.', 'Two: see `a.b`.']
    """
    found: list[str] = []
    for paragraph in _paragraphs(text):
        pieces = _END.split(_LINK.sub(r"\1", paragraph))
        for piece in pieces:
            if found and _ABBREVIATED.search(found[-1]) and piece is not pieces[0]:
                found[-1] += f" {piece}"
            else:
                found.append(piece.strip())
    return [one for one in found if one]


def words(sentence: str) -> list[str]:
    """Return the words of a sentence; a piece of code counts as one.

    >>> words("Run `kubectl get svc` now.")
    ['Run', 'CODE', 'now.']
    """
    return _WORD.findall(re.sub(r"`[^`]*`", "CODE", sentence))
