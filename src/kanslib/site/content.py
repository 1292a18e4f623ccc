"""What a site is made of: a page for each chapter and each document, in each language or in the default one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kanslib.exceptions import KanslibError, UnknownNameError
from kanslib.i18n import tr

DEFAULT_LANGUAGE = "en"
CHAPTERS = "chapters"  # the folders of the site
DOCUMENTS = "docs"
INSTALL = f"{DOCUMENTS}/how-to/install"  # how-to pages lead to it
_PACKAGE = Path(__file__).parents[1]
# of the documents; the folders of examples and pictures are no pages
_FOLDERS = ("how-to", "reference", "decisions")


@dataclass(frozen=True)
class Page:
    """A page of the site.

    name: its address below the folder of its language, without `.html`
    file: the notebook or the Markdown that it is made from
    language: the language in which `file` is written; another one than the site's where a translation is missing
    """

    name: str
    file: Path
    language: str


@dataclass(frozen=True)
class Content:
    """The folders that a site is made from.

    notebooks: has a folder of chapters for each language, such as `en`
    documents: the Markdown of the documentation, with a folder for each other language; None where it is not installed
    """

    notebooks: Path
    documents: Path | None

    def languages(self) -> list[str]:
        """Return the languages that have chapters, the default one first. KanslibError without chapters in that."""
        found = [folder.name for folder in sorted(self.notebooks.iterdir()) if any(folder.glob("*.ipynb"))]
        if DEFAULT_LANGUAGE not in found:
            raise _no_chapters(self.notebooks)
        return sorted(found, key=lambda language: (language != DEFAULT_LANGUAGE, language))

    def pick(self, languages: list[str]) -> list[str]:
        """Return these languages, with the default one first; all of them for none. UnknownNameError."""
        known = self.languages()
        for language in languages:
            if language not in known:
                raise UnknownNameError("language", language, known)
        return [one for one in known if not languages or one in languages or one == DEFAULT_LANGUAGE]

    def chapters(self, language: str) -> list[Page]:
        """Return the chapters in a language, in order; in the default language what is not translated."""
        return [
            _page(f"{CHAPTERS}/{file.stem}", self.notebooks / language / file.name, file, language)
            for file in sorted((self.notebooks / DEFAULT_LANGUAGE).glob("*.ipynb"))
        ]

    def fallbacks(self, language: str) -> set[str]:
        """Return the names of the pages that are not translated into a language."""
        pages = (*self.chapters(language), *self.document_pages(language))
        return {page.name for page in pages if page.language != language}

    def document_pages(self, language: str) -> list[Page]:
        """Return the documents in a language; in the default language what is not translated. None without a folder."""
        if self.documents is None:
            return []
        files = [
            *self.documents.glob("*.md"),
            *(file for one in _FOLDERS for file in (self.documents / one).glob("*.md")),
        ]
        return [
            _page(document_name(path), self.documents / language / path, self.documents / path, language)
            for path in sorted(file.relative_to(self.documents) for file in files)
        ]


def shipped() -> Content:
    """Return the content of this installation or clone. KanslibError where it has no chapters."""
    homes = (_PACKAGE, _PACKAGE.parents[1])
    notebooks = next((home / "notebooks" for home in homes if (home / "notebooks" / DEFAULT_LANGUAGE).is_dir()), None)
    if notebooks is None:
        raise _no_chapters(_PACKAGE)
    documents = next((home / "docs" for home in homes if (home / "docs" / "README.md").is_file()), None)
    return Content(notebooks, documents)


def document_name(path: Path) -> str:
    """Return the address of a document, given its path below the folder of documents.

    >>> document_name(Path("how-to/own-rules.md"))
    'docs/how-to/own-rules'
    >>> document_name(Path("README.md"))
    'docs/index'
    """
    name = path.with_suffix("").as_posix()
    return f"{DOCUMENTS}/{'index' if name == 'README' else name}"


def language_folder(language: str) -> str:
    """Return the folder of a language below the root of the site, with a slash; the default language is at the root.

    >>> language_folder("en"), language_folder("ko")
    ('', 'ko/')
    """
    return "" if language == DEFAULT_LANGUAGE else f"{language}/"


def _page(name: str, translated: Path, original: Path, language: str) -> Page:
    if language != DEFAULT_LANGUAGE and translated.is_file():
        return Page(name, translated, language)
    return Page(name, original, DEFAULT_LANGUAGE)


def _no_chapters(folder: Path) -> KanslibError:
    return KanslibError(
        tr(
            "no chapters in {language!r} in {folder}; next step: reinstall kanslib",
            language=DEFAULT_LANGUAGE,
            folder=folder,
        )
    )
