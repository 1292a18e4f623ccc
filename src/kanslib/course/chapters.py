"""The chapters that ship, and a learner's own copy of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kanslib._version import __version__
from kanslib.exceptions import KanslibError, UnknownNameError

_PACKAGE = Path(__file__).parent.parent
STATE = ".kans.json"

CopyStatus = Literal["new", "unchanged", "replaced", "yours kept", "new edition beside yours"]


@dataclass(frozen=True)
class CopyResult:
    """What became of one chapter when the learner's copy was brought up to date."""

    chapter: Path
    status: CopyStatus
    new_edition: Path | None = None


def shipped(language: str = "en") -> list[Path]:
    """The chapters of the course in a language, in order."""
    for home in (_PACKAGE / "notebooks", _PACKAGE.parent.parent / "notebooks"):
        found = sorted((home / language).glob("*.ipynb"))
        if found:
            return found
    raise KanslibError(f"no chapters in {language!r} beside {_PACKAGE}: reinstall kanslib")


def pick(names: Iterable[str], language: str = "en") -> list[Path]:
    """The chapters that `names` mean (`"03"`, `"arp"`, `"03-arp"`), all of them for none."""
    chapters = shipped(language)
    chosen = []
    for name in names:
        found = [chapter for chapter in chapters if name in (chapter.stem, *chapter.stem.split("-", 1))]
        if not found:
            raise UnknownNameError("chapter", name, [chapter.stem for chapter in chapters])
        chosen += found
    return chosen or chapters


def digest(notebook: Path) -> str:
    """What tells whether somebody edited a notebook: its cells' kinds and texts. Outputs do not count."""
    try:
        cells = json.loads(notebook.read_text())["cells"]
        told = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    except (ValueError, KeyError, TypeError):
        return hashlib.sha256(notebook.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def sync(directory: Path) -> list[CopyResult]:
    """Copy the chapters to `directory`, or bring the copy there up to date without touching a learner's edits."""
    directory.mkdir(parents=True, exist_ok=True)
    state = _load_digests(directory)
    fates = []
    for source in shipped():
        target = directory / source.name
        fates.append(_sync_chapter(source, target, state.get(source.name, "")))
        state[source.name] = digest(source)
    (directory / STATE).write_text(json.dumps({"version": __version__, "chapters": state}, indent=1))
    return fates


def _load_digests(directory: Path) -> dict[str, str]:
    try:
        state: dict[str, Any] = json.loads((directory / STATE).read_text())
        return {str(name): str(value) for name, value in state["chapters"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _sync_chapter(source: Path, target: Path, copied_digest: str) -> CopyResult:
    """`given`: the digest of the edition that was copied last."""
    if not target.exists():
        target.write_bytes(source.read_bytes())
        return CopyResult(target, "new")
    edition, yours = digest(source), digest(target)
    if yours == edition:
        return CopyResult(target, "unchanged")
    if yours == copied_digest:
        target.write_bytes(source.read_bytes())
        return CopyResult(target, "replaced")
    if edition == copied_digest:
        return CopyResult(target, "yours kept")
    beside = target.with_name(f"{target.stem}.kanslib-{__version__}.ipynb")
    beside.write_bytes(source.read_bytes())
    return CopyResult(target, "new edition beside yours", beside)


def version_notice(notebook: Path) -> str:
    """What a learner should know when their notebook is older than the library; empty when it is not."""
    try:
        written_for = json.loads(notebook.read_text())["metadata"]["kanslib"]["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if _number(written_for) >= _number(__version__):
        return ""
    return (
        f"this notebook is the edition of kanslib {written_for}, the library is {__version__}: "
        "`kans lab` puts the new edition beside yours"
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in str(version).split(".") if part.isdigit())
