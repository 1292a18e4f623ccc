"""The website of the course, built once for all tests that open it: from the wheel alone, without a network."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# a network of its own that has nothing but `lo`, over which kernels are asked
_ALONE = ["unshare", "-n" if os.geteuid() == 0 else "-Urn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
_PYTHON = [sys.executable, "-P"]  # nothing is imported from the current folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `kans site` writes. Workers share it: the first one builds it, and the others wait."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    out = shared / "empty" / "site"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            build_from_wheel(shared / "wheel", out)
    return out


def build_from_wheel(folder: Path, out: Path) -> None:
    """Build the wheel, install it into `folder`, and let it write the site `out` in a folder that is empty."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    out.parent.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(folder / "installed"), "HOME": str(out.parent)}

    def run(*words: str, before: list[str] | None = None) -> str:
        ran = subprocess.run(
            [*(before or []), *_PYTHON, *words],
            check=True, cwd=out.parent, env=environment, stdout=subprocess.PIPE, text=True, timeout=900,
        )  # fmt: skip
        return ran.stdout

    assert run("-c", "import kanslib; print(kanslib.__file__)").startswith(str(folder))
    run("-m", "kanslib", "site", "--out", out.name, before=_ALONE)
