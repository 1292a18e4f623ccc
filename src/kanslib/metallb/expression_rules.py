"""The rules in CEL of MetalLB's CustomResourceDefinitions, which the API server evaluates. Pure.

MetalLB v0.14.8 config/crd/bases/metallb.io_bgppeers.yaml x-kubernetes-validations; Kubernetes v1.31
k8s.io/apiextensions-apiserver pkg/apiserver/schema/cel/validation.go names the type in place of the value.
"""

from __future__ import annotations

from collections.abc import Iterator

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.field_errors import FieldError, invalid
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.go_text import nanoseconds

_CONNECT_TIME = (
    "connect time should be between 1 seconds to 65535",
    "connect time should contain a whole number of seconds",
)
_GRACEFUL_RESTART = "EnableGracefulRestart cannot be changed after creation"
_NO_DURATION = "type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule"


def expression_errors(obj: KubeObject, existing: KubeObject | None) -> Iterator[FieldError]:
    """Yield what the rules say of an object; `existing` is the object before. Only BGPPeers have rules.

    >>> peer = {"kind": "BGPPeer", "spec": {"connectTime": "1500ms"}}
    >>> [one.detail for one in expression_errors(peer, None)]
    ['connect time should contain a whole number of seconds']
    """
    if obj["kind"] != "BGPPeer":
        return
    spec, before = obj.get("spec") or {}, (existing or {}).get("spec") or {}
    if spec.get("connectTime") is not None:
        yield from (invalid("spec.connectTime", "string", detail) for detail in _connect_time(spec["connectTime"]))
    both = ("enableGracefulRestart" in spec, "enableGracefulRestart" in before)
    if all(both) and spec["enableGracefulRestart"] != before["enableGracefulRestart"]:
        yield invalid("spec.enableGracefulRestart", "boolean", _GRACEFUL_RESTART)


def _connect_time(text: str) -> Iterator[str]:
    bounds, whole = _CONNECT_TIME
    try:
        duration = nanoseconds(text)
    except ConfigurationError:
        yield from (f"{_NO_DURATION}: {rule}" for rule in _CONNECT_TIME)
        return
    if not 1 <= duration // 10**9 <= 65535:
        yield bounds
    if duration // 10**6 % 1000:
        yield whole
