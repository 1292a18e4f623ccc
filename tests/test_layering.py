"""Arrows go down only (CONTRIBUTING.md, the map of the house)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "kanslib"
HEAVY = {"kubernetes", "scapy", "pandas", "plotly", "ipywidgets", "IPython", "numpy"}
# each room, and the rooms it must not know
FORBIDDEN = {
    "packets": {"recording", "worlds", "views", "lab", "cli", "models", "iptables", "stories", "timeline"},
    "iptables": {"recording", "worlds", "views", "lab", "cli", "models", "packets", "stories", "timeline"},
    "models": {"recording", "worlds", "twin", "views", "lab", "cli", "stories", "timeline"},
    "twin": {"worlds", "cluster", "views", "lab", "cli", "stories", "timeline"},
    "objects.py": {"recording", "worlds", "cluster", "course", "views", "lab", "cli", "models", "twin", "timeline"},
    "recording": {"worlds", "cluster", "course", "views", "lab", "cli", "models", "timeline"},
    "course.py": {"worlds", "cluster", "views", "lab", "cli"},
    "addressing.py": {"worlds", "cluster", "course", "recording", "views", "lab", "cli"},
    "cluster": {"worlds", "views", "lab", "cli"},
    "teach": {"worlds", "cluster", "views", "lab", "cli", "recording", "stories"},
    "worlds": {"views", "teach", "lab", "cli"},
    "views": {"worlds", "cluster", "lab", "cli", "stories"},
    "timeline": {"worlds", "views", "lab", "cli", "stories"},
}
# what a file may import all the same: columns are numpy's; scapy gets a frame, and a form is made, only when asked
ALLOWED = {
    "packets/table.py": {"numpy"},
    "packets/capture.py": {"scapy"},
    "teach/widgets.py": {"ipywidgets", "IPython"},
}
PURE = (
    "models",
    "teach",
    "twin",
    "objects.py",
    "packets",
    "iptables",
    "timeline",
    "recording",
    "course.py",
    "addressing.py",
)


def files(room: str) -> list[Path]:
    return [PACKAGE / room] if room.endswith(".py") else sorted((PACKAGE / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_go_down_only(room: str) -> None:
    for path in files(room):
        known = {name.split(".")[1] for name in imported(path) if name.startswith("kanslib.")}
        assert not known & FORBIDDEN[room], f"{path.relative_to(PACKAGE)} imports {known & FORBIDDEN[room]}"


@pytest.mark.parametrize("room", PURE)
def test_pure_packages_import_nothing_heavy(room: str) -> None:
    for path in files(room):
        heavy = {name.split(".")[0] for name in imported(path)} & HEAVY
        heavy -= ALLOWED.get(path.relative_to(PACKAGE).as_posix(), set())
        assert not heavy, f"{path.relative_to(PACKAGE)} imports {heavy}"


def test_packages_named_here_exist() -> None:
    assert all(files(room) for room in FORBIDDEN)


def in_a_fresh_python(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_import_kanslib_loads_nothing_heavy() -> None:
    names = sorted({*HEAVY, "yaml", "rich", "typer"})
    code = f"import sys; import kanslib; print([name for name in {names!r} if name in sys.modules])"
    assert in_a_fresh_python(code) == "[]"


def test_import_kanslib_takes_a_tenth_of_a_second_at_most() -> None:
    code = "import time; t = time.perf_counter(); import kanslib; print(time.perf_counter() - t)"
    assert min(float(in_a_fresh_python(code)) for _ in range(3)) < 0.1


def test_opening_the_recording_takes_a_fifth_of_a_second_at_most() -> None:
    code = (
        "import time; import kanslib, kanslib.course.recordings, kanslib.backends.recorded; t = time.perf_counter();"
        "kanslib.open_lab(story='failover'); print(time.perf_counter() - t)"
    )
    assert min(float(in_a_fresh_python(code).splitlines()[-1]) for _ in range(3)) < 0.2
