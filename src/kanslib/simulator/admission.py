"""What is refused before an object is stored: by kubectl, by the API server, or because a webhook is gone. Pure.

Kubernetes v1.31 with strict field validation, kubectl's default since v1.27. A refusal has the words of its component.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Iterator, Sequence
from difflib import get_close_matches

from kanslib.exceptions import NotSimulatedError, RefusedError
from kanslib.i18n import tr
from kanslib.k8s import schema
from kanslib.k8s.endpoints import can_serve, endpoints_in, slices_of
from kanslib.k8s.field_errors import (
    FieldError,
    config_key,
    described,
    invalid,
    is_address,
    labels,
    metadata,
    required,
)
from kanslib.k8s.labels import value_problems
from kanslib.k8s.objects import KubeObject, plural
from kanslib.k8s.workload_validation import pod_errors, workload_errors
from kanslib.metallb.expression_rules import expression_errors
from kanslib.simulator.address_family import family_name
from kanslib.simulator.api_server import API_SERVER

KINDS = (
    "Namespace", "Pod", "Service", "Deployment", "DaemonSet", "ReplicaSet", "EndpointSlice", "ConfigMap", "Secret",
    "IPAddressPool", "L2Advertisement", "BGPPeer", "BGPAdvertisement", "BFDProfile", "Community",
)  # fmt: skip
METALLB_KINDS = tuple(kind for kind in KINDS if schema.versions(kind)[0].startswith("metallb.io"))
_GROUPS = {"Deployment": "apps", "DaemonSet": "apps", "ReplicaSet": "apps", "EndpointSlice": "discovery.k8s.io"}
_UNSET = (
    'error validating "STDIN": error validating data: apiVersion not set; if you choose to ignore these errors, turn '
)
_NO_LABEL = "at least one label update is required"
# MetalLB v0.14.8 config/manifests/metallb-native.yaml, ValidatingWebhookConfiguration: failurePolicy is Fail
_WEBHOOKS = {"BGPPeer": ("bgppeers", "v1beta2")}
_WEBHOOK_SERVICE = ("metallb-system", "metallb-webhook-service")


def group_of(kind: str) -> str:
    """Return the group of a kind; empty for the core group.

    >>> group_of("Deployment"), group_of("IPAddressPool"), group_of("Service")
    ('apps', 'metallb.io', '')
    """
    return "metallb.io" if kind in METALLB_KINDS else _GROUPS.get(kind, "")


def check_simulated(document: KubeObject) -> None:
    """Raise NotSimulatedError for a kind that exists, as far as its name tells, and is not simulated."""
    kind = document["kind"]
    if kind not in KINDS and not get_close_matches(kind, KINDS, n=1, cutoff=0.8):
        raise NotSimulatedError(tr("objects of kind {kind}", kind=kind), KINDS)


def check_document(document: KubeObject) -> None:
    """Refuse what kubectl cannot send and what the API server cannot decode.

    Raise RefusedError for a version or a field that does not exist, and for a value of a wrong type.
    """
    kind, meta = document["kind"], document["metadata"]
    if not document.get("apiVersion"):
        raise RefusedError("kubectl", f"{_UNSET}validation off with --validate=false")
    if document["apiVersion"] not in schema.versions(kind):
        raise _no_such_kind(document)
    if not meta["name"]:
        raise RefusedError("kubectl", "resource name may not be empty")
    if wrong := schema.decoding_error({key: document[key] for key in ("apiVersion", "kind", "metadata")}):
        raise RefusedError("kubectl", f'unable to decode "STDIN": {wrong}')
    unknown = schema.unknown_fields(document)
    wrong = "" if schema.is_custom(document) else schema.decoding_error(document) or _base64_error(document)
    if unknown and not wrong:
        wrong = "strict decoding error: " + ", ".join(f'unknown field "{one.path}"' for one in unknown)
    if wrong:
        version = document["apiVersion"].rpartition("/")[2]
        hints = [tr("did you mean {name}?", name=one.nearest) for one in unknown if one.nearest]
        message = f'{kind} in version "{version}" cannot be handled as a {kind}: {wrong}'
        raise RefusedError(API_SERVER, message, "\n".join(hints))


def _no_such_kind(document: KubeObject) -> RefusedError:
    """Return the refusal of kubectl for a kind or a version that the API server does not serve."""
    kind, meta = document["kind"], document["metadata"]
    message = (
        f'resource mapping not found for name: "{meta["name"]}" namespace: "{meta.get("namespace", "")}" from "STDIN": '
        f'no matches for kind "{kind}" in version "{document["apiVersion"]}"\nensure CRDs are installed first'
    )
    known = [f"{version} {one}" for one in KINDS for version in schema.versions(one)]
    near = get_close_matches(f"{document['apiVersion']} {kind}", known, n=1)
    return RefusedError("kubectl", message, tr("did you mean {name}?", name=near[0]) if near else "")


def check_served(document: KubeObject, namespaces: Collection[str]) -> None:
    """Refuse MetalLB's objects in a cluster without its namespace: its CustomResourceDefinitions came with it."""
    if document["kind"] in METALLB_KINDS and _WEBHOOK_SERVICE[0] not in namespaces:
        raise _no_such_kind(document)


def _base64_error(document: KubeObject) -> str:
    if document["kind"] != "Secret":
        return ""
    for _, value in sorted((document.get("data") or {}).items()):
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            return "illegal base64 data at input byte 0"
    return ""


