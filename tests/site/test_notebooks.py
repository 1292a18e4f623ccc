"""What of an executed notebook a page shows."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

from kanslib.site import gallery
from kanslib.site.gallery import KINDS, pictures, write_gallery
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


def test_path_of_a_section_is_a_tag(tmp_path: Path) -> None:
    notebook = next(iter(executed(tiny_content(tmp_path)).values()))
    notebook.cells[0].source = "## A section\n*2 minutes* · workshop\n\nIt *is* · so."
    assert page_notebook(notebook).cells[0].source == (
        '## A section\n*2 minutes* <span class="kans-tag">workshop</span>\n\nIt *is* · so.'
    )


def test_gallery_has_one_figure_of_each_kind_with_its_section(tmp_path: Path) -> None:
    notebook = next(iter(executed(tiny_content(tmp_path)).values()))
    [first, second] = pictures("03-arp", notebook)
    assert (first.kind, first.address, first.section) == ("ClusterMap", "chapters/03-arp.html#next", "Next")
    html = write_gallery({"03-arp": notebook, "07-bgp": notebook}, tmp_path / "static")
    assert html.count("<figure>") == 1
    assert html.count('href="chapters/03-arp.html#next"') == 2  # the image and its caption
    assert [path.name for path in (tmp_path / "static" / "gallery").iterdir()] == ["ClusterMap.svg"]
    assert second.kind in KINDS


def test_gallery_knows_every_kind_of_figure_of_the_chapters() -> None:
    """A kind that is not shown here is a part of another one, or of a page of its own."""
    render = Path(gallery.__file__).parents[1] / "render"
    kinds = {
        name
        for path in render.glob("*.py")
        for name in re.findall(r"^class (\w+)\((?:.*, )?Figure\)", path.read_text(), re.MULTILINE)
    }
    assert kinds - set(KINDS) == {"PacketPath", "ProgressReport", "StoryTimeline"}
    assert set(KINDS) <= kinds
