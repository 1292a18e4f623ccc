"""Check the lists and label selectors of MetalLB's objects (MetalLB v0.14.8 internal/config/config.go). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.endpoints import selects
from kanslib.k8s.labels import selector_problem
from kanslib.metallb.go_text import quoted, quoted_expression, quoted_selector


def selected(labels: Mapping[str, str], selectors: Sequence[Mapping[str, Any]]) -> bool:
    """Return True when one of some label selectors matches the labels of an object."""
    return any(selects(selector, labels) for selector in selectors)


def distinct(values: Sequence[str], what: str) -> tuple[str, ...]:
    """Return a list without change. Raises ConfigurationError when a value is in it twice."""
    for place, value in enumerate(values):
        if value in values[place + 1 :]:
            raise ConfigurationError(f"duplicate definition of {what} {quoted(value)}")
    return tuple(values)


def distinct_selectors(spec: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """Return the label selectors in a field, their values sorted. Raises ConfigurationError for a repeated one."""
    selectors = [_with_sorted_values(one) for one in spec.get(field) or []]
    for place, selector in enumerate(selectors):
        _check_expressions(selector["matchExpressions"])
        if selector in selectors[place + 1 :]:
            raise ConfigurationError(f"duplicate definition of {field} {quoted_selector(selector)}")
    return selectors


def check_syntax(selectors: Sequence[Mapping[str, Any]], context: Callable[[Mapping[str, Any]], str]) -> None:
    """Raise ConfigurationError for the first selector that Kubernetes does not accept.

    `context`: from a selector to what MetalLB adds to the error.
    """
    for selector in selectors:
        if problem := selector_problem(selector):
            raise ConfigurationError(f"{problem}\n{context(selector)}")


def _with_sorted_values(selector: Mapping[str, Any]) -> Mapping[str, Any]:
    expressions = selector.get("matchExpressions") or []
    return {
        "matchLabels": selector.get("matchLabels") or {},
        "matchExpressions": [{**one, "values": sorted(one.get("values") or [])} for one in expressions],
    }


def _check_expressions(expressions: Sequence[Mapping[str, Any]]) -> None:
    for place, expression in enumerate(expressions):
        distinct(expression["values"], "match expression value in label selector")
        if expression in expressions[place + 1 :]:
            raise ConfigurationError(f"duplicate definition of match expressions {quoted_expression(expression)}")
