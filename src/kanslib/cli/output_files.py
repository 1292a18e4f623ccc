"""Write the file that an option names: its place is checked before the work, and the file is whole or not there."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from kanslib.cli.os_errors import about
from kanslib.exceptions import KanslibError
from kanslib.i18n import tr


def check_output_file(option: str, path: Path) -> None:
    """Raise KanslibError where a file `path` cannot be written. Changes nothing."""
    if path.is_dir():
        raise KanslibError(
            tr("{option} {path}: this is a directory; next step: name a file in it", option=option, path=path)
        )
    if _is_device(path):
        return
    if not path.parent.exists():
        folder = shlex.quote(str(path.parent))
        raise KanslibError(
            tr(
                "{option} {path}: there is no directory {parent}; next step: mkdir -p {folder}",
                option=option,
                path=path,
                parent=path.parent,
                folder=folder,
            )
        )
    _check_folder(option, path, path.parent)


def check_new_output(option: str, path: Path) -> None:
    """Raise KanslibError where `path`, a new file or folder, cannot be made, also with folders above it."""
    if path.exists() or path.is_symlink():
        raise KanslibError(
            tr(
                "{option} {path} exists already; next step: choose another name, or remove it first",
                option=option,
                path=path,
            )
        )
    _check_folder(option, path, next(folder for folder in path.absolute().parents if folder.exists()))


def write_output_file(option: str, path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all. KanslibError when it cannot be written."""
    with about(f"{option} {path}"):
        if _is_device(path):
            path.write_text(text, encoding="utf-8", errors="replace")
            return
        path = path.resolve()
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".kans-") as folder:
            whole = Path(folder, "whole")
            whole.write_text(text, encoding="utf-8", errors="replace")
            whole.replace(path)


def _is_device(path: Path) -> bool:
    """Return whether a path is a pipe or a device, such as /dev/stdout: it is written in place."""
    return path.exists() and not path.is_file()


def _check_folder(option: str, path: Path, folder: Path) -> None:
    with about(f"{option} {path}"), tempfile.TemporaryFile(dir=folder):  # also root cannot write everywhere
        pass
