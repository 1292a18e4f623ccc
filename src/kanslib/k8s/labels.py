"""Check labels and label selectors as Kubernetes does, in its words. Pure.

k8s.io/apimachinery v0.30 pkg/util/validation and pkg/labels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_CHARACTERS = "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_NAME_PROBLEM = (
    f"must consist of {_CHARACTERS} "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_VALUE_PROBLEM = (
    f"a valid label must be an empty string or consist of {_CHARACTERS} "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_NAME})?')"
)
_SUBDOMAIN_PROBLEM = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LONGEST, _LONGEST_SUBDOMAIN = 63, 253  # characters


def key_problems(key: str) -> list[str]:
    """Return what is wrong with the key of a label (IsQualifiedName); empty for a valid one.

    >>> key_problems("example.com/rack"), key_problems("/rack")
    ([], ['prefix part must be non-empty'])
    """
    parts = key.split("/")
    if len(parts) > 2:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_NAME_PROBLEM} {optional}"]
    name, problems = parts[-1], list[str]()
    if len(parts) == 2:
        problems += [f"prefix part {one}" for one in _prefix_problems(parts[0])]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name.encode()) > _LONGEST:
        problems.append(f"name part must be no more than {_LONGEST} characters")
    if not re.fullmatch(_NAME, name):
        problems.append(f"name part {_NAME_PROBLEM}")
    return problems


def _prefix_problems(prefix: str) -> list[str]:
    if not prefix:
        return ["must be non-empty"]
    too_long = len(prefix.encode()) > _LONGEST_SUBDOMAIN
    problems = [f"must be no more than {_LONGEST_SUBDOMAIN} characters"] if too_long else []
    return problems if re.fullmatch(_SUBDOMAIN, prefix) else [*problems, _SUBDOMAIN_PROBLEM]


def value_problems(value: str) -> list[str]:
    """Return what is wrong with the value of a label (IsValidLabelValue); empty for a valid one."""
    problems = [f"must be no more than {_LONGEST} characters"] if len(value.encode()) > _LONGEST else []
    return problems if re.fullmatch(f"({_NAME})?", value) else [*problems, _VALUE_PROBLEM]


def selector_problem(selector: Mapping[str, Any]) -> str:
    """Return why Kubernetes does not accept a LabelSelector (LabelSelectorAsSelector); empty for a valid one.

    >>> selector_problem({"matchExpressions": [{"key": "rack", "operator": "Near"}]})
    '"Near" is not a valid label selector operator'
    """
    labels = sorted((selector.get("matchLabels") or {}).items())
    expressions = selector.get("matchExpressions") or []
    problems = chain(
        (_aggregate(_requirement_problems(key, [value])) for key, value in labels),
        (_expression_problem(one["key"], one["operator"], one.get("values") or []) for one in expressions),
    )
    return next(filter(None, problems), "")


def _expression_problem(key: str, operator: str, values: Sequence[str]) -> str:
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        return f"{_quoted(operator)} is not a valid label selector operator"
    rule = ""
    if operator in ("In", "NotIn") and not values:
        rule = "[]string(nil): for 'in', 'notin' operators, values set can't be empty"
    if operator in ("Exists", "DoesNotExist") and values:
        rule = f"[]string{{{', '.join(map(_quoted, values))}}}: values set must be empty for exists and does not exist"
    return _aggregate(_requirement_problems(key, values, [f"values: Invalid value: {rule}"] if rule else []))


def _requirement_problems(key: str, values: Sequence[str], of_operator: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with a key, its operator and its values, in this order."""
    found = key_problems(key)
    of_key = [f"key: Invalid value: {_quoted(key)}: {'; '.join(found)}"] if found else []
    of_values = [
        f"values[{place}][{key}]: Invalid value: {_quoted(value)}: {'; '.join(problems)}"
        for place, value in enumerate(values)
        if (problems := value_problems(value))
    ]
    return [*of_key, *of_operator, *of_values]


def _aggregate(problems: Iterable[str]) -> str:
    """Return several errors as one text (utilerrors.Aggregate)."""
    distinct = list(dict.fromkeys(problems))
    return f"[{', '.join(distinct)}]" if len(distinct) > 1 else "".join(distinct)


def _quoted(text: str) -> str:
    """Return a string as Go prints it with `%q`."""
    return json.dumps(text, ensure_ascii=False)
