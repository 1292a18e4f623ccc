"""Which rules of a style sheet a page gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanslib.site.styles import STYLE, parse, put_into_pages

SHEET = """
/* a note; with .words */
body { margin: 0 }
.there { color: red; /* why */ content: "; { }" ; }
.away, #gone .there { color: blue }
.there .away, .there > #here:hover { top: 1px }
.there:not(.away) { left: 1px }
[data-theme="dark"] .set-late { right: 1px }
@media print { .away { color: black } @media (width > 1px) { .there { color: white } } }
@media screen { .away { color: grey } }
@keyframes turn { from { top: 0 } to { top: 1px } }
"""


def used(css: str, *names: str) -> str:
    return "".join(rule.used(names) for rule in parse(css))


def test_rule_is_there_where_one_of_its_selectors_can_match() -> None:
    found = used(SHEET, "there", "here", "set-late")
    assert found == (
        "body{margin: 0}"
        '.there{color: red;content: "; { }"}'
        ".there .away, .there > #here:hover{top: 1px}"
        ".there:not(.away){left: 1px}"
        '[data-theme="dark"] .set-late{right: 1px}'
        "@media print{@media (width > 1px){.there{color: white}}}"
        "@keyframes turn{from { top: 0 } to { top: 1px }}"
    )


def test_page_gets_what_it_names_and_what_a_script_sets(tmp_path: Path) -> None:
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "late.js").write_text('box.classList.add("set-late")')
    link = f'<head><link rel="stylesheet" type="text/css" href="../_static/{STYLE}" /></head>'
    (tmp_path / "a.html").write_text(f'{link}<p class="there">')
    (tmp_path / "b.html").write_text(link)
    sheet = tmp_path / "sheet.css"
    sheet.write_text(".there{top:0}.away{top:0}.set-late{top:1px}")
    put_into_pages(tmp_path, [sheet])
    assert (tmp_path / "a.html").read_text() == (
        '<head><style>.there{top:0}.set-late{top:1px}</style></head><p class="there">'
    )
    assert (tmp_path / "b.html").read_text() == "<head><style>.set-late{top:1px}</style></head>"


def test_fault_in_a_style_sheet_is_said_with_its_line() -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse("body{top:0}\n.a")
