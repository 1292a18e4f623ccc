"""A site in two languages in a real Chromium, from disk: the search for Hangul, the switch, an untranslated page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from kanslib.site.builder import build
from tests.browser import jupyter
from tests.site.tiny import executed, tiny_content

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not jupyter.CHROMIUM and not os.environ.get("CI"), reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def two_languages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    content = tiny_content(folder)
    build(content, executed(content), folder / "site", content.languages())
    return folder / "site"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with jupyter.chromium() as browser:
        page = browser.new_context(viewport={"width": 390, "height": 844}, offline=True).new_page()
        page.set_default_timeout(8000)
        yield page


@pytest.mark.parametrize("query", ["스피커", "피커", "리더", "커가"])  # a noun, a part of it, one before a particle
def test_hangul_is_found_in_a_word_and_in_a_part_of_it(two_languages: Path, page: Page, query: str) -> None:
    page.goto((two_languages / "ko" / "search.html").as_uri())
    page.locator(".kans-search [name=q]").fill(query)
    page.keyboard.press("Enter")
    found = page.locator("ul.search li")
    found.first.wait_for()
    assert found.locator("a").all_text_contents() == ["시작"]
    assert query in found.locator("mark").first.inner_text()
    found.locator("a").click()
    page.locator("h1", has_text="시작").wait_for()


def test_word_that_no_page_has_is_not_found(two_languages: Path, page: Page) -> None:
    page.goto((two_languages / "ko" / "search.html").as_uri() + "?q=공유기")
    page.get_by_role("status").get_by_text("공유기").wait_for()
    assert page.locator("ul.search li").count() == 0


def test_switch_leads_to_the_same_page_and_back(two_languages: Path, page: Page) -> None:
    page.goto((two_languages / "chapters" / "00-start-here.html").as_uri())
    page.locator(".mobile-header .nav-overlay-icon").click()
    page.get_by_role("link", name="한국어").click()
    page.locator("h1", has_text="시작").wait_for()
    assert page.locator("html").get_attribute("lang") == "ko"
    page.locator(".mobile-header .nav-overlay-icon").click()
    assert page.get_by_role("link", name="한국어").get_attribute("aria-current") == "true"
    page.get_by_role("link", name="English").click()
    page.locator("h1", has_text="Start").wait_for()


def test_page_that_is_not_translated_says_so_above_its_text(two_languages: Path, page: Page) -> None:
    page.goto((two_languages / "ko" / "chapters" / "00-start-here.html").as_uri())
    page.get_by_role("link", name="다음").click()
    notice = page.locator(".kans-untranslated[role=note]")
    notice.wait_for()
    assert notice.inner_text() == "This page is not translated yet. Here it is in English."
    above = "[...document.querySelectorAll('.kans-untranslated, h1')].map(one => one.getBoundingClientRect().top)"
    note, heading = page.evaluate(above)
    assert 0 < note < heading
    assert page.locator("[lang=en] h1").count() == 1
