"""What the API server says of a field: its kinds of errors, and the rules of names, labels, ports and addresses. Pure.

Kubernetes v1.31 k8s.io/apimachinery pkg/util/validation, pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from kanslib.k8s.labels import key_problems, value_problems
from kanslib.k8s.objects import KubeObject

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SERVICE_NAME = "[a-z]([-a-z0-9]*[a-z0-9])?"


@dataclass(frozen=True)
class FieldError:
    """An error of one field, as `kubectl` prints it behind "is invalid:" (k8s.io/apimachinery field.Error)."""

    path: str
    error: str
    detail: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, [self.path, self.error, self.detail]))


def required(path: str, detail: str = "") -> FieldError:
    """Return the error of a field that is missing.

    >>> print(required("spec.ports[0].name"))
    spec.ports[0].name: Required value
    """
    return FieldError(path, "Required value", detail)


def invalid(path: str, value: object, detail: str) -> FieldError:
    """Return the error of a value that no rule allows.

    >>> print(invalid("spec.ports[0].port", 0, "must be between 1 and 65535, inclusive"))
    spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
    """
    return FieldError(path, f"Invalid value: {go_value(value)}", detail)


def unsupported(path: str, value: object, known: Iterable[str]) -> FieldError:
    """Return the error of a value that is not one of a list.

    >>> print(unsupported("spec.type", "Loadbalancer", ["ClusterIP", "LoadBalancer"]))
    spec.type: Unsupported value: "Loadbalancer": supported values: "ClusterIP", "LoadBalancer"
    """
    listed = ", ".join(f'"{one}"' for one in known)
    return FieldError(path, f"Unsupported value: {go_value(value)}", f"supported values: {listed}")


def forbidden(path: str, detail: str) -> FieldError:
    """Return the error of a field that may not be set."""
    return FieldError(path, "Forbidden", detail)


def duplicate(path: str, value: object) -> FieldError:
    """Return the error of a value that another field of the object has."""
    return FieldError(path, f"Duplicate value: {go_value(value)}")


def go_value(value: object) -> str:
    """Return a value as Go prints it in errors.

    >>> go_value("a"), go_value(["a", "b"]), go_value(None)
    ('"a"', '[]string{"a", "b"}', 'null')
    """
    if isinstance(value, list):
        return "[]string{" + ", ".join(map(json.dumps, value)) + "}"
    return value if isinstance(value, _GoLiteral) else json.dumps(value)


class _GoLiteral(str):
    """A value that stands in an error as it is."""

    __slots__ = ()


def go_literal(text: str) -> str:
    """Return a text that `go_value` does not quote: a value of a Go struct."""
    return _GoLiteral(text)


def go_map(values: Mapping[str, str]) -> str:
    """Return a map of strings as Go prints it.

    >>> go_map({"a": "b"}), go_map({})
    ('map[string]string{"a":"b"}', 'map[string]string(nil)')
    """
    pairs = ", ".join(f"{json.dumps(key)}:{json.dumps(values[key])}" for key in sorted(values))
    return go_literal(f"map[string]string{{{pairs}}}" if values else "map[string]string(nil)")


def described(kind: str, name: str, errors: Iterable[FieldError | str]) -> str:
    """Return the message of an object that is invalid; each error once (apimachinery errors.NewInvalid).

    >>> described("Service", "web", ["spec.ports: Required value"])
    'Service "web" is invalid: spec.ports: Required value'
    """
    lines = list(dict.fromkeys(map(str, errors)))
    return f'{kind} "{name}" is invalid: ' + (lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]")


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────


def _regex(rule: str, pattern: str, *examples: str) -> str:
    quoted = " or ".join(f"'{one}', " for one in examples).removesuffix(", ")
    return f"{rule} (e.g. {quoted}, regex used for validation is '{pattern}')"


def dns_label(name: str) -> list[str]:
    """Return what is wrong with a name as a DNS label of RFC 1123.

    >>> dns_label("web-1"), dns_label("Web")[0][:30]
    ([], 'a lowercase RFC 1123 label mus')
    """
    rule = (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character"
    )
    wrong = [] if re.fullmatch(_LABEL, name) else [_regex(rule, _LABEL, "my-name", "123-abc")]
    if re.fullmatch(_SUBDOMAIN, name) and wrong:
        wrong = ["must not contain dots"]
    return [*_too_long(name, 63), *wrong]


def dns_subdomain(name: str) -> list[str]:
    """Return what is wrong with a name as a DNS subdomain of RFC 1123."""
    rule = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character"
    )
    wrong = [] if re.fullmatch(_SUBDOMAIN, name) else [_regex(rule, _SUBDOMAIN, "example.com")]
    return [*_too_long(name, 253), *wrong]


def service_name(name: str) -> list[str]:
    """Return what is wrong with a name as a DNS label of RFC 1035, which Services have."""
    rule = (
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character"
    )
    wrong = [] if re.fullmatch(_SERVICE_NAME, name) else [_regex(rule, _SERVICE_NAME, "my-name", "abc-123")]
    return [*_too_long(name, 63), *wrong]


def port_name(name: str) -> list[str]:
    """Return what is wrong with the name of a container's port (IANA_SVC_NAME, RFC 6335)."""
    errors = ["must be no more than 15 characters"] if len(name) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", name):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        errors.append("must contain at least one letter (a-z)")
    if "--" in name:
        errors.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def config_key(name: str) -> list[str]:
    """Return what is wrong with a key of a ConfigMap or a Secret."""
    rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    pattern = "[-._a-zA-Z0-9]+"
    wrong = re.fullmatch(pattern, name) is None
    return [*_too_long(name, 253), *([_regex(rule, pattern, "key.name", "KEY_NAME", "key-name")] if wrong else [])]


