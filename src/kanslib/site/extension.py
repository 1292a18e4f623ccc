"""What Sphinx does for this site besides its own: templates, languages, the texts of the search."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from markupsafe import Markup

from kanslib.repository import REPOSITORY
from kanslib.site import texts
from kanslib.site.content import CHAPTERS, DEFAULT_LANGUAGE, language_folder
from kanslib.site.page_words import WORDS_SCRIPT
from kanslib.site.search import SCRIPT, Section, sections_of, write_search
from kanslib.site.styles import STYLE

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

_HERE = Path(__file__).parent
TEMPLATES, STATIC = _HERE / "templates", _HERE / "static"
# of Sphinx and its extensions: what its own search uses
_UNUSED_SCRIPTS = ("documentation_options.js", "doctools.js", "sphinx_highlight.js")
_SEARCH_SCRIPTS = ("kans-search.js", SCRIPT)  # on one page


def setup(app: Sphinx) -> dict[str, bool]:
    """Register everything; Sphinx calls this."""
    app.add_config_value("kans_languages", [DEFAULT_LANGUAGE], "html", list)  # of the whole site
    app.add_config_value("kans_base_url", "", "html", str)
    app.add_config_value("kans_fallbacks", [], "html", list)  # the names of the pages that are not translated
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


def _add_context(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: object) -> str | None:
    """Give the templates what they need of the site; the first page has a template of its own."""
    config, titles = app.config, app.env.titles
    _drop_assets(pagename, context)
    if "body" in context:  # the corner of a table is no heading
        context["body"] = context["body"].replace('<th class="head"><p></p></th>', "<td></td>")
    # Sphinx gives the headings of the navigation no level
    context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(
        ' role="heading"', ' role="heading" aria-level="2"'
    )
    here = config.kans_base_url + language_folder(config.language) + f"{pagename}.html"
    context |= {
        "kans_repository": REPOSITORY,
        "kans_text": texts.of_pages(),
        "kans_alternates": _alternates(pagename, context["content_root"], config.language, config.kans_languages),
        "kans_absolute": lambda address: urljoin(here, address) if config.kans_base_url else address,
        "kans_default_language": DEFAULT_LANGUAGE,
        "kans_is_fallback": pagename in config.kans_fallbacks,
        "kans_binder": _on_binder(pagename, config.language, pagename in config.kans_fallbacks),
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
    write_search(Path(app.outdir, "_static"), sections, app.builder.indexer.lang.stopwords)


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
