"""A tiny course built by Sphinx in two languages."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from kanslib.exceptions import KanslibError
from kanslib.repository import REPOSITORY
from kanslib.site.builder import build
from kanslib.site.search import SCRIPT, SYNONYMS, Section, Vocabulary
from tests.site.links import broken_links
from tests.site.tiny import BEGINNING, executed, tiny_content

pytestmark = pytest.mark.slow
BASE = "https://somebody.example/course/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    content = tiny_content(folder)
    build(content, executed(content), folder / "site", content.languages(), BASE, picture="<b>a picture</b>")
    return folder / "site"


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def searched(folder: Path) -> tuple[list[Section], Vocabulary]:
    """Return the sections that the search of a site looks through, and what it knows of the language."""
    data = text(folder / "_static" / SCRIPT).removeprefix("kans.search(").removesuffix(");\n")
    return msgspec.json.decode(f"[{data}]", type=tuple[list[Section], Vocabulary])


def test_every_page_is_there_in_every_language(site: Path) -> None:
    names = {
        "index.html", "search.html", "gallery.html", "progress.html", "chapters/00-start-here.html",
        "chapters/00q-fifteen-minutes.html",
        "docs/index.html", "docs/how-to/own-rules.html", "docs/how-to/install.html",
        "docs/decisions/index.html", "docs/decisions/0001-one.html",
    }  # fmt: skip
    for folder in (site, site / "ko"):
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")}
        assert {name for name in found if not name.startswith("ko/")} - {"404.html"} == names


def test_links_between_pages_lead_somewhere(site: Path) -> None:
    assert broken_links(site) == []


def test_a_broken_link_is_found(site: Path, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html">b</a><a id="x" href="#x">x</a><a href="a.html#y">y</a>')
    assert broken_links(tmp_path) == ["a.html: b.html", "a.html: a.html#y"]


def test_pages_ask_no_other_host(site: Path) -> None:
    """Links may lead elsewhere; what a browser loads by itself may not."""
    loaded = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\ssrc="(https?:)?//|<link[^>]*rel="stylesheet"[^>]*"https?://"""
    )
    assert [page.name for page in site.rglob("*.html") if loaded.search(text(page))] == []
    assert [style.name for style in site.rglob("*.css") if re.search(r"url\(['\"]?https?:|@import", text(style))] == []


def test_chapter_opens_on_binder_and_no_other_page_does(site: Path) -> None:
    link = re.compile(r'<p class="kans-binder"><a href="([^"]+)">Run this chapter on Binder</a></p>')
    opened = {page.relative_to(site).as_posix(): link.findall(text(page)) for page in site.rglob("*.html")}
    notebooks = {
        "chapters/00-start-here.html": "notebooks/en/00-start-here.ipynb",
        "chapters/00q-fifteen-minutes.html": "notebooks/en/00q-fifteen-minutes.ipynb",
        "ko/chapters/00-start-here.html": "notebooks/ko/00-start-here.ipynb",
        "ko/chapters/00q-fifteen-minutes.html": "notebooks/en/00q-fifteen-minutes.ipynb",  # not translated
    }
    assert {page: found for page, found in opened.items() if found} == {
        page: [REPOSITORY.binder(notebook)] for page, notebook in notebooks.items()
    }


def test_page_names_itself_in_each_language(site: Path) -> None:
    for folder, code in (("", "en"), ("ko/", "ko")):
        page = text(site / folder / "chapters" / "00-start-here.html")
        assert f'<link rel="canonical" href="{BASE}{folder}chapters/00-start-here.html"' in page
        assert dict(re.findall(r'<link rel="alternate" hreflang="([\w-]+)" href="([^"]+)">', page)) == {
            "en": f"{BASE}chapters/00-start-here.html",
            "ko": f"{BASE}ko/chapters/00-start-here.html",
            "x-default": f"{BASE}chapters/00-start-here.html",
        }
        assert re.search(rf'<html[^>]*\slang="{code}"', page)


def test_page_that_is_not_translated_names_the_english_one(site: Path) -> None:
    for folder in ("", "ko/"):
        page = text(site / folder / "chapters" / "00q-fifteen-minutes.html")
        assert f'<link rel="canonical" href="{BASE}chapters/00q-fifteen-minutes.html"' in page
        assert "hreflang" not in page.partition("</head>")[0]


def test_page_has_a_card_for_those_who_show_a_link(site: Path) -> None:
    card = dict(
        re.findall(r'<meta property="og:(\w+)" content="([^"]+)">', text(site / "chapters" / "00-start-here.html"))
    )
    assert card == {
        "title": "Start", "description": BEGINNING, "type": "website", "site_name": "kanslib",
        "url": f"{BASE}chapters/00-start-here.html",
    }  # fmt: skip


def test_page_for_no_address_has_links_from_the_root_of_the_site(site: Path) -> None:
    page = text(site / "404.html")
    assert page.index('<base href="/course/">') < page.index("href=", page.index("<base") + 6)
    assert '<a href="chapters/00-start-here.html">Start</a>' in page
    assert '<meta name="robots" content="noindex">' in page
    assert "canonical" not in page
    assert not re.findall(r'(?:href|src)="(?:#|\.\./)', page.replace('href="#svg', ""))


