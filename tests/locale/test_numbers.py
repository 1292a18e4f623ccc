"""Numbers, lists and numbers of things are written as the language writes them, and no placeholder hides a noun."""

from __future__ import annotations

import ast
import re

import pytest
from babel.messages.catalog import Catalog

from tests.locale.gates import forms
from tests.locale.numbers import lists_in_english, numbers_in_english
from tests.locale.test_marked import MODULES, OF_OTHERS
from tests.locale.values import ROOMS

READ = sorted(name for name in MODULES.keys() - OF_OTHERS if name.startswith(ROOMS))
# lengths in drawings and styles, names of files, attributes of forms, and cells that code reads as numbers
MEASURES = (
    "backends/live.py", "render/election_diagram.py", "render/figure/", "render/iptables_tables.py",
    "render/leadership_timeline.py", "render/map_drawing.py", "render/progress.py", "render/tables.py",
    "render/time_machine.py", "site/",
)  # fmt: skip
CODE = {  # lists that are code: rules, calls, arguments; and the English that outcomes are compared by
    "exercises/catalog/ch04_iptables.py": 1, "exercises/exercise.py": 1, "exercises/misconceptions.py": 1,
    "exercises/session.py": 1, "lab/queries.py": 1,
}  # fmt: skip
THINGS = (
    "addresses cases cells chains chapters differences dumps endpoints entries events exercises files forms frames "
    "hits instances lines machines members messages moments more nodes objects packets pages parts paths peers Pods "
    "pods probes questions reads requests routes rows rules sections Services services stories stragglers times ways "
    "watches"
).replace(" ", "|")
# a number of things, whose noun has one form for 1 in English, and up to six in other languages
_COUNTED = re.compile(
    rf"(?<!at most )(?<!more than )(?<!fewer than )\{{\w+(?::[^{{}}]*)?\}} (?:other |more )?(?:{THINGS})\b"
)
# how these begin: limits and changes of counters, and numbers of what is always several
SEVERAL = (
    "{failed} stragglers",  # a template of labels: its number is a text
    "{number} dumps of IPv",
    "each of the {sent:,} requests",
    "{counted}: {packets:+,} packets",
    "{packed:,} bytes hold {frames:,} frames",
    "{path}: expected a log of at most",
    "{number:,} files, expected at most",
)


def test_numbers_are_written_as_the_language_does() -> None:
    left = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name in READ
        if not name.startswith(MEASURES)
        for node in numbers_in_english(MODULES[name])
    ]
    assert left == [], "write i18n.numeral(…), or give the number to tr"


def test_lists_are_written_as_the_language_does() -> None:
    found = {name: count for name in READ if (count := len(list(lists_in_english(MODULES[name]))))}
    assert found == CODE, "write i18n.listed, parted, all_of or any_of"


def test_numbers_of_things_have_the_forms_of_the_language(template: Catalog) -> None:
    single = [message.id for message in template if isinstance(message.id, str)]
    counted = [text for text in single if _COUNTED.search(text)]
    assert [text for text in counted if not text.startswith(SEVERAL)] == [], "write tr_plural"
    assert [text for text in SEVERAL if not any(one.startswith(text) for one in counted)] == []


def test_forms_of_a_number_are_a_message_each(template: Catalog) -> None:
    several = [forms(message.id) for message in template if not isinstance(message.id, str)]
    assert [pair for pair in several if len(pair) != 2 or "{n" not in pair[1]] == []


@pytest.mark.parametrize(
    "code",
    [
        'f"{x:.1f} s"',
        'f"{n:,} rows"',
        'f"{share:.1%}"',
        'f"{x:g}"',
        'f"{x:.{places}f}"',
        'lines = [f"{at:+8.1f} s {what}"]',
    ],
)
def test_number_in_english_is_found(code: str) -> None:
    assert len(list(numbers_in_english(ast.parse(code)))) == 1


@pytest.mark.parametrize("code", ['tr("{x:.1f} s", x=x)', 'f"{x:.0f} s"', 'f"{name:<8}"', 'f"{numeral(x, form)} s"'])
def test_other_number_is_not_found(code: str) -> None:
    assert list(numbers_in_english(ast.parse(code))) == []


@pytest.mark.parametrize("code", ['", ".join(a)', '"; ".join(map(str, a))', '" and ".join(a)', '" or ".join(a)'])
def test_list_in_english_is_found(code: str) -> None:
    assert len(list(lists_in_english(ast.parse(code)))) == 1


@pytest.mark.parametrize("text", ["{n} rows", "and {number:,} more", "{count} other frames", "in {n} of {m} cases"])
def test_number_of_things_is_found(text: str) -> None:
    assert _COUNTED.search(text)


@pytest.mark.parametrize("text", ["at most {n:,} lines", "{n} s", "Sections found: {count}", "{name} rules it out"])
def test_other_placeholder_is_not_found(text: str) -> None:
    assert not _COUNTED.search(text) or "rules it" in text
