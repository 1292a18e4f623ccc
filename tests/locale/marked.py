"""Find sentences in the code that no catalogue can reach: literals and f-strings of several words outside of `tr`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from string import Formatter

MARKS = {"tr": 1, "tr_later": 1, "tr_plural": 2}  # how many of its arguments are messages
# two words, or a word beside a placeholder
_SENTENCE = re.compile(
    r"[A-Za-z]{2,}[,:;.”’)]?\s[A-Za-z{“(]|\}[,:;.”’)]?\s[A-Za-z]{2,}|\}\s[A-Za-z] [a-z]{2,}|\ban? [a-z]{2,}"
)
_VERBS = re.compile(r"\{([^{}|]*)\|[^{}|]*\}")  # of a question: "{is|is not}"
_PLACEHOLDER = re.compile(r"\{\w*(?:![rs])?(?::[^{}]*)?\}")
_CODE = re.compile(
    r"^\s*([.#@<]\S|\{)|[;}{]\n*$|[a-z-]+:[^ ;]+;|\\[dwsbSW.]|\(\?|/\*|^[a-z]+ -|"
    r"^--?[\w-]+ *$|^-[A-Z] |=\""
)
# of these calls no argument is shown to a person: patterns, logs, programs, comparisons, names of types
_SILENT = re.compile(
    r"(^|\.)(compile|search|match|fullmatch|sub|findall|finditer|split|startswith|endswith|removeprefix|removesuffix|"
    r"partition|rpartition|debug|info|warning|TypeVar|getattr|hasattr|get|cast|run|run_script|exec_in|docker|"
    r"kubectl|check_output|Popen|NewType|dataclass|TypeError|AssertionError|AttributeError|NotImplementedError)$"
)
Text = ast.Constant | ast.JoinedStr


def unmarked(tree: ast.Module) -> Iterator[Text]:
    """Return each sentence of a module that is neither marked nor silent, in the order of the code."""
    for node, parents in texts_with_parents(tree):
        words = _VERBS.sub(r"\1", words_of(node))
        bare = _PLACEHOLDER.sub("", words)
        is_text = _SENTENCE.search(words) and not _CODE.search(bare) and bare != bare.upper()  # names of columns
        if is_text and not is_silent(node, parents):
            yield node


def misused(tree: ast.Module) -> Iterator[ast.Call]:
    """Return each call of `tr` that translates when the module is imported, and each with an f-string for a message."""
    for call, inside in _calls(tree, False):
        parts = call.args[: MARKS[getattr(call.func, "id", "tr")]]
        if any(isinstance(part, ast.JoinedStr) for part in parts) or not (
            inside or function_name(call.func) == "tr_later"
        ):
            yield call


def misfilled(tree: ast.Module) -> Iterator[ast.Call]:
    """Return each call of `tr` and `tr_plural` whose values are not those of the placeholders of its messages."""
    for call, _ in _calls(tree, False):
        parts = [one.value for one in call.args[: MARKS[function_name(call.func)]] if isinstance(one, ast.Constant)]
        given = {one.arg for one in call.keywords}
        if (
            parts
            and function_name(call.func) != "tr_later"
            and None not in given
            and (given or function_name(call.func) != "tr")
        ):
            wanted = {name for part in parts for _, name, _, _ in Formatter().parse(str(part)) if name is not None}
            if wanted - {"n"} != given - {"n"} or ("n" in wanted) > (
                "n" in given or function_name(call.func) == "tr_plural"
            ):
                yield call


def words_of(node: Text) -> str:
    """Return the text of a literal; of an f-string with `{}` for each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def texts_with_parents(tree: ast.Module) -> Iterator[tuple[Text, tuple[ast.AST, ...]]]:
    """Return each literal and f-string of a module that is not marked, with what it stands in."""
    return _texts(tree, ())


def _texts(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[tuple[Text, tuple[ast.AST, ...]]]:
    """Return the literals and f-strings below a node, with what they stand in; docstrings and annotations have none."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node, parents
        values = [part.value for part in getattr(node, "values", ()) if isinstance(part, ast.FormattedValue)]
        for value in values:
            yield from _texts(value, (*parents, node))
        return
    if isinstance(node, ast.Call) and function_name(node.func) in MARKS:
        for part in (*node.args[MARKS[function_name(node.func)] :], *node.keywords):
            yield from _texts(part, (*parents, node))
        return
    skipped = {id(one) for one in (getattr(node, "annotation", None), getattr(node, "returns", None)) if one}
    body = getattr(node, "body", None)
    if isinstance(body, list):
        skipped |= {id(one) for one in body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)}
    for child in ast.iter_child_nodes(node):
        if id(child) not in skipped:
            yield from _texts(child, (*parents, node))


def is_silent(node: ast.AST, parents: tuple[ast.AST, ...]) -> bool:
    """Return whether a person does not see a text: a pattern, a log record, a key, one side of a comparison."""
    parent = parents[-1]
    if isinstance(parent, ast.Compare) or (isinstance(parent, ast.Dict) and node in parent.keys):
        return True
    if isinstance(parent, ast.Subscript):  # a key, or a child of an element of htpy
        return not re.match(r"h\.", ast.unparse(parent.value))
    if isinstance(parent, ast.keyword):
        parent = parents[-2]
    return isinstance(parent, ast.Call) and bool(_SILENT.search(function_name(parent.func)))


def function_name(function: ast.expr) -> str:
    """Return the name of what is called, with its dots; empty for what has none."""
    return ast.unparse(function) if isinstance(function, ast.Name | ast.Attribute) else ""


def _calls(node: ast.AST, inside: bool) -> Iterator[tuple[ast.Call, bool]]:
    """Return the calls of `tr` and its like below a node, and whether each is in the body of a function."""
    if isinstance(node, ast.Call) and function_name(node.func) in MARKS:
        yield node, inside
    for field, value in ast.iter_fields(node):
        in_body = inside or (field == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _calls(child, in_body)
