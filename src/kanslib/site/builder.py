"""Build the site with Sphinx: each language in a folder of its own, the default one at the root."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kanslib import i18n
from kanslib._version import __version__
from kanslib.exceptions import KanslibError
from kanslib.i18n import tr
from kanslib.site.content import DEFAULT_LANGUAGE, Content, language_folder
from kanslib.site.page_data import SCRIPTS
from kanslib.site.page_words import WORDS_SCRIPT, words_script
from kanslib.site.sitemap import sitemap
from kanslib.site.source import Executed, Source, write_source

_SIDEBAR = (
    "sidebar/brand.html",
    "languages.html",
    "sidebar/search.html",
    "sidebar/scroll-start.html",
    "sidebar/navigation.html",
    "sidebar/scroll-end.html",
)
# finds pages and not sections; site/search.py stands in its place
_SPHINX_SEARCH = ("searchindex.js", "_static/searchtools.js", "_static/language_data.js", "_static/sphinx_highlight.js")


def build(
    content: Content,
    executed: Executed,
    out: Path,
    languages: Sequence[str] = (DEFAULT_LANGUAGE,),
    base_url: str = "",
    data: Path | None = None,
    picture: str = "",
    on_page: Callable[[str], None] = lambda _name: None,
) -> None:
    """Build the site into the folder `out`, which is there or is made.

    executed: each chapter of these languages with its outputs
    data: the folder of the scripts that the kernels wrote (`site/kernel.py`); pages load them late
    base_url: where the site will be, with a slash at its end; without it pages name no address of their own, and there
        is neither a site map nor a page for addresses that are none
    picture: the figure of the first page, as HTML
    on_page: called with the name of each page that is written

    KanslibError where Sphinx has something to say against the pages.
    """
    fallbacks = {language: sorted(content.fallbacks(language)) for language in languages}
    for language in languages:
        with i18n.use(language), tempfile.TemporaryDirectory(prefix="kans-site-") as folder:
            source = write_source(content, language, executed, Path(folder, "source"), Path(folder, "static"))
            _write_scripts(source.static, data)
            settings = _settings(source, fallbacks, base_url) | {"kans_picture": str(picture)}
            _run_sphinx(source, out / language_folder(language), settings, on_page)
        _put_styles(out / language_folder(language))
        _drop_unused(out / language_folder(language))
    if base_url:
        (out / "sitemap.xml").write_text(sitemap(out, base_url, fallbacks), encoding="utf-8")
    (out / ".nojekyll").touch()  # GitHub Pages leaves out folders with an underscore otherwise


def _write_scripts(folder: Path, data: Path | None) -> None:
    """Write what the pages' scripts need besides themselves: their words, and the data that they load late."""
    (folder / WORDS_SCRIPT).write_text(words_script(), encoding="utf-8")
    if data is not None:
        shutil.copytree(data, folder / SCRIPTS)


def _run_sphinx(source: Source, out: Path, settings: Mapping[str, object], on_page: Callable[[str], None]) -> None:
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    # a file: the theme registers settings of its own late, and Sphinx refuses these from a caller
    conf = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    (source.folder / "conf.py").write_text(conf, encoding="utf-8")
    warnings = io.StringIO()
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            source.folder,
            source.folder,
            out,
            source.folder.parent / "doctrees",
            "html",
            status=None,
            warning=warnings,
        )
        app.connect("html-page-context", lambda _app, name, *_others: on_page(name))
        app.build()
    if found := warnings.getvalue():
        found = re.sub(r"\x1b\[[0-9;]*m", "", found).replace(f"{source.folder}/", "").rstrip()
        raise KanslibError(
            tr("the pages in {language!r} have faults:\n{faults}", language=source.language, faults=found)
        )


def _settings(source: Source, fallbacks: Mapping[str, Sequence[str]], base_url: str) -> dict[str, object]:
    from kanslib.site.extension import MISSING, STATIC, TEMPLATES

    return {
        "project": "kanslib",
        "author": "kanslib contributors",
        "version": __version__,
        "release": __version__,
        "language": source.language,
        "extensions": ["myst_nb", "kanslib.site.extension"],
        "root_doc": "index",
        "templates_path": [str(TEMPLATES)],
        "html_static_path": [str(STATIC), str(source.static)],
        "html_theme": "furo",
        "html_title": "kanslib",
        "html_favicon": str(STATIC / "icon.svg"),
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_show_search_summary": False,  # it would fetch each page that is found, which fails from disk
        "html_use_index": False,
        # one for the whole site, and only where its links can start at the site's root
        "html_additional_pages": {MISSING: "missing.html"} if base_url and not language_folder(source.language) else {},
        "html_show_copyright": False,
        "html_permalinks_icon": "#",
        "html_theme_options": {"top_of_page_buttons": []},
        "html_sidebars": {"**": _SIDEBAR},
        "pygments_style": "a11y-high-contrast-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
        "myst_heading_anchors": 4,
        "nb_execution_mode": "off",
        "nb_ipywidgets_js": {},
        "nb_merge_streams": True,
        "kans_languages": list(fallbacks),
        "kans_base_url": base_url,
        "kans_fallbacks": dict(fallbacks),
    }


def _put_styles(folder: Path) -> None:
    """Write the styles of code, of the theme and of this site into the pages, in this order."""
    from kanslib.site.extension import STATIC
    from kanslib.site.styles import put_into_pages

    theirs = (folder / "_static" / name for name in ("pygments.css", "styles/furo.css"))
    put_into_pages(folder, [*theirs, *sorted(STATIC.glob("*.css"))])


def _drop_unused(folder: Path) -> None:
    """Remove the files of the theme and of Sphinx that no page and no script names."""
    static, data = folder / "_static", folder / "_static" / SCRIPTS
    for name in _SPHINX_SEARCH:
        (folder / name).unlink()
    texts = [file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.suffix in (".html", ".js")]
    named = {name for text in texts for name in re.findall(r"[\w.-]+\.(?:css|js|png|svg)", text)}
    (folder / "_sources").rmdir()  # Sphinx makes it, and copies nothing into it
    for file in static.rglob("*"):
        if file.is_file() and file.name not in named and data not in file.parents:
            file.unlink()
