"""A course of two chapters and two documents, in English and in part in Korean, whose chapters count as executed."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kanslib.site.content import Content
from kanslib.site.source import Executed

STYLE = "<style>.tiny{color:red}</style>"
BEGINNING = "A chapter begins with words that are long enough for a card."
SVG = '<svg xmlns="http://www.w3.org/2000/svg" data-kind="ClusterMap" width="320" height="64.5"></svg>'
_WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Run this cell."}


def tiny_content(folder: Path) -> Content:
    """Write the folders of the course; the second chapter and the documents are not translated."""
    files = {
        "docs/README.md": "# Documentation\n\nRead [how](how-to/own-rules.md#the-rules), [why](decisions),\n"
        "[the licence](../LICENSE), and [the course](../notebooks/en).\n",
        "docs/how-to/own-rules.md": "# Rules\n\n## The rules\n\n```sh\ncat '[not](a-link.md)'\n```\n",
        "docs/how-to/install.md": "# Install kans\n\nClone.\n",
        "docs/decisions/0001-one.md": "# 1. One\n\nSee [the first](../../notebooks/en/00-start-here.ipynb).\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for language, name, words in (
        (
            "en",
            "00-start-here",
            "# Start\n\n" + BEGINNING + "\n\nMasquerade. Then [on](00q-fifteen-minutes.ipynb).\n\n"
            "## Next\n\n*2 minutes* · workshop\n\nMore.\n\n> **VIP**: an address.",
        ),
        ("en", "00q-fifteen-minutes", "# Fifteen\n\nConntrack remembers."),
        ("ko", "00-start-here", "# 시작\n\n스피커가 리더를 뽑습니다. [다음](00q-fifteen-minutes.ipynb)"),
    ):
        path = folder / "notebooks" / language / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = [new_markdown_cell(words), new_code_cell("lab.map()")]
        nbformat.write(new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), path)
    return Content(folder / "notebooks", folder / "docs")


def executed(content: Content) -> Executed:
    """Return every chapter as an execution would leave it."""
    pages = [page for language in content.languages() for page in content.chapters(language)]
    return {page.file: with_outputs(nbformat.read(page.file, as_version=4)) for page in pages}


def with_outputs(notebook: NotebookNode) -> NotebookNode:
    """Give the code cell one output of each kind that chapters have."""
    figure = {"text/html": f"<div>{STYLE}<b>figure</b></div>", "image/svg+xml": SVG, "text/plain": "Figure(…)"}
    notebook.cells[-1].outputs = [
        new_output("stream", name="stdout", text="printed\n"),
        new_output("stream", name="stderr", text="a warning\n"),
        new_output("display_data", data=_WIDGET),
        new_output("display_data", data=figure),
        new_output("execute_result", data={**figure, "text/html": f"{STYLE}<i>again</i>"}, execution_count=1),
    ]
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    return notebook
