"""The chapters that ship, and the learner's copy of them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kanslib import i18n
from kanslib._version import __version__
from kanslib.exceptions import KanslibError, UnknownNameError
from kanslib.i18n import tr

_PACKAGE = Path(__file__).parent.parent
STATE = ".kans.json"
LARGEST_FILE = 32 << 20  # bytes of a chapter, with the outputs of its cells

CopyStatus = Literal["new", "unchanged", "replaced", "yours kept", "new edition beside yours"]


@dataclass(frozen=True)
class CopyResult:
    """The result of updating the learner's copy of one chapter.

    `new_edition`: the file that was written beside an edited copy, if any.
    """

    chapter: Path
    status: CopyStatus
    new_edition: Path | None = None


def shipped(language: str = "") -> list[Path]:
    """Return the chapters in a language, in order: in that of the texts without one, and in English where it has none.

    Raises KanslibError where there are none in English either.
    """
    for name in (language or i18n.language(), i18n.ENGLISH):
        for home in (_PACKAGE / "notebooks", _PACKAGE.parent.parent / "notebooks"):
            if found := sorted((home / name).glob("*.ipynb")):
                return found
    raise KanslibError(tr("no chapters in {folder}: reinstall kanslib", folder=_PACKAGE))


def pick(names: Iterable[str], language: str = "") -> list[Path]:
    """Return the chapters of these names (`"03"`, `"arp"` or `"03-arp"`); all of them for no names.

    Raises UnknownNameError.
    """
    chapters = shipped(language)
    chosen = []
    for name in names:
        found = [chapter for chapter in chapters if name in (chapter.stem, *chapter.stem.split("-", 1))]
        if not found:
            raise UnknownNameError("chapter", name, [chapter.stem for chapter in chapters])
        chosen += found
    return chosen or chapters


def digest(notebook: Path) -> str:
    """Return the SHA-256 of a notebook's cell types and texts; outputs do not change it."""
    content = _read(notebook)
    try:
        cells = json.loads(content)["cells"]
        texts = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    except (ValueError, KeyError, TypeError, RecursionError):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def sync(directory: Path) -> list[CopyResult]:
    """Copy the chapters to `directory`, or update the copy there; chapters that the learner edited stay.

    All is written or nothing: on a full disk OSError is raised, and the directory is as it was.
    """
    is_new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return _sync_all(directory)
    except OSError:
        if is_new:
            directory.rmdir()
        raise


def _sync_all(directory: Path) -> list[CopyResult]:
    digests = _load_digests(directory)
    results = []
    with tempfile.TemporaryDirectory(dir=directory, prefix=".kans-") as temporary:
        staged = Path(temporary)
        for source in shipped():
            result, written = _plan_chapter(source, directory / source.name, digests.get(source.name, ""))
            if written:
                (staged / written.name).write_bytes(source.read_bytes())
            results.append(result)
            digests[source.name] = digest(source)
        (staged / STATE).write_text(json.dumps({"version": __version__, "chapters": digests}, indent=1))
        for file in sorted(staged.iterdir()):
            file.replace(directory / file.name)
    return results


def _load_digests(directory: Path) -> dict[str, str]:
    try:
        state: dict[str, Any] = json.loads(_read(directory / STATE))
        return {str(name): str(value) for name, value in state["chapters"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _read(path: Path) -> bytes:
    """Return a file of the learner's copy. KanslibError for what is no file, is huge, or may not be read."""
    if path.exists() and not path.is_file():
        raise KanslibError(
            tr("{path} is no regular file, expected a file of the course: name another place with --dir", path=path)
        )
    if path.exists() and path.stat().st_size > LARGEST_FILE:
        raise KanslibError(
            tr(
                "{path} has more than {largest_file:,} bytes, expected a file of the course: move it away",
                path=path,
                largest_file=LARGEST_FILE,
            )
        )
    try:
        return path.read_bytes()
    except PermissionError as exc:
        raise KanslibError(
            tr(
                "{path}: {strerror}; next step: check its permissions, or move it away",
                path=path,
                strerror=exc.strerror,
            )
        ) from None


def _plan_chapter(source: Path, target: Path, copied_digest: str) -> tuple[CopyResult, Path | None]:
    """Return the result for one chapter, and the file to write for it. `copied_digest`: of the edition copied last."""
    if not target.exists():
        return CopyResult(target, "new"), target
    shipped_digest, own_digest = digest(source), digest(target)
    if own_digest == shipped_digest:
        return CopyResult(target, "unchanged"), None
    if own_digest == copied_digest:
        return CopyResult(target, "replaced"), target
    if shipped_digest == copied_digest:
        return CopyResult(target, "yours kept"), None
    new_edition = target.with_name(f"{target.stem}.kanslib-{__version__}.ipynb")
    return CopyResult(target, "new edition beside yours", new_edition), new_edition


def version_notice(notebook: Path) -> str:
    """Return a notice when the notebook is older than the library; empty when it is not."""
    try:
        written_for = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["kanslib"]["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    if _number(written_for) >= _number(__version__):
        return ""
    return tr(
        "this notebook is the edition of kanslib {written_for}, the library is {version}: `kans lab` "
        "puts the new edition beside yours",
        written_for=written_for,
        version=__version__,
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in str(version).split(".") if part.isdigit())
