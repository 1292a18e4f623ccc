"""What a recorded object has at least: the fields that an API server always gives and that queries rely on.

Other fields may be there, with any value. Field names and types: Kubernetes v1.31 (api/openapi-spec), MetalLB v0.14.8
(its CustomResourceDefinitions).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from kanslib.exceptions import RecordingError
from kanslib.k8s.objects import KubeObject
from kanslib.recording.format import WatchRow, decode_rows

Labels = dict[str, str] | UnsetType
Text = str | UnsetType
Time = datetime | None | UnsetType
Port = Annotated[int, Meta(ge=0, le=65535)]


class _Fields(Struct, frozen=True, rename="camel"):
    """An object of which some fields are known."""


class _Metadata(_Fields, frozen=True):
    name: str
    creation_timestamp: datetime
    uid: str
    resource_version: Annotated[str, Meta(pattern="^[0-9]{1,20}$")]
    namespace: Text = UNSET
    labels: Labels = UNSET
    annotations: Labels = UNSET


class _NamespacedMetadata(_Metadata, frozen=True, kw_only=True):
    namespace: str


class _Object(_Fields, frozen=True):
    metadata: _Metadata


class _Namespaced(_Fields, frozen=True):
    metadata: _NamespacedMetadata


class _Condition(_Fields, frozen=True):
    type: str
    status: str
    reason: Text = UNSET
    message: Text = UNSET


# ── nodes and Pods ───────────────────────────────────────────────────────────────────────────────────────


class _Taint(_Fields, frozen=True):
    key: str
    effect: str
    value: Text = UNSET


class _NodeSpec(_Fields, frozen=True):
    taints: tuple[_Taint, ...] | UnsetType = UNSET
    unschedulable: bool | UnsetType = UNSET


class _NodeAddress(_Fields, frozen=True):
    type: str
    address: str


class _NodeStatus(_Fields, frozen=True):
    addresses: tuple[_NodeAddress, ...] | UnsetType = UNSET
    conditions: tuple[_Condition, ...] | UnsetType = UNSET
    node_info: dict[str, Any] | UnsetType = UNSET


class _Node(_Object, frozen=True, kw_only=True):
    spec: _NodeSpec | UnsetType = UNSET
    status: _NodeStatus | UnsetType = UNSET


class _Container(_Fields, frozen=True):
    name: str
    image: Text = UNSET


class _PodSpec(_Fields, frozen=True):
    containers: tuple[_Container, ...]
    init_containers: tuple[_Container, ...] | UnsetType = UNSET
    node_name: Text = UNSET


class _Ended(_Fields, frozen=True):
    finished_at: Time
    reason: Text = UNSET
    exit_code: int | UnsetType = UNSET
    signal: int | UnsetType = UNSET


class _Waiting(_Fields, frozen=True):
    reason: Text = UNSET


class _State(_Fields, frozen=True):
    running: dict[str, Any] | UnsetType = UNSET
    waiting: _Waiting | UnsetType = UNSET
    terminated: _Ended | UnsetType = UNSET


class _ContainerStatus(_Fields, frozen=True):
    name: str
    ready: bool
    restart_count: Annotated[int, Meta(ge=0)]
    state: _State | UnsetType = UNSET
    last_state: _State | UnsetType = UNSET


class _PodIP(_Fields, frozen=True):
    ip: str


class _PodStatus(_Fields, frozen=True):
    phase: Text = UNSET
    reason: Text = UNSET
    pod_ip: Text = msgspec.field(name="podIP", default=UNSET)
    pod_ips: tuple[_PodIP, ...] | UnsetType = msgspec.field(name="podIPs", default=UNSET)
    conditions: tuple[_Condition, ...] | UnsetType = UNSET
    container_statuses: tuple[_ContainerStatus, ...] | UnsetType = UNSET
    init_container_statuses: tuple[_ContainerStatus, ...] | UnsetType = UNSET


class _Pod(_Namespaced, frozen=True, kw_only=True):
    spec: _PodSpec
    status: _PodStatus | UnsetType = UNSET


# ── Services and what belongs to them ─────────────────────────────────────────────────────────────────────────


class _ServicePort(_Fields, frozen=True):
    port: Port
    name: Text = UNSET
    protocol: Text = UNSET
    node_port: Port | UnsetType = UNSET
    target_port: int | str | UnsetType = UNSET


class _ServiceSpec(_Fields, frozen=True):
    type: str
    cluster_ip: Text = msgspec.field(name="clusterIP", default=UNSET)
    ports: tuple[_ServicePort, ...] | UnsetType = UNSET
    selector: Labels = UNSET
    session_affinity: Text = UNSET
    external_traffic_policy: Text = UNSET
    internal_traffic_policy: Text = UNSET
    external_ips: tuple[str, ...] | UnsetType = msgspec.field(name="externalIPs", default=UNSET)
    load_balancer_source_ranges: tuple[str, ...] | UnsetType = UNSET


class _Ingress(_Fields, frozen=True):
    ip: Text = UNSET
    hostname: Text = UNSET


class _LoadBalancer(_Fields, frozen=True):
    ingress: tuple[_Ingress, ...] | UnsetType = UNSET


class _ServiceStatus(_Fields, frozen=True):
    load_balancer: _LoadBalancer | UnsetType = UNSET


class _Service(_Namespaced, frozen=True, kw_only=True):
    spec: _ServiceSpec
    status: _ServiceStatus | UnsetType = UNSET


class _EndpointConditions(_Fields, frozen=True):
    ready: bool | UnsetType = UNSET
    serving: bool | UnsetType = UNSET
    terminating: bool | UnsetType = UNSET


class _Reference(_Fields, frozen=True):
    kind: str
    name: str
    namespace: Text = UNSET
    uid: Text = UNSET


class _Endpoint(_Fields, frozen=True):
    addresses: tuple[str, ...]
    conditions: _EndpointConditions | UnsetType = UNSET
    node_name: Text = UNSET
    target_ref: _Reference | UnsetType = UNSET


class _EndpointPort(_Fields, frozen=True):
    port: Port | UnsetType = UNSET
    name: Text = UNSET
    protocol: Text = UNSET


class _EndpointSlice(_Namespaced, frozen=True, kw_only=True):
    address_type: str
    endpoints: tuple[_Endpoint, ...] | UnsetType | None = UNSET
    ports: tuple[_EndpointPort, ...] | UnsetType | None = UNSET


class _Series(_Fields, frozen=True):
    count: int | UnsetType = UNSET
    last_observed_time: Time = UNSET


class _Event(_Namespaced, frozen=True, kw_only=True):
    involved_object: _Reference
    message: Text = UNSET
    reason: Text = UNSET
    type: Text = UNSET
    count: int | UnsetType = UNSET
    first_timestamp: Time = UNSET
    last_timestamp: Time = UNSET
    event_time: Time = UNSET
    series: _Series | UnsetType = UNSET


# ── MetalLB ──────────────────────────────────────────────────────────────────────────────────────────────


class _Template(_Fields, frozen=True):
    spec: _PodSpec


class _DaemonSetSpec(_Fields, frozen=True):
    template: _Template


class _DaemonSet(_Namespaced, frozen=True, kw_only=True):
    spec: _DaemonSetSpec


class _PoolSpec(_Fields, frozen=True):
    addresses: tuple[str, ...]
    auto_assign: bool | UnsetType = UNSET
    avoid_buggy_ips: bool | UnsetType = msgspec.field(name="avoidBuggyIPs", default=UNSET)


class _Pool(_Namespaced, frozen=True, kw_only=True):
    spec: _PoolSpec


class _Specified(_Namespaced, frozen=True, kw_only=True):
    spec: dict[str, Any] | UnsetType = UNSET


class _L2StatusStatus(_Fields, frozen=True):
    node: Text = UNSET


class _L2Status(_Namespaced, frozen=True, kw_only=True):
    status: _L2StatusStatus | UnsetType = UNSET


_TYPES: dict[str, type[_Object | _Namespaced]] = {
    "daemonsets": _DaemonSet, "endpointslices": _EndpointSlice, "events": _Event, "ipaddresspools": _Pool,
    "nodes": _Node, "pods": _Pod, "servicel2statuses": _L2Status, "services": _Service,
    "bgpadvertisements": _Specified, "bgppeers": _Specified, "l2advertisements": _Specified,
}  # fmt: skip


def check_object(kind: str, obj: KubeObject, file: str, line: int) -> None:
    """Raise RecordingError for an object of a kind (plural) that lacks a field, or has one of a wrong type.

    >>> check_object("services", {"metadata": {"name": "web"}}, "objects/services.ndjson", 3)
    Traceback (most recent call last):
    kanslib.exceptions.RecordingError: objects/services.ndjson, line 3, field object.metadata: \
Object missing required field `creationTimestamp`
    """
    try:
        msgspec.convert(obj, _TYPES.get(kind, _Object))
    except msgspec.ValidationError as exc:
        problem, _, path = str(exc).partition(" - at `$")
        raise RecordingError(file, problem, line, f"object{path.rstrip('`')}") from None


def watch_rows(content: bytes, kind: str, file: str) -> Iterator[WatchRow]:
    """Yield the rows of a kind's watch stream (`objects/<kind>.ndjson`), each with what an object of the kind has.

    Raises RecordingError with the line and the field that is wrong.
    """
    for line, row in enumerate(decode_rows(content, WatchRow, file), 1):
        if row.object is not UNSET:
            check_object(kind, row.object, file, line)
        yield row
