"""Every sentence in the code is marked for the catalogues, and none is translated when a module is imported."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT
from tests.locale.marked import Text, misfilled, misused, unmarked, words_of
from tests.locale.not_text import NOT_TEXT, WORDS_OF_OTHERS

PACKAGE = ROOT / "src" / "kanslib"
MODULES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
OF_OTHERS = [name for names in WORDS_OF_OTHERS.values() for name in names]
CATALOG = "exercises/catalog/"


@cache
def unmarked_in(name: str) -> list[Text]:
    """Return the sentences of a module that no catalogue can reach.

    An exercise itself is not among them: docs/make_catalogue.py asks it for its texts.
    """
    tree = MODULES[name]
    if name.startswith(CATALOG):
        tree = ast.Module([node for node in tree.body if isinstance(node, ast.FunctionDef)], [])
    return list(unmarked(tree))


def test_every_sentence_is_marked() -> None:
    left = [
        f"{name}:{text.lineno}: {words_of(text)!r}"
        for name in sorted(MODULES.keys() - OF_OTHERS)
        for text in unmarked_in(name)
        if not re.fullmatch(NOT_TEXT.get(name, "(?!)"), words_of(text), re.DOTALL)
    ]
    assert left == [], "write tr(…) around each, or say in tests/locale/not_text.py why it is no text"


def test_no_message_is_translated_at_import_and_none_is_an_f_string() -> None:
    assert [f"{name}:{call.lineno}" for name, tree in MODULES.items() for call in misused(tree)] == []


def test_placeholders_have_their_values() -> None:
    assert [f"{name}:{call.lineno}" for name, tree in MODULES.items() for call in misfilled(tree)] == []


@pytest.mark.parametrize(
    "code", ['tr("no {what}", why=1)', 'tr("no {what}", what=1, why=1)', 'tr_plural("{n} {a}", "{n} {a}", 3)']
)
def test_placeholder_without_a_value_is_found(code: str) -> None:
    assert len(list(misfilled(ast.parse(code)))) == 1


def test_exceptions_are_of_modules_that_need_them() -> None:
    assert [name for name in (*NOT_TEXT, *OF_OTHERS) if not unmarked_in(name)] == []
    assert set(NOT_TEXT) & set(OF_OTHERS) == set()


@pytest.mark.parametrize(
    "code",
    [
        'raise KanslibError(f"no chapter named {name}")', 'h.p["there is nothing"]', 'plain_table("what happened")',
        'Option(help="print the version")', 'text = "two words"', 'text = f"{name} is down"',
        'say("a", words="not yet")',
        'words = {"a": "is known"}', 'tr("see {why}", why="no such file")',
        'text = f"to {\'nobody here\' if x else y}"',
        "def f(why='nothing is left'): ...",
        'raise KanslibError(f"--vip {vip!r}: expected an address")', 'hint = f"recorded until {end} s; {limit}"',
        'text = f"{end}. Copy this line now"', 'text = f"{seconds:.0f} s observed"',
        'raise KanslibError("--mask with an address, --seconds with a number")',
    ],
)  # fmt: skip
def test_sentence_that_is_not_marked_is_found(code: str) -> None:
    assert list(unmarked(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        'raise KanslibError(tr("no chapter named {name}", name=name))', '"""A docstring with words."""',
        'text = "oneword"',
        're.compile("two words")', '_LOG.info("two words: %s", name)', 'x == "two words"', 'd["two words"]',
        "LOST = 'LOST SECONDS'", 'about(f"--dir {folder}")', 'rule = f"-A {chain} -p tcp -j ACCEPT"',
        'style = ".a b{color:red}"', 'tr_plural("{n} row", "{n} rows", 3)', 'text = f"{a}: {b}"', 'name: "two words"',
    ],
)  # fmt: skip
def test_what_is_marked_or_no_sentence_is_not_found(code: str) -> None:
    assert list(unmarked(ast.parse(code))) == []


@pytest.mark.parametrize("code", ['X = tr("a b")', 'def f(x=tr("a b")): ...', 'def f(): return tr(f"a {b}")'])
def test_misuse_is_found(code: str) -> None:
    assert len(list(misused(ast.parse(code)))) == 1


@pytest.mark.parametrize("code", ['X = tr_later("a b")', 'def f(): return tr("a b")', 'X = lambda: tr("a b")'])
def test_right_use_is_not_found(code: str) -> None:
    assert list(misused(ast.parse(code))) == []
