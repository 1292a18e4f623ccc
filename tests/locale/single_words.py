"""Find single words in the code that no catalogue can reach: literals of one English word outside of `tr`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.locale.marked import Text, function_name, is_silent, texts_with_parents, words_of

# one word, with signs and placeholders around it; ids have hyphens or underscores, names of columns are upper case
_WORD = re.compile(r"[^A-Za-z]*[A-Za-z]?[a-z]+(?:'s)?[^A-Za-z]*")
_CODE = re.compile(r"[_=/\\@%]|<.*>|^[.#-]|\.$|-$|^\W*kans|[a-z]\d|\d[a-z]|\w\(|\{\w")
# of these calls no argument is text: kinds of objects, files, programs, events, symbols; a backend and its moment
_TAKE_NAMES = re.compile(
    r"(^|\.)(objects|object|objects_of_kind|table|log|watch_events|watches|frames|open|Path|glob|rglob|which|find_spec|"
    r"float|decode|observe|pop|setdefault|add_class|remove_class|perform|attrgetter|show_notice|pip_install|option|"
    r"annotation|symbol|marker|PackageLoader|simplefilter|connect|add_config_value|register_namespace|getLogger|"
    r"Provenance|getaddrinfo|from_bytes|UnknownNameError|Role|ExpectedAnswer|open_lab|user_data_path|replace|"
    r"write_recording|endpoints_of|slices_of|to_dict|index|version|command)$"
)
_NAMES = {  # arguments of any call
    "encoding", "errors", "prefix", "backend", "story", "source", "requested", "rich_markup_mode", "overflow", "style",
    "kind", "targets", "inverse", "ends", "layer", "mode", "type", "rel", "loading_method", "hovermode", "kernel_name",
    "shutdown_kernel", "policy", "anchor",
}  # fmt: skip
_SHOWN = {"title", "aria_label", "alt", "placeholder"}  # attributes of HTML that a person reads or hears
_ANCHORED = {"text": 3}  # figure.text(x, y, words, anchor): arguments from here on are no words


def single_words(tree: ast.Module) -> Iterator[Text]:
    """Return each word of a module that stands alone and is neither marked nor a name, in the order of the code."""
    for node, parents in texts_with_parents(tree):
        bare = words_of(node).replace("{}", "")
        if (
            _WORD.fullmatch(bare)
            and sum(map(str.isalpha, bare)) > 1
            and not _CODE.search(bare)
            and not is_silent(node, parents)
            and not _is_name(node, parents)
        ):
            yield node


def keys_of_choices(tree: ast.Module) -> set[str]:
    """Return the keys of the choices of a module's exercises: an expected answer names them."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and function_name(node.func) == "Choice"]
    return {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}


def _is_name(node: Text, parents: tuple[ast.AST, ...]) -> bool:
    """Return whether a word is the name of something: where it stands says so."""
    parent = parents[-1]
    if isinstance(parent, ast.keyword):
        call = parents[-2]
        of_html = isinstance(call, ast.Call) and function_name(call.func).startswith("h.")
        return parent.arg not in _SHOWN if of_html else parent.arg in _NAMES
    if isinstance(parent, ast.BinOp):
        return isinstance(parent.op, ast.Div)  # a part of a path
    if isinstance(parent, ast.List) and len(parents) > 1 and isinstance(parents[-2], ast.Assign):
        return ast.unparse(parents[-2].targets[0]) == "__all__"
    if not isinstance(parent, ast.Call):
        return False
    name = function_name(parent.func)
    first = _ANCHORED.get(name, len(parent.args))
    return bool(_TAKE_NAMES.search(name)) or node in parent.args[first:]
