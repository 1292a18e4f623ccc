"""Every single word that a person reads is marked for the catalogues, as the sentences are."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.locale.marked import Text, words_of
from tests.locale.single_words import keys_of_choices, single_words
from tests.locale.test_marked import CATALOG, MODULES, OF_OTHERS
from tests.locale.values import FOR_TRANSLATORS, KUBERNETES, MARKUP, PROGRAMS, ROOMS, VALUES

LISTS = {"Kubernetes": KUBERNETES, "programs": PROGRAMS, "values": VALUES, "markup": MARKUP, "notes": FOR_TRANSLATORS}
READ = sorted(name for name in MODULES.keys() - OF_OTHERS if name.startswith(ROOMS))


def letters(text: Text) -> str:
    return re.sub(r"[^A-Za-z]", "", words_of(text).replace("{}", ""))


@cache
def found_in(name: str) -> list[Text]:
    """Return the single words of a module that no catalogue has; the keys of choices are none."""
    tree = MODULES[name]
    if not name.startswith(CATALOG):
        return list(single_words(tree))
    functions = ast.Module([node for node in tree.body if isinstance(node, ast.FunctionDef)], [])
    return [text for text in single_words(functions) if words_of(text) not in keys_of_choices(tree)]


def test_every_single_word_is_marked() -> None:
    known = {name: {word for one in LISTS.values() for word in one.get(name, "").split()} for name in READ}
    left = [
        f"{name}:{text.lineno}: {words_of(text)!r}"
        for name in READ
        for text in found_in(name)
        if letters(text) not in known[name]
    ]
    assert left == [], "write tr(…) around each, or say in tests/locale/values.py why it is no text"


def test_values_are_those_of_their_modules() -> None:
    found = {name: set(map(letters, found_in(name))) for name in READ}
    stale = {
        (why, name): gone
        for why, table in LISTS.items()
        for name, words in table.items()
        if (gone := set(words.split()) - found.get(name, set()))
    }
    assert stale == {}


@pytest.mark.parametrize(
    "code",
    [
        'h.b["leader"]', 'role = "worker" if x else "leader"', 'name or "nobody"', 'text(x, y, "follower")',
        'Button(description="◀ before")', 'h.div(aria_label="addresses")', 'print("stories: " + names)',
        'row = {"FOUND": "both"}', 'return f"{words} (simulated)"', 'lines = [f"recorded · {name}"]',
        '_Table("Phases", columns)', 'prompt = "query> "', 'for good, word in ((True, "answered"),): ...',
        'def f(where="nowhere"): ...', 'tr("{n} at {where}", where="once")',
    ],
)  # fmt: skip
def test_single_word_that_is_not_marked_is_found(code: str) -> None:
    assert len(list(single_words(ast.parse(code)))) >= 1


@pytest.mark.parametrize(
    "code",
    [
        'h.b[tr("leader")]', 'tr_later("leader")', 'h.div(".kans-map", role="note")', 'text(x, y, words, "end")',
        'lab.objects("pods")', 'path / "site"', 'open(file, encoding="utf-8")', '__all__ = ["Frame"]', 'x == "leader"',
        'd["leader"]', '{"leader": x}', 'kind: Literal["one", "two"]', 'columns = ("LEADER", "AT")', '"kill-node"',
        'f"{a} {b}"', '"a"', '"lab.map()"', '"--out"', '".kans-map"', 'raise UnknownNameError("node", name, known)',
    ],
)  # fmt: skip
def test_what_is_marked_or_a_name_is_not_found(code: str) -> None:
    assert list(single_words(ast.parse(code))) == []
