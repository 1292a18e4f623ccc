"""What Sphinx does for this site besides its own: templates, languages, the texts of the search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from textwrap import shorten
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from markupsafe import Markup

from kanslib.repository import REPOSITORY
from kanslib.site import texts
from kanslib.site.content import CHAPTERS, DEFAULT_LANGUAGE, DOCUMENTS, INSTALL, language_folder
from kanslib.site.page_words import WORDS_SCRIPT
from kanslib.site.search import SCRIPT, Section, sections_of, write_search
from kanslib.site.styles import STYLE

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

MISSING = "404"  # what GitHub Pages and others send for an address that is none
_HERE = Path(__file__).parent
_SHORTEST_DESCRIPTION, _LONGEST_DESCRIPTION = 40, 200  # characters; search engines show fewer
TEMPLATES, STATIC = _HERE / "templates", _HERE / "static"
# of Sphinx and its extensions: what its own search uses
_UNUSED_SCRIPTS = ("documentation_options.js", "doctools.js", "sphinx_highlight.js")
_SEARCH_SCRIPTS = ("kans-search.js", SCRIPT)  # on one page


def setup(app: Sphinx) -> dict[str, bool]:
    """Register everything; Sphinx calls this."""
    app.add_config_value("kans_languages", [DEFAULT_LANGUAGE], "html", list)  # of the whole site
    app.add_config_value("kans_base_url", "", "html", str)
    app.add_config_value("kans_fallbacks", {}, "html", dict)  # the pages that are not translated, of each language
    app.add_config_value("kans_picture", "", "html", str)  # HTML of the figure on the first page
    app.add_css_file(STYLE)
    app.add_js_file(WORDS_SCRIPT, loading_method="defer")  # the others need it
    scripts = sorted(script.name for script in STATIC.glob("*.js") if script.name not in _SEARCH_SCRIPTS)
    for script in (*scripts, *_SEARCH_SCRIPTS):
        app.add_js_file(script, loading_method="defer")
    app.connect("html-page-context", _add_context, priority=900)
    sections: list[Section] = []
    app.connect("html-page-context", lambda _app, name, _template, _context, tree: _collect(sections, name, tree))
    app.connect("build-finished", lambda _app, _error: _write_search(app, sections))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add_context(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> str | None:
    """Give the templates what they need of the site; the first page has a template of its own."""
    config, titles = app.config, app.env.titles
    _drop_assets(pagename, context)
    if "body" in context:  # the corner of a table is no heading
        context["body"] = context["body"].replace('<th class="head"><p></p></th>', "<td></td>")
    # Sphinx gives the headings of the navigation no level
    context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(
        ' role="heading"', ' role="heading" aria-level="2"'
    )
    is_fallback = pagename in config.kans_fallbacks.get(config.language, ())
    is_how_to = pagename.startswith(f"{DOCUMENTS}/how-to/")
    context |= _addresses(app, pagename, context) | _card(pagename, titles, doctree)
    context |= {
        "kans_repository": REPOSITORY,
        "kans_text": texts.of_pages(),
        "kans_default_language": DEFAULT_LANGUAGE,
        "kans_is_fallback": is_fallback,
        "kans_binder": _on_binder(pagename, config.language, is_fallback),
        "kans_install": INSTALL if is_how_to and pagename != INSTALL and INSTALL in titles else "",
        "kans_picture": Markup(config.kans_picture),  # of a figure of ours
        "kans_title": lambda name: titles[name].astext(),
        "kans_chapters": [(one, titles[one].astext()) for one in sorted(titles) if one.startswith(f"{CHAPTERS}/")],
    }
    return "landing.html" if pagename == "index" else None


def _collect(sections: list[Section], name: str, tree: nodes.document | None) -> None:
    """Take in the sections of a page; what no document was made of, such as the search, has none."""
    if tree is not None:
        sections += sections_of(name, tree)


def _write_search(app: Sphinx, sections: list[Section]) -> None:
    from sphinx.builders.html import StandaloneHTMLBuilder

    assert isinstance(app.builder, StandaloneHTMLBuilder)  # the one that a site is built with
    assert app.builder.indexer
    write_search(Path(app.outdir, "_static"), sections, app.builder.indexer.lang.stopwords, app.config.language)


def _addresses(app: Sphinx, page: str, context: Mapping[str, Any]) -> dict[str, object]:
    """Return the addresses of a page: its own, where the site has one, and those of the page in each language.

    A page that is not translated names the one in the default language as its own, and is none of the translations.
    """
    config, base = app.config, app.config.kans_base_url
    is_fallback = page in config.kans_fallbacks.get(config.language, ())
    here = urljoin(base, language_folder(config.language) + f"{page}.html")
    all_languages = _alternates(
        "index" if page == MISSING else page, context["content_root"], config.language, config.kans_languages
    )
    translated = [one for one in all_languages if page not in config.kans_fallbacks.get(one[0], ())]
    own = urljoin(base, language_folder(DEFAULT_LANGUAGE if is_fallback else config.language) + f"{page}.html")
    return {
        "pageurl": own if base and page != MISSING else None,
        "kans_base_path": urlsplit(base).path,
        "kans_absolute": lambda address: urljoin(here, address) if base else address,
        "kans_alternates": all_languages,
        "kans_hreflang": translated if page != MISSING else [],
    }


def _card(page: str, titles: Mapping[str, nodes.Node], doctree: nodes.document | None) -> dict[str, str]:
    """Return the title and the description under which others show a page: of a chapter or a document its beginning."""
    words = texts.of_pages()
    if page == "index" or page not in titles:
        return {"kans_card_title": words["title"], "kans_description": words["description"]}
    paragraphs = (one.astext() for one in doctree.findall(_is_paragraph)) if doctree else ()
    beginning = next((one for one in paragraphs if len(one) >= _SHORTEST_DESCRIPTION), "")
    description = shorten(beginning, _LONGEST_DESCRIPTION, placeholder=" …")
    return {"kans_card_title": titles[page].astext(), "kans_description": description or words["description"]}


def _is_paragraph(node: nodes.Node) -> bool:
    from docutils import nodes

    return isinstance(node, nodes.paragraph)


def _on_binder(page: str, language: str, is_fallback: bool) -> str:
    """Return the address that opens a chapter's page as a notebook on Binder; empty for another page."""
    folder, _, chapter = page.partition("/")
    if folder != CHAPTERS:
        return ""
    return REPOSITORY.binder(f"notebooks/{DEFAULT_LANGUAGE if is_fallback else language}/{chapter}.ipynb")


def _drop_assets(page: str, context: dict[str, Any]) -> None:
    """Take out of a page the styles and scripts that it does not need."""
    context["css_files"] = [one for one in context["css_files"] if PurePosixPath(one.filename).name == STYLE]
    unused = (*_UNUSED_SCRIPTS, *(_SEARCH_SCRIPTS if page != "search" else ()))
    context["script_files"] = [
        one for one in context["script_files"] if PurePosixPath(one.filename or "").name not in unused
    ]


def _alternates(page: str, root: str, language: str, languages: list[str]) -> list[tuple[str, str, str]]:
    """Return the same page in each language: the language's code, its own name, and the address from this page."""
    from babel import Locale

    to_root = root + ("../" if language_folder(language) else "")
    return [
        (one, (Locale.parse(one).get_display_name() or one).capitalize(), f"{to_root}{language_folder(one)}{page}.html")
        for one in languages
    ]
