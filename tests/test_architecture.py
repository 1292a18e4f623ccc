"""docs/architecture.md names every module of the package, with the first sentence of its docstring, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "kanslib"
PAGE = ROOT / "docs" / "architecture.md"
ROW = re.compile(r"^\| `([\w/]+\.py)` \| (.*) \|$", re.MULTILINE)


def modules() -> dict[str, str]:
    """Return the first paragraph of each module's docstring by its path below the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        words = ast.get_docstring(ast.parse(path.read_text())) or ""
        if path.name not in ("__init__.py", "__main__.py", "_version.py"):
            found[path.relative_to(PACKAGE).as_posix()] = words.partition("\n\n")[0].replace("\n", " ")
    return found


def test_architecture_lists_every_module_in_its_own_words() -> None:
    wanted = modules()
    assert len(wanted) > 100
    missing = "\n".join(
        f"| `{path}` | {words} |" for path, words in wanted.items() if path not in ROW.findall(PAGE.read_text())
    )
    assert dict(ROW.findall(PAGE.read_text())) == wanted, f"rows of docs/architecture.md should be:\n{missing}"


def test_architecture_links_exist() -> None:
    links = re.findall(r"\]\(([\w./-]+)\)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