def test_site_map_has_every_page_in_its_languages(site: Path) -> None:
    name = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    entries = {
        entry.findtext(f"{name}loc"): {
            link.get("hreflang"): link.get("href") for link in entry.findall("{http://www.w3.org/1999/xhtml}link")
        }
        for entry in ElementTree.parse(site / "sitemap.xml").getroot()
    }
    both = {"en": f"{BASE}chapters/00-start-here.html", "ko": f"{BASE}ko/chapters/00-start-here.html"}
    assert [entries[address] for address in both.values()] == [both, both]
    assert entries[f"{BASE}docs/how-to/own-rules.html"] == {}
    assert f"{BASE}ko/docs/how-to/own-rules.html" not in entries
    files = {f"{BASE}{path.relative_to(site).as_posix()}" for path in site.rglob("*.html")}
    assert entries.keys() < files
    assert {address.removeprefix(BASE) for address in files - entries.keys()} == {
        "404.html", "search.html", "progress.html", "ko/search.html", "ko/progress.html",
        "ko/chapters/00q-fifteen-minutes.html", "ko/docs/index.html", "ko/docs/how-to/own-rules.html",
        "ko/docs/how-to/install.html",
        "ko/docs/decisions/0001-one.html",
    }  # fmt: skip


def test_site_without_an_address_has_neither(tmp_path: Path) -> None:
    content = tiny_content(tmp_path)
    build(content, executed(content), tmp_path / "site")
    assert not {"404.html", "sitemap.xml"} & {path.name for path in (tmp_path / "site").iterdir()}
    assert "canonical" not in text(tmp_path / "site" / "index.html")


def test_switch_leads_to_the_same_page(site: Path) -> None:
    switch = re.compile(r'<a href="([^"]+)" hreflang="(\w+)" lang="\w+"( aria-current="true")?>([^<]+)</a>')
    assert switch.findall(text(site / "ko" / "docs" / "index.html")) == [
        ("../../docs/index.html", "en", "", "English"),
        ("../../ko/docs/index.html", "ko", ' aria-current="true"', "한국어"),
    ]


def test_page_that_is_not_translated_says_so(site: Path) -> None:
    notice = '<p class="kans-untranslated" role="note">'
    with_notice = {page.stem for page in (site / "ko").rglob("*.html") if notice in text(page)}
    assert with_notice == {
        "00q-fifteen-minutes",
        "index",
        "own-rules",
        "install",
        "0001-one",
    }  # index: that of the documents
    assert '<div lang="en">' in text(site / "ko" / "chapters" / "00q-fifteen-minutes.html")
    assert notice not in text(site / "ko" / "index.html")
    assert [page.name for page in site.glob("*/*.html") if "ko" not in page.parts and notice in text(page)] == []


def test_search_has_each_section_with_its_text(site: Path) -> None:
    english, vocabulary = searched(site)
    found = {one.address: one for one in english}
    assert found["chapters/00-start-here.html"] == Section(
        "Start", "", "chapters/00-start-here.html", 0, f"{BEGINNING}\nMasquerade. Then on."
    )
    next_section = found["chapters/00-start-here.html#next"]
    assert next_section.text.splitlines() == [
        "2 minutes workshop",
        "More.",
        "VIP: an address.",
        "lab.map()",
        "printed",
    ]
    assert next_section.explained == "VIP"
    assert found["docs/how-to/own-rules.html#the-rules"].rank == 1
    assert ("the" in vocabulary.stop_words, "own" in vocabulary.stop_words) == (True, False)
    assert vocabulary.synonyms == SYNONYMS["en"]
    korean = {one.address: one.text for one in searched(site / "ko")[0]}
    assert "스피커가 리더를 뽑습니다" in korean["chapters/00-start-here.html"]


def test_how_to_pages_lead_to_the_installation(site: Path) -> None:
    link = re.compile(r'<p class="kans-install"><a href="([^"]+)">Install kans</a></p>')
    leading = {page.name: link.findall(text(page)) for page in (site / "docs").rglob("*.html")}
    assert {name: found for name, found in leading.items() if found} == {"own-rules.html": ["install.html"]}


def test_search_leads_to_places_that_are_there(site: Path) -> None:
    for folder in (site, site / "ko"):
        (folder / "found.html").write_text("".join(f'<a href="{one.address}">' for one in searched(folder)[0]))
        try:
            assert [link for link in broken_links(site) if "found.html" in link] == []
        finally:
            (folder / "found.html").unlink()


def test_only_the_search_loads_its_texts(site: Path) -> None:
    with_texts = [page.relative_to(site).as_posix() for page in site.rglob("*.html") if SCRIPT in text(page)]
    assert sorted(with_texts) == ["ko/search.html", "search.html"]
    assert list(site.rglob("searchindex.js")) == []


def test_page_has_its_style_inside_and_asks_for_none(site: Path) -> None:
    """A phone waits for each request before it paints. A page gets the rules that it can use."""
    for page in site.rglob("*.html"):
        style = text(page).partition("<style>")[2].partition("</style>")[0]
        is_first = page.parent.name in ("site", "ko") and page.stem in ("index", "404")
        assert (".kans-hero" in style, ".sidebar-tree" in style) == (is_first, not is_first), page
        assert 'rel="stylesheet"' not in text(page)
    assert list(site.rglob("*.css")) == []


def test_site_has_no_file_that_nothing_names(site: Path) -> None:
    assert [path.name for path in site.rglob("*.map")] == []
    assert not (site / "_sources").exists()
    assert [path.name for path in (site / "_static" / "gallery").iterdir()]


def test_faults_of_a_page_are_said_with_its_name(tmp_path: Path) -> None:
    content = tiny_content(tmp_path)
    (tmp_path / "docs" / "how-to" / "own-rules.md").write_text("# Rules\n\n[lost](#nowhere)\n")
    with pytest.raises(KanslibError, match=r"(?s)pages in 'en' have faults.*own-rules\.md.*nowhere"):
        build(content, executed(content), tmp_path / "site")
