"""The folder that Sphinx reads: a file for each page of one language, and the pages that lead to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from kanslib.exercises.catalog import CATALOG
from kanslib.i18n import tr
from kanslib.site import texts
from kanslib.site.content import CHAPTERS, DOCUMENTS, Content, Page
from kanslib.site.forms import form_id
from kanslib.site.gallery import write_gallery
from kanslib.site.links import with_site_links
from kanslib.site.notebooks import exercises_in, page_notebook
from kanslib.site.progress import progress_html

if TYPE_CHECKING:
    from nbformat import NotebookNode

Executed = Mapping[Path, "NotebookNode"]  # each chapter with its outputs, by its file
PROGRESS = "progress"  # the page of a reader's progress, at the root of a language; scripts lead to it
_DECISIONS = f"{DOCUMENTS}/decisions/index"
# of the how-to pages: those for operators first, then those for teachers; and those for who works on kanslib
FOR_READERS = ("install", "own-rules", "own-captures", "own-cluster", "simulate", "show-a-chapter", "binder")
FOR_CONTRIBUTORS = ("write-a-chapter", "write-an-exercise", "translate", "build-the-site", "add-an-action")


@dataclass(frozen=True)
class Source:
    """A folder for Sphinx.

    static: a folder beside it, with further static files
    """

    folder: Path
    static: Path
    language: str


def write_source(content: Content, language: str, executed: Executed, folder: Path, static: Path) -> Source:
    """Write the pages of a language into `folder`, and further static files into `static`; return what is there."""
    chapters, documents = content.chapters(language), content.document_pages(language)
    names = {*(page.name for page in (*chapters, *documents)), "index", "gallery", *([_DECISIONS] if documents else [])}
    for page in chapters:
        _write_chapter(page, executed[page.file], folder)
    for page in documents:
        _write(folder, page.name, _document(page, content, names))
    captions = texts.captions()
    if documents:
        _write(
            folder,
            _DECISIONS,
            _page(captions["decisions"], [_toctree("", _below(documents, f"{DOCUMENTS}/decisions/"))]),
        )
    gallery = write_gallery({page.file.stem: executed[page.file] for page in chapters}, static)
    _write(folder, "gallery", _page(captions["gallery"], [captions["gallery_words"], gallery]))
    _write(
        folder,
        PROGRESS,
        _page(
            tr("Your progress"),
            ["```{raw} html", progress_html(CATALOG, _places(chapters, executed), _titles(chapters)), "```"],
        ),
    )
    _write(folder, "index", _page("kanslib", _toctrees(chapters, documents)))
    return Source(folder, static, language)


def _places(chapters: Sequence[Page], executed: Executed) -> dict[str, str]:
    """Return where each exercise stands: in the chapter that it belongs to, or else in the first that asks it."""
    found: dict[str, str] = {}
    for page in chapters:
        for name in dict.fromkeys(exercises_in(executed[page.file])):
            is_home = name in CATALOG and page.name.startswith(f"{CHAPTERS}/{CATALOG[name].chapter}-")
            if is_home or name not in found:
                found[name] = f"{page.name}.html#{form_id(name)}"
    return found


def _titles(chapters: Sequence[Page]) -> dict[str, str]:
    """Return the title of each chapter that has exercises of its own, by the number that they name."""
    import nbformat

    found: dict[str, str] = {}
    for page in chapters:
        heading = next(iter(nbformat.read(page.file, as_version=4).cells)).source.splitlines()[0]
        number, _, title = heading.removeprefix("# ").partition(" · ")
        found[number] = title
    return found


def _write_chapter(page: Page, executed: NotebookNode, folder: Path) -> None:
    import nbformat

    notebook = page_notebook(executed)
    path = folder / f"{page.name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _document(page: Page, content: Content, names: Iterable[str]) -> str:
    assert content.documents is not None  # it is where the page is from
    path = (Path(DOCUMENTS) / page.file.relative_to(content.documents)).as_posix()
    return with_site_links(page.file.read_text(encoding="utf-8"), page.name, path, set(names))


def _toctrees(chapters: Sequence[Page], documents: Sequence[Page]) -> list[str]:
    captions = texts.captions()
    trees = [_toctree(captions["course"], [*(page.name for page in chapters), "gallery", PROGRESS])]
    if documents:
        how_to, reference = (_below(documents, f"{DOCUMENTS}/{folder}/") for folder in ("how-to", "reference"))
        for_readers, for_contributors = how_to_groups(how_to)
        grouped = {
            captions["how-to"]: for_readers,
            captions["reference"]: reference,
            captions["contribute"]: for_contributors,
        }
        listed = {name for names in grouped.values() for name in names}
        others = [page.name for page in documents if page.name not in listed and "/decisions/" not in page.name]
        trees += [_toctree(caption, names) for caption, names in grouped.items() if names]
        trees.append(_toctree(captions["background"], [*others, _DECISIONS]))
    return trees


def how_to_groups(pages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the how-to pages for readers and those for contributors, each in the order in which they are listed.

    >>> how_to_groups(["docs/how-to/add-an-action", "docs/how-to/scripts", "docs/how-to/own-rules"])
    (['docs/how-to/own-rules', 'docs/how-to/scripts'], ['docs/how-to/add-an-action'])
    """

    def place(page: str) -> int:
        order = (*FOR_READERS, *FOR_CONTRIBUTORS)
        name = PurePosixPath(page).name
        return order.index(name) if name in order else len(FOR_READERS)

    inside = [page for page in pages if PurePosixPath(page).name in FOR_CONTRIBUTORS]
    return sorted(set(pages) - set(inside), key=lambda page: (place(page), page)), sorted(inside, key=place)


def _below(pages: Sequence[Page], folder: str) -> list[str]:
    return [page.name for page in pages if page.name.startswith(folder)]


def _toctree(caption: str, names: Sequence[str]) -> str:
    options = f":caption: {caption}\n:hidden:\n" if caption else ""
    return "\n".join(["```{toctree}", f"{options}:maxdepth: 1", "", *(f"/{name}" for name in names), "```"])


def _page(title: str, parts: Sequence[str]) -> str:
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def _write(folder: Path, name: str, text: str) -> None:
    path = folder / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
