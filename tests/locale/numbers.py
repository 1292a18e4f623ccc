"""Find numbers and lists that are written in the English way, whatever the language is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.locale.marked import is_silent, texts_with_parents

_DECIMAL = re.compile(r"\.([1-9]\d*|\{.*\})[efg%]|,|^g$")  # the form of a number that may have a mark
_BETWEEN = (", ", "; ", " and ", " or ")


def numbers_in_english(tree: ast.Module) -> Iterator[ast.JoinedStr]:
    """Return each f-string that formats a number with a decimal mark; `tr` and `i18n.number` use the language's."""
    for node, parents in texts_with_parents(tree):
        if isinstance(node, ast.JoinedStr) and not is_silent(node, parents) and any(map(_is_decimal, node.values)):
            yield node


def lists_in_english(tree: ast.Module) -> Iterator[ast.Call]:
    """Return each `", ".join(…)`; `i18n.listed`, `parted`, `all_of` and `any_of` put the language's words between."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            between = node.func.value
            if isinstance(between, ast.Constant) and between.value in _BETWEEN:
                yield node


def _is_decimal(part: ast.expr) -> bool:
    form = part.format_spec if isinstance(part, ast.FormattedValue) else None
    return isinstance(form, ast.JoinedStr) and bool(_DECIMAL.search(ast.unparse(form)[2:-1]))
