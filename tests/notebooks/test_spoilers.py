"""No guess is spoiled: nothing that the course says or shows above a prediction gives its answer away."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nbformat import NotebookNode

from kanslib.cli.run import execute
from kanslib.course import chapters
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.exercise import Exercise
from tests.notebooks.prose import text_cells

pytestmark = pytest.mark.slow
CHAPTERS = chapters.shipped()
_PREDICTED = re.compile(r"\.predict\(([^)]*)\)", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """What a learner has read of one cell: its id, and its text or its output in one line."""

    place: str
    text: str


def one_line(text: str) -> str:
    """Return a text in one line, with one blank between words."""
    return " ".join(text.split())


def text_of(output: NotebookNode) -> str:
    """Return what a learner reads of an output; the solutions that it folds are not read."""
    if output.output_type == "stream":
        return str(output.text)
    shown = output.get("data", {})
    page = re.sub(r"<(details|style|script)\b.*?</\1>", " ", shown.get("text/html", ""), flags=re.DOTALL)
    return f"{html.unescape(re.sub(r'<[^>]*>', ' ', page))} {shown.get('text/plain', '')}"


def said_in(notebook: NotebookNode) -> Iterator[Said]:
    """Yield the text cells and the outputs of a chapter, in their order."""
    for cell in notebook.cells:
        texts = [cell.source] if cell.cell_type == "markdown" else map(text_of, cell.outputs)
        yield from (Said(cell.id, one_line(text)) for text in texts)


def predicted_in(notebook: NotebookNode) -> dict[str, str]:
    """Return the predictions that a chapter asks, each with the id of its cell."""
    calls = ((cell.id, call) for cell in notebook.cells for call in _PREDICTED.findall(cell.source))
    return {name: place for place, call in calls for name in re.findall(r'"([a-z0-9-]+)"', call)}


def earlier_texts(chapter: Path) -> list[Said]:
    """Return the text cells of the chapters before this one."""
    before = CHAPTERS[: CHAPTERS.index(chapter)]
    return [Said(place, one_line(text)) for one in before for place, text in text_cells(one).items()]


def spoilers(exercise: Exercise, above: list[Said]) -> list[str]:
    """Return where the answer of a prediction is given away, and in which words."""
    return [
        f"{exercise.id}: {said.place} says “{found[0]}”"
        for pattern in exercise.gives_away
        for said in above
        if (found := re.search(pattern, said.text, re.IGNORECASE))
    ]


def idle_patterns(exercise: Exercise, below: list[Said]) -> list[str]:
    """Return the patterns that nothing matches, not even where the answer stands."""
    answers = [exercise.explanation, *(choice.text for choice in exercise.choices), *(said.text for said in below)]
    return [
        f"{exercise.id}: {pattern}"
        for pattern in exercise.gives_away
        if not any(re.search(pattern, one_line(text), re.IGNORECASE) for text in answers)
    ]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_spoils_no_guess(chapter: Path) -> None:
    _, notebook = execute(chapter)
    texts = list(said_in(notebook))
    problems: list[str] = []
    for name, place in predicted_in(notebook).items():
        exercise = CATALOG[name]
        here = next(number for number, said in enumerate(texts) if said.place == place)
        if not exercise.gives_away:
            problems.append(f"{name}: no pattern of what would give it away")
        problems += spoilers(exercise, [*earlier_texts(chapter), *texts[:here]])
        problems += [f"{one} (matches nothing)" for one in idle_patterns(exercise, texts[here:])]
    assert not problems, "\n".join(problems)


def test_spoilers_and_idle_patterns_found() -> None:
    exercise = next(one for one in CATALOG.values() if one.kind == "choice")
    spoiled = [Said("x", "MetalLB takes 5 seconds")]
    made = type(exercise)(**{**vars(exercise), "gives_away": (r"takes \d+ seconds", "no such words")})
    assert spoilers(made, spoiled) == [f"{exercise.id}: x says “takes 5 seconds”"]
    assert idle_patterns(made, spoiled) == [f"{exercise.id}: no such words"]


def test_every_pattern_is_of_a_prediction() -> None:
    sources = "\n".join(json.dumps(json.loads(chapter.read_text())) for chapter in CHAPTERS)
    asked = {name for call in _PREDICTED.findall(sources) for name in re.findall(r'"([a-z0-9-]+)\\?"', call)}
    assert {one.id for one in CATALOG.values() if one.gives_away} <= asked
