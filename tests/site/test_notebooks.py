"""What of an executed notebook a page shows."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from kanslib.site.notebooks import page_notebook
from tests.site.tiny import STYLE, executed, tiny_content


def test_each_output_has_the_one_form_that_a_page_shows(tmp_path: Path) -> None:
    for notebook in executed(tiny_content(tmp_path)).values():
        outputs = page_notebook(notebook).cells[-1].outputs
        assert [output.get("text") or list(output.data) for output in outputs] == [
            "printed\n",
            ["text/html"],
            ["text/html"],
        ]


def test_style_stands_once_and_the_rest_stays(tmp_path: Path) -> None:
    notebook = next(iter(executed(tiny_content(tmp_path)).values()))
    first, second = (output.data["text/html"] for output in page_notebook(notebook).cells[-1].outputs[1:])
    assert (first, second) == (f"<div>{STYLE}<b>figure</b></div>", "<i>again</i>")


def test_page_keeps_nothing_of_widgets_and_the_notebook_stays(tmp_path: Path) -> None:
    notebook = next(iter(executed(tiny_content(tmp_path)).values()))
    before = copy.deepcopy(notebook)
    assert "widget" not in json.dumps(page_notebook(notebook))
    assert notebook == before
