"""What Sphinx does for this site besides its own: templates, languages, the search of a language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kanslib.repository import REPOSITORY
from kanslib.site.content import CHAPTERS, DEFAULT_LANGUAGE, language_folder
from kanslib.site.page_words import WORDS_SCRIPT
from kanslib.site.search import hangul_pairs

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_HERE = Path(__file__).parent
TEMPLATES, STATIC = _HERE / "templates", _HERE / "static"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register everything; Sphinx calls this."""
    app.add_config_value("kans_languages", [DEFAULT_LANGUAGE], "html", list)  # of the whole site
    app.add_config_value("kans_base_url", "", "html", str)
    app.add_config_value("kans_fallbacks", [], "html", list)  # the names of the pages that are not translated
    app.add_search_language(hangul_pairs())
    for style in sorted(STATIC.glob("*.css")):
        app.add_css_file(style.name)
    app.add_js_file(WORDS_SCRIPT, loading_method="defer")  # the others need it
    for script in sorted(STATIC.glob("*.js")):
        app.add_js_file(script.name, loading_method="defer")
    app.connect("html-page-context", _add_context)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add_context(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: object) -> str | None:
    """Give the templates what they need of the site; the first page has a template of its own."""
    config = app.config
    context["kans_repository"] = REPOSITORY
    context["kans_alternates"] = _alternates(pagename, context["content_root"], config.language, config.kans_languages)
    context["kans_base_url"] = config.kans_base_url
    context["kans_default_language"] = DEFAULT_LANGUAGE
    context["kans_is_fallback"] = pagename in config.kans_fallbacks
    if pagename == "index":
        titles = app.env.titles
        context["kans_chapters"] = [
            (name, titles[name].astext()) for name in sorted(titles) if name.startswith(f"{CHAPTERS}/")
        ]
        return "landing.html"
    return None


def _alternates(page: str, root: str, language: str, languages: list[str]) -> list[tuple[str, str, str]]:
    """Return the same page in each language: the language's code, its own name, and the address from this page."""
    from babel import Locale

    to_root = root + ("../" if language_folder(language) else "")
    return [
        (one, (Locale.parse(one).get_display_name() or one).capitalize(), f"{to_root}{language_folder(one)}{page}.html")
        for one in languages
    ]
