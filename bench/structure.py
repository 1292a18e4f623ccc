"""Count what makes a package easy or hard to take over: python bench/structure.py [FOLDER OF THE PACKAGE].

Prints public names of Lab, class names that stand twice, exceptions without Error, files that name an action's verb,
function-level imports, `Any` in annotations, circles of imports, public docstrings that are missing, and code lines
without docstrings, comments and blanks.
"""

from __future__ import annotations

import ast
import importlib
import io
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

VERBS = {"kill_node", "start_node", "cut_link", "mend_link", "link_down", "link_up", "start_router", "stop_router"}
VERBS |= {"route_client", "unroute_client", "add_squatter", "remove_squatter", "add_conflicting_host"}
VERBS |= {"remove_conflicting_host", "install_metallb"}


def code_lines(text: str) -> int:
    """Return the number of lines that hold code: no docstring, no comment alone, no blank."""
    docs = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            first = node.body[0]
            docs |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    held = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            held |= set(range(token.start[0], token.end[0] + (token.type != tokenize.ENDMARKER)))
    return len(held - docs)


def imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yield each imported module of the package, and whether it is imported inside a function."""
    typing_only = {
        id(inner) for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) for inner in ast.walk(node)
    }  # fmt: skip
    inside = {
        id(inner) for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for inner in ast.walk(node)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in typing_only:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module else []
            for name in names:
                yield name, id(node) in inside


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:  # noqa: C901 (Tarjan's algorithm)
    """Return the strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(one: str) -> None:
        index[one] = low[one] = len(index)
        stack.append(one)
        for other in arrows.get(one, ()):
            if other not in index:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], index[other])
        if low[one] == index[one]:
            part = []
            while True:
                part.append(stack.pop())
                if part[-1] == one:
                    break
            if len(part) > 1:
                found.append(sorted(part))

    for one in sorted(arrows):
        if one not in index:
            visit(one)
    return found


def main(package: Path) -> None:
    """Count and print."""
    texts = {path: path.read_text() for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    modules = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in texts
    }
    classes: Counter[str] = Counter()
    exceptions, bases = set[str](), defaultdict[str, set[str]](set)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes[node.name] += 1
                bases[node.name] |= {ast.unparse(base) for base in node.bases}
    known = {"Exception", "ValueError", "LookupError", "TimeoutError", "RuntimeError"}
    while more := {name for name, over in bases.items() if over & known} - known:
        known |= more
        exceptions |= more
    arrows: dict[str, set[str]] = {}
    inner = 0
    for name, path in modules.items():
        arrows[name] = set()
        for imported, is_inside in imports(trees[path]):
            inner += is_inside
            target = imported
            while target and target not in modules:
                target = target.rpartition(".")[0]
            if target and target != name and not name.startswith(target + "."):
                arrows[name].add(target)
    anys = sum(isinstance(node, ast.Name) and node.id == "Any" for tree in trees.values() for node in ast.walk(tree))
    verbs = [
        str(path.relative_to(package)) for path, tree in trees.items()
        if any(isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value in VERBS for n in ast.walk(tree))
    ]  # fmt: skip
    sys.path.insert(0, str(package.parent))
    lab = importlib.import_module("kanslib").Lab
    print("public names of Lab:", len([name for name in dir(lab) if not name.startswith("_")]))
    print("class names that stand twice:", sorted(n for n, c in classes.items() if c > 1))
    print("exceptions without Error:", sorted(n for n in exceptions if not n.endswith(("Error", "Warning"))))
    print("files with an action's verb as a string:", len(verbs), verbs)
    print("function-level imports:", inner)
    print("Any in annotations and code:", anys)
    print("circles of imports:", circles(arrows))
    print("code lines:", sum(map(code_lines, texts.values())), "in", len(texts), "files")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "src/kanslib").resolve())
