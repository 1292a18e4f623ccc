"""The command that installs an optional part of kanslib here: from this clone, or from the package index."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def pip_install(extra: str) -> str:
    """Return the command that installs kanslib with an extra (`lab`, `live`) into the Python that runs now.

    >>> pip_install("live").endswith("[live]'")
    True
    """
    clone = Path(__file__).resolve().parents[2]
    is_clone = (clone / "pyproject.toml").is_file()
    where = "." if clone == Path.cwd() else str(clone)
    wanted = ["-e", f"{where}[{extra}]"] if is_clone else [f"kanslib[{extra}]"]
    return shlex.join([sys.executable, "-m", "pip", "install", *wanted])
