"""Labels and label selectors that Kubernetes does not accept, in its words."""

from __future__ import annotations

import pytest

from kanslib.k8s.labels import key_problems, selector_problem, value_problems


@pytest.mark.parametrize("key", ["rack", "example.com/rack", "a.b_C-1", "x" * 63])
def test_key_problems_none(key: str) -> None:
    assert key_problems(key) == []


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "name part must be non-empty"),
        ("x" * 64, "name part must be no more than 63 characters"),
        ("-a", "name part must consist of alphanumeric characters"),
        ("A.com/b", "prefix part a lowercase RFC 1123 subdomain must consist of"),
        ("a/b/c", "a qualified name must consist of"),
    ],
)
def test_key_problems_words(key: str, words: str) -> None:
    assert any(one.startswith(words) for one in key_problems(key))


def test_value_problems_may_be_empty_but_not_spaced() -> None:
    assert value_problems("") == []
    assert value_problems("a b")[0].startswith("a valid label must be an empty string or consist of")


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"matchLabels": {"rack": "1"}}, ""),
        ({"matchExpressions": [{"key": "rack", "operator": "In"}]}, "values set can't be empty"),
        ({"matchExpressions": [{"key": "rack", "operator": "Exists", "values": ["1"]}]}, "values set must be empty"),
        (
            {"matchExpressions": [{"key": "rack", "operator": "Gt", "values": ["1"]}]},
            '"Gt" is not a valid label selector',
        ),
        ({"matchExpressions": [{"key": "a b", "operator": "In", "values": ["c d"]}]}, "[key: Invalid value"),
    ],
)
def test_selector_problem_words(selector: dict[str, object], words: str) -> None:
    problem = selector_problem(selector)
    assert words in problem
    assert bool(problem) == bool(words)