def check_object(obj: KubeObject, existing: KubeObject | None) -> None:
    """Refuse an object, with its defaults, that breaks a rule of its kind; Services are refused by their registry.

    `existing`: the object before, of which some fields may not change. Raise RefusedError.
    """
    kind = obj["kind"]
    if schema.is_custom(obj):
        errors: list[FieldError | str] = [*metadata(obj), *schema.rule_errors(obj, expression_errors(obj, existing))]
    elif kind == "Pod":
        errors = [*pod_errors(obj, existing)]
    elif kind in ("Deployment", "DaemonSet", "ReplicaSet"):
        errors = [*workload_errors(obj, existing)]
    else:
        errors = [*metadata(obj), *_content_errors(obj, existing)]
    if errors:
        raise RefusedError(
            API_SERVER, described(".".join(filter(None, [kind, group_of(kind)])), obj["metadata"]["name"], errors)
        )


def _content_errors(obj: KubeObject, existing: KubeObject | None) -> Iterator[FieldError]:
    """Yield the errors of a ConfigMap, a Secret or an EndpointSlice."""
    if obj["kind"] in ("ConfigMap", "Secret"):
        for key in sorted(obj.get("data") or {}):
            yield from (invalid(f"data[{key}]", key, one) for one in config_key(key))
        if existing and obj.get("type", "Opaque") != existing.get("type", "Opaque"):
            yield invalid("type", obj.get("type"), "field is immutable")
    if obj["kind"] != "EndpointSlice":
        return
    family = obj.get("addressType")
    if not family:
        yield required("addressType")
    for place, endpoint in enumerate(obj.get("endpoints") or []):
        for index, address in enumerate(endpoint.get("addresses") or []):
            if family in ("IPv4", "IPv6") and not (is_address(address) and family_name(address) == family):
                yield invalid(f"endpoints[{place}].addresses[{index}]", address, f"must be a valid {family} address")


def check_labels(node: str, specs: Sequence[str]) -> None:
    """Refuse labels as `kubectl label node` takes them: `key=value`, or `key-` to remove one.

    k8s.io/kubectl v0.31 pkg/cmd/label/label.go parseLabels; the API server checks the keys.
    """
    keys: dict[str, str] = {}
    for spec in specs:
        key, *values = spec.split("=")
        if not values and not key.endswith("-"):
            raise RefusedError("kubectl", f"unknown label spec: {spec}" if keys else _NO_LABEL)
        if len(values) > 1:
            raise RefusedError("kubectl", f"invalid label spec: {spec}")
        if problems := value_problems("".join(values)):
            raise RefusedError("kubectl", f'invalid label value: "{spec}": {";".join(problems)}')
        if values:
            keys[key] = ""
    if errors := [*labels("metadata.labels", keys)]:
        raise RefusedError(API_SERVER, described("Node", node, errors))


def check_namespace(obj: KubeObject, namespaces: Collection[str]) -> None:
    """Refuse a new object of a namespace that is not one of these."""
    namespace = obj["metadata"]["namespace"]
    if namespace not in namespaces:
        raise RefusedError(API_SERVER, f'namespaces "{namespace}" not found')


def check_webhook(kind: str, objects: Callable[[str], list[KubeObject]], unreachable: frozenset[str]) -> None:
    """Refuse an object of MetalLB's while its webhook has no endpoint that answers.

    The API server connects to the webhook's ClusterIP: kube-proxy refuses it without an endpoint, and nobody answers
    while the endpoint's node is unreachable and still Ready. `unreachable`: the names of those nodes.
    """
    namespace, name = _WEBHOOK_SERVICE
    service = next((one for one in objects("services") if one["metadata"]["name"] == name), None)
    if kind not in METALLB_KINDS or service is None:
        return
    pieces = slices_of(objects("endpointslices"), namespace, name)
    nodes = [endpoint.get("nodeName", "") for endpoint in endpoints_in(pieces) if can_serve(endpoint)]
    if any(node not in unreachable for node in nodes):
        return
    stem, version = _WEBHOOKS.get(kind, (kind.lower(), "v1beta1"))
    address = service["spec"].get("clusterIP", "")
    reason = "context deadline exceeded" if nodes else f"dial tcp {address}:443: connect: connection refused"
    url = f"https://{name}.{namespace}.svc:443/validate-metallb-io-{version}-{kind.lower()}?timeout=10s"
    message = (
        f'failed calling webhook "{stem}validationwebhook.metallb.io": failed to call webhook: Post "{url}": {reason}'
    )
    raise RefusedError(API_SERVER, f"Internal error occurred: {message}")


def check_deletion(kind: str, name: str) -> None:
    """Refuse the deletion of a namespace that every cluster needs."""
    if kind == "namespaces" and name in ("default", "kube-system", "kube-public"):
        raise RefusedError(API_SERVER, f'namespaces "{name}" is forbidden: this namespace may not be deleted')


def kind_of(resource: str) -> str:
    """Return the kind of a resource: Deployment for `deployments`."""
    return next(kind for kind in KINDS if plural(kind) == resource)


def named(obj: KubeObject) -> str:
    """Return the name that kubectl prints for an object.

    >>> named({"kind": "Deployment", "metadata": {"name": "web"}})
    'deployment.apps/web'
    """
    kind, group = obj["kind"], group_of(obj["kind"])
    return f"{kind.lower()}{f'.{group}' if group else ''}/{obj['metadata']['name']}"
