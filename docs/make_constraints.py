"""Pin every package of the Binder: `python docs/make_constraints.py LOCK` writes binder/constraints.txt. It needs uv.

LOCK: the environment that repo2docker begins with, conda-forge's packages by address, one a line: in its repository
repo2docker/buildpacks/conda/environment.py-3.12-linux-64.lock. What that environment already has keeps its version, so
that Binder does not install JupyterLab a second time; all else gets the newest version that pyproject.toml allows.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "binder" / "constraints.txt"
HEAD = """\
# Made by docs/make_constraints.py: every package of the Binder, at the version that repo2docker's own environment has,
# else at the newest one. Do not edit; run it again.
"""
_PACKAGE = re.compile(r"^https://.*/([a-z0-9][^/]*)-([^-/]+)-[^-/]+\.(?:conda|tar\.bz2)", re.MULTILINE)

_ON_PYPI = {"nbconvert-core": "nbconvert", "python-fastjsonschema": "fastjsonschema", "python-tzdata": "tzdata"}
_NO_PYTHON = {"tzdata"}  # files of the operating system


def installed_by_conda(lock: str) -> Iterator[str]:
    """Yield what a lock of conda installs, as pip's constraints; names that only conda knows do no harm."""
    for name, version in _PACKAGE.findall(lock):
        if name not in _NO_PYTHON and _is_version(version):
            yield f"{_ON_PYPI.get(name, name)}=={version}"


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def constraints(lock: str) -> str:
    """Return the pins of kanslib with the extra `lab` on Python 3.12 and Linux, one a line."""
    python = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as base:
        base.write("\n".join(installed_by_conda(lock)))
        base.flush()
        command = [
            "uv", "pip", "compile", "pyproject.toml", "--extra", "lab", "--constraint", base.name, "--quiet",
            "--python-version", python, "--python-platform", "linux", "--no-header", "--no-annotate",
        ]  # fmt: skip
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    CONSTRAINTS.write_text(HEAD + constraints(Path(sys.argv[1]).read_text(encoding="utf-8")))
