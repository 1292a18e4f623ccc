"""The fields of every kind that the simulator knows, and what decoders say of others: unknown fields, wrong types.

`schema.json` is made of Kubernetes v1.31.0's OpenAPI and MetalLB v0.14.8's CustomResourceDefinitions
(`docs/make_schema.py`). Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from kanslib.k8s.field_errors import FieldError, invalid, required, unsupported
from kanslib.k8s.objects import KubeObject

Type = str | Mapping[str, Any]  # of Go (a name), or the rules of a CustomResourceDefinition
_PLACE = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class UnknownField:
    """A field that a type has not: its `path`, and the field of that type whose name is nearest (empty without one)."""

    path: str
    nearest: str


@cache
def _table() -> Mapping[str, Any]:
    table: Mapping[str, Any] = json.loads(files(__package__).joinpath("schema.json").read_text(encoding="utf-8"))
    return table


def versions(kind: str) -> list[str]:
    """Return the versions of a kind, the newest last; none for a kind that is not in the table.

    >>> versions("BGPPeer"), versions("Deployment")
    (['metallb.io/v1beta1', 'metallb.io/v1beta2'], ['apps/v1'])
    """
    known = [*_table()["kinds"], *_table()["custom"]]
    return sorted(version for version, _, name in (one.rpartition(" ") for one in known) if name == kind)


def is_custom(obj: KubeObject) -> bool:
    """Return True for an object of a CustomResourceDefinition."""
    return f"{obj['apiVersion']} {obj['kind']}" in _table()["custom"]


def unknown_fields(obj: KubeObject) -> list[UnknownField]:
    """Return the fields that the object's type has not, in the order in which the API server reads them.

    >>> unknown_fields({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"port": []}})
    [UnknownField(path='spec.port', nearest='ports')]
    """
    return list(_unknown(obj, _type_of(obj), ""))


def decoding_error(obj: KubeObject) -> str:
    """Return the words of Go's decoder for the first value of a wrong type; empty where every type is right.

    Only types of Go: a CustomResourceDefinition's values are compared by `rule_errors`.

    >>> decoding_error({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": "80"}]}})
    'json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32'
    """
    errors = list(_wrong_types(obj, _type_of(obj), "", obj["kind"]))
    immediate = [words for kind, words in errors if kind in _OWN_DECODERS]
    return next(iter([*immediate, *(words for _, words in errors)]), "")


def rule_errors(obj: KubeObject, expressions: Iterable[FieldError] = ()) -> list[FieldError]:
    """Return what the rules of a CustomResourceDefinition say of an object: a required field, a wrong type, a bound.

    `expressions`: what its rules in CEL say. They are evaluated where no field is missing or of a wrong type.

    k8s.io/kube-openapi pkg/validation/validate, k8s.io/apiextensions-apiserver pkg/registry/customresource.
    """
    rules = _type_of(obj)
    errors = list(_violations(obj, rules, ""))
    blocked = any(one.error == "Required value" or _WRONG_TYPE in one.detail for one in errors)
    if blocked:
        return [*errors, _UNCHECKED] if "expressions" in rules else errors
    return [*errors, *expressions]


def with_defaults(obj: KubeObject) -> KubeObject:
    """Return an object of a CustomResourceDefinition with the defaults of the fields that it leaves out.

    k8s.io/apiextensions-apiserver pkg/apiserver/schema/defaulting.

    >>> pool = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "spec": {"addresses": []}}
    >>> with_defaults(pool)["spec"]
    {'addresses': [], 'autoAssign': True, 'avoidBuggyIPs': False}
    """
    return _filled(obj, _type_of(obj))


def _filled(value: KubeObject, rules: Type) -> KubeObject:
    known = {name: one for name, one in (_fields(rules) or {}).items() if not isinstance(one, str)}
    missing = {name: one["default"] for name, one in known.items() if name not in value and "default" in one}
    inner = {name: _filled(value[name], known[name]) for name in known if isinstance(value.get(name), dict)}
    return {**value, **inner, **missing}


def _type_of(obj: KubeObject) -> Type:
    name = f"{obj['apiVersion']} {obj['kind']}"
    found: Type = _table()["kinds"].get(name) or _table()["custom"][name]
    return found


def _fields(kind: Type) -> Mapping[str, Type] | None:
    """Return the fields of a type; None for one that has none of its own: a scalar, a list, a map."""
    if isinstance(kind, str) or kind["type"] == "ObjectMeta":
        fields: Mapping[str, Type] | None = _table()["types"].get(kind if isinstance(kind, str) else "ObjectMeta")
        return fields
    has_none = kind["type"] != "object" or "additionalProperties" in kind
    properties: Mapping[str, Type] | None = kind.get("properties", None if has_none else {})
    return properties


def _element(kind: Type) -> Type | None:
    """Return the type of the elements of a list or a map; None for other types."""
    if isinstance(kind, str):
        return kind[2:] if kind.startswith(("[]", "{}")) else None
    return kind.get("items") or kind.get("additionalProperties")


def _children(value: object, kind: Type, path: str) -> Iterator[tuple[object, Type, str]]:
    """Yield each known value below a value, with its type and its path, as the API server reads them: by name."""
    fields, element = _fields(kind), _element(kind)
    if fields is not None and isinstance(value, dict):
        for name in sorted(value):
            if name in fields:
                yield value[name], fields[name], f"{path}.{name}".lstrip(".")
    elif element is not None and isinstance(value, list):
        for place, one in enumerate(value):
            yield one, element, f"{path}[{place}]"
    elif element is not None and isinstance(value, dict):
        for name in sorted(value):
            yield value[name], element, f"{path}.{name}"


def _unknown(value: object, kind: Type, path: str) -> Iterator[UnknownField]:
    fields = _fields(kind)
    if fields is not None and isinstance(value, dict):
        for name in sorted(set(value) - set(fields)):
            yield UnknownField(f"{path}.{name}".lstrip("."), _nearest(name, fields))
    for one, inner, below in _children(value, kind, path):
        yield from _unknown(one, inner, below)


def _nearest(name: str, fields: Iterable[str]) -> str:
    by_spelling = {one.lower(): one for one in fields}
    near = get_close_matches(name.lower(), by_spelling, n=1, cutoff=0.75)
    return by_spelling[near[0]] if near else ""


# ── types of Go ──────────────────────────────────────────────────────────────────────────────────────────

_OWN_DECODERS = ("int-or-string", "quantity", "time")  # their errors end the decoding; others wait for its end
_GO_NAMES = {"int-or-string": "int32", "boolean": "bool", "byte": "[]uint8"}
_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def _wrong_types(value: object, kind: Type, path: str, struct: str) -> Iterator[tuple[str, str]]:
    """Yield the type of each value that is of another one, and Go's words. `struct`: the Go type with the field."""
    if value is None or not isinstance(kind, str):
        return
    if not _fits(value, kind):
        found = _JSON_NAMES.get(type(value), "string")
        found += f" {value}" if isinstance(value, float) and kind.startswith("int") else ""
        where = f"Go struct field {struct}.{_PLACE.sub('', path)} of type {_go_name(kind)}"
        yield kind, f"json: cannot unmarshal {found} into {where}"
        return
    owner = kind if kind in _table()["types"] else struct
    for one, inner, below in _children(value, kind, path):
        is_map = kind.startswith("{}")
        yield from _wrong_types(one, inner, path if is_map else below, owner)


def _fits(value: object, kind: str) -> bool:
    match kind:
        case "string" | "byte" | "date-time" | "time":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "int32" | "int64":
            return isinstance(value, int) and not isinstance(value, bool)
        case "int-or-string" | "quantity":
            return isinstance(value, str | int | float) and not isinstance(value, bool)
        case "any":
            return True
    return isinstance(value, list) if kind.startswith("[]") else isinstance(value, dict)


def _go_name(kind: str) -> str:
    if kind.startswith("[]"):
        return "[]" + _go_name(kind[2:])
    if kind.startswith("{}"):
        return "map[string]" + _go_name(kind[2:])
    if kind in _table()["types"]:
        return f"v1.{kind}"
    return _GO_NAMES.get(kind, kind)


# ── rules of a CustomResourceDefinition ──────────────────────────────────────────────────────────────────

_WRONG_TYPE = "in body must be of type"
_UNCHECKED = invalid(
    "<nil>",
    "null",
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation",
)
_TYPES = {"string": str, "boolean": bool, "array": list, "object": dict}
_WORDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def _violations(value: object, rules: Type, path: str) -> Iterator[FieldError]:
    if isinstance(rules, str) or rules["type"] == "ObjectMeta":
        return
    expected = rules["type"]
    if not (_is_integer(value) if expected == "integer" else isinstance(value, _TYPES[expected])):
        word = "null" if value is None else _WORDS[type(value)]
        yield invalid(path, word, f'{path} {_WRONG_TYPE} {expected}: "{word}"')
        return
    if isinstance(value, dict):
        yield from (required(f"{path}.{name}".lstrip(".")) for name in rules.get("required", []) if name not in value)
    if isinstance(value, int):
        yield from _bounds(value, rules, path)
    if isinstance(value, list) and len(value) < rules.get("minItems", 0):
        yield invalid(path, len(value), f"{path} in body should have at least {rules['minItems']} items")
    if value not in rules.get("enum", [value]):
        yield unsupported(path, value, rules["enum"])
    for one, inner, below in _children(value, rules, path):
        yield from _violations(one, inner, below)


def _is_integer(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _bounds(value: int, rules: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    if value < rules.get("minimum", value):
        yield invalid(path, value, f"{path} in body should be greater than or equal to {rules['minimum']}")
    if value > rules.get("maximum", value):
        yield invalid(path, value, f"{path} in body should be less than or equal to {rules['maximum']}")
