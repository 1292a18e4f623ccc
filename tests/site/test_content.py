"""The pages of a site in each language."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanslib.course import chapters
from kanslib.exceptions import KanslibError, UnknownNameError
from kanslib.site import content
from kanslib.site.content import Content
from kanslib.site.source import FOR_CONTRIBUTORS, how_to_groups
from tests.docs.pages import ROOT
from tests.site.tiny import tiny_content


def test_shipped_content_has_every_chapter_and_document() -> None:
    made_of = content.shipped()
    assert [page.file for page in made_of.chapters("en")] == chapters.shipped()
    files = {page.file for page in made_of.document_pages("en")}
    assert files == set((ROOT / "docs").rglob("*.md"))


def test_how_to_pages_for_readers_stand_before_those_for_contributors() -> None:
    pages = [page.name for page in content.shipped().document_pages("en") if "/how-to/" in page.name]
    for_readers, for_contributors = how_to_groups(pages)
    assert for_readers[:2] == ["docs/how-to/install", "docs/how-to/own-rules"]
    assert for_contributors == [f"docs/how-to/{name}" for name in FOR_CONTRIBUTORS]
    assert sorted((*for_readers, *for_contributors)) == sorted(pages)


def test_default_language_is_first(tmp_path: Path) -> None:
    assert tiny_content(tmp_path).languages() == ["en", "ko"]


def test_page_without_translation_is_in_the_default_language(tmp_path: Path) -> None:
    pages = {page.name: page for page in tiny_content(tmp_path).chapters("ko")}
    assert {name: (page.language, page.file.parent.name) for name, page in pages.items()} == {
        "chapters/00-start-here": ("ko", "ko"),
        "chapters/00q-fifteen-minutes": ("en", "en"),
    }


def test_translated_document_is_taken(tmp_path: Path) -> None:
    made_of = tiny_content(tmp_path)
    translated = tmp_path / "docs" / "ko" / "how-to" / "own-rules.md"
    translated.parent.mkdir(parents=True)
    translated.write_text("# 규칙\n", encoding="utf-8")
    languages = {page.name: page.language for page in made_of.document_pages("ko")}
    assert languages == {
        "docs/index": "en",
        "docs/how-to/install": "en",
        "docs/how-to/own-rules": "ko",
        "docs/decisions/0001-one": "en",
    }


def test_default_language_is_always_built(tmp_path: Path) -> None:
    made_of = tiny_content(tmp_path)
    assert [made_of.pick(one) for one in ([], ["ko"], ["en"])] == [["en", "ko"], ["en", "ko"], ["en"]]


def test_unknown_language_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"en.*ko"):
        tiny_content(tmp_path).pick(["fr"])


def test_content_without_chapters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KanslibError, match="no chapters in 'en'"):
        Content(tmp_path, None).languages()