def _too_long(name: str, most: int) -> list[str]:
    return [f"must be no more than {most} characters"] if len(name) > most else []


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────


def port_number(path: str, port: int) -> list[FieldError]:
    """Return the error of a port that is not between 1 and 65535."""
    return [] if 1 <= port <= 65535 else [invalid(path, port, "must be between 1 and 65535, inclusive")]


def port_number_or_name(path: str, port: int | str) -> list[FieldError]:
    """Return the errors of a target port: a number, or the name of a container's port."""
    if isinstance(port, int):
        return port_number(path, port)
    return [invalid(path, port, one) for one in port_name(port)]


def address(path: str, value: str) -> list[FieldError]:
    """Return the error of an address that is none; leading zeros are allowed (netutils.ParseIPSloppy)."""
    if is_address(value):
        return []
    return [invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]


def cidr(path: str, value: str) -> list[FieldError]:
    """Return the error of a range that is none."""
    network, slash, length = value.partition("/")
    try:
        ip_network(f"{without_leading_zeros(network)}/{length}", strict=False)
        if slash and length.isdecimal():
            return []
    except ValueError:
        pass
    return [invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")]


def is_address(value: str) -> bool:
    """Return True for an IPv4 or IPv6 address, also with leading zeros."""
    try:
        ip_address(without_leading_zeros(value))
    except ValueError:
        return False
    return True


def without_leading_zeros(value: str) -> str:
    """Return an IPv4 address without the leading zeros that Go's older parser allowed.

    >>> without_leading_zeros("172.018.000.010")
    '172.18.0.10'
    """
    return re.sub(r"(?<![\d:a-fA-F])0+(?=\d)", "", value) if "." in value else value


def labels(path: str, values: Mapping[str, Any] | None) -> Iterator[FieldError]:
    """Yield the errors of labels, or of a selector that is a map."""
    for key in sorted(values or {}):
        for one in key_problems(key):
            yield invalid(path, key, one)
        for one in value_problems((values or {})[key] or ""):
            yield invalid(path, (values or {})[key], one)


def metadata(obj: KubeObject) -> Iterator[FieldError]:
    """Yield the errors of an object's metadata: its name by the rule of its kind, and its labels."""
    meta = obj["metadata"]
    rule = {"Service": service_name, "Namespace": dns_label}.get(obj["kind"], dns_subdomain)
    for one in rule(str(meta["name"])):
        yield invalid("metadata.name", meta["name"], one)
    yield from labels("metadata.labels", meta.get("labels"))
    for key in sorted(meta.get("annotations") or {}):
        for one in key_problems(key.lower()):
            yield invalid("metadata.annotations", key, one)
