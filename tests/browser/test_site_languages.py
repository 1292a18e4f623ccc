"""A site in two languages in a real Chromium, from disk: search for Hangul, switch, untranslated page, numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from playwright.sync_api import Page

from kanslib import i18n
from kanslib.site.builder import build
from kanslib.site.page_words import WORDS_SCRIPT, words_script
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


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The words of the scripts in a language that writes 1.234,5; its lists differ here, to be told apart."""
    catalog = Catalog("de")
    catalog.add(i18n.NUMBER, "1.234,5")
    catalog.add("{one}, {other}", "{one} / {other}")
    path = tmp_path / "de" / "LC_MESSAGES" / "kanslib.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as out:
        write_mo(out, catalog)
    monkeypatch.setenv(i18n.FOLDER_VARIABLE, str(tmp_path))
    with i18n.use("de"):
        return words_script()


def test_scripts_write_numbers_and_lists_as_the_language_does(site: Path, page: Page, german: str) -> None:
    page.route(f"**/{WORDS_SCRIPT}*", lambda route: route.fulfill(body=german, content_type="text/javascript"))
    page.goto((site / "chapters" / "06-failover.html").as_uri())
    machine = page.locator("[data-time-machine]")
    machine.scroll_into_view_if_needed()
    for moment in ("7,8 s", "13,2 s"):
        machine.get_by_role("button", name="next").click()
        assert machine.locator(".kans-time-headline b").inner_text() == moment
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    assert "13,3 s (5,5 s after kill-node)" in machine.locator(".kans-time-headline").inner_text()
    page.goto((site / "chapters" / "08-broken-labs.html").as_uri())
    case = page.locator("form[data-exercise=case-1]")
    case.locator(".kans-query select").select_option(index=1)
    case.get_by_role("button", name="Ask").click()
    case.locator(".kans-query-answer").get_by_text("recorded").first.wait_for()
    case.get_by_role("button", name="Check").click()
    case.get_by_text("Choose: cause / fix / evidence.").wait_for()
    page.unroute_all()
