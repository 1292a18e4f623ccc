"""An executed chapter as a page: of each output the one form that a page can show, and each style once."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

# of the forms of an output, the first that is there; widgets need a kernel, and stand for HTML that is there, too
_SHOWN = ("text/html", "text/markdown", "image/svg+xml", "text/latex", "text/plain")
_WIDGET = "application/vnd.jupyter.widget-view+json"
_EXERCISE = re.compile(r'data-exercise="([^"]*)"')
_TAG = re.compile(r"^(\*[^*\n]+\*) · (\w+)$", re.MULTILINE)  # the minutes of a section, and the path that it belongs to
_STYLE = re.compile(r"<style>.*?</style>\s*", re.DOTALL)


def page_notebook(executed: NotebookNode) -> NotebookNode:
    """Return a copy of an executed notebook that has what a page shows, and nothing else.

    The style of a figure or a table stands in each of its outputs; a page needs it once.
    """
    notebook = copy.deepcopy(executed)
    notebook.metadata.pop("widgets", None)
    styles: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            cell.source = _TAG.sub(_tag, cell.source)
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = [shown for output in cell.outputs for shown in _shown(output)]
        for output in cell.outputs:
            if html := output.get("data", {}).get("text/html"):
                output.data["text/html"] = _without_repeated(html, styles)
    return notebook


def _tag(found: re.Match[str]) -> str:
    return f'{found[1]} <span class="kans-tag">{found[2]}</span>'


def exercises_in(executed: NotebookNode) -> Iterator[str]:
    """Yield the ids of the exercises whose forms an executed notebook shows."""
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            yield from _EXERCISE.findall(output.get("data", {}).get("text/html", ""))


def _shown(output: NotebookNode) -> list[NotebookNode]:
    if output.output_type == "stream":
        return [output] if output.name == "stdout" else []
    data = output.data
    form = next((one for one in _SHOWN if one in data), None)
    if form is None or _WIDGET in data:
        return []
    output.data = {form: data[form]}
    output.metadata = {}
    return [output]


def _without_repeated(html: str, styles: set[str]) -> str:
    """Return the HTML without the styles that are in `styles` already; the others are added to it."""

    def once(found: re.Match[str]) -> str:
        style = found[0].strip()
        if style in styles:
            return ""
        styles.add(style)
        return style

    return _STYLE.sub(once, html)
