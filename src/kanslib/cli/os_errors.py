"""Errors of the operating system in words: the file, what is wrong with it, and the next step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kanslib.exceptions import KanslibError
from kanslib.i18n import tr, tr_later

_NEXT_STEPS = {
    errno.ENOENT: tr_later("check the name"),
    errno.EISDIR: tr_later("name a file, not a directory"),
    errno.ENOTDIR: tr_later("a part of this path is a file; name a directory there"),
    errno.EEXIST: tr_later("choose another name, or remove it first"),
    errno.EACCES: tr_later("check its permissions, or choose another place"),
    errno.EPERM: tr_later("check its permissions, or choose another place"),
    errno.EROFS: tr_later("choose another place"),
    errno.ENOSPC: tr_later("free some space there, or choose another place"),
    errno.EDQUOT: tr_later("free some space there, or choose another place"),
    errno.EFBIG: tr_later("raise the limit of file sizes (ulimit -f), or choose another place"),
    errno.ENAMETOOLONG: tr_later("choose a shorter name"),
    errno.EMFILE: tr_later("raise the limit of open files (ulimit -n)"),
}
_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def describe(error: OSError, name: object = None) -> str:
    """Return the error in one line. `name`: what it is about, where the error itself does not know it.

    >>> describe(FileNotFoundError(errno.ENOENT, "No such file or directory", "x.pcap"))
    'x.pcap: No such file or directory; next step: check the name'
    """
    about = name or _file_of(error)
    problem = error.strerror or str(error) or type(error).__name__
    step = _NEXT_STEPS.get(error.errno or 0)
    words = tr("{problem}; next step: {step}", problem=problem, step=tr(step)) if step else problem
    return f"{about}: {words}" if about else words


def _file_of(error: OSError) -> str:
    """Return the file that an error is about; empty where it is about none. Python names no file that is open."""
    if isinstance(error.filename, str | bytes):
        return os.fsdecode(error.filename)
    return tr("standard output or a temporary file") if error.errno in _WRITE_ERRORS else ""


@contextmanager
def about(name: object) -> Iterator[None]:
    """Raise KanslibError that names `name` when the operating system refuses something in the block."""
    try:
        yield
    except OSError as error:
        raise KanslibError(describe(error, name)) from None
