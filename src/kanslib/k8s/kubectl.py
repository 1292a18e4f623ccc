"""Kubernetes objects as rows, as `kubectl get -A -o wide` prints them.

The rules are those of Kubernetes v1.31 pkg/printers/internalversion/printers.go and, for MetalLB's kinds, the
additionalPrinterColumns of MetalLB v0.14.8 config/crd. `now` is the moment (Unix seconds) that ages count to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from kanslib.k8s.objects import KubeObject, is_ready, plural

Row = dict[str, str]
NONE = "<none>"


def seconds_of(stamp: str) -> float:
    """Return an API timestamp as Unix seconds.

    >>> seconds_of("2026-11-23T07:09:02Z")
    1795417742.0
    """
    return datetime.fromisoformat(stamp).timestamp()


def age(seconds: float) -> str:
    """Return a duration (seconds) as kubectl prints it (apimachinery util/duration HumanDuration).

    >>> [age(s) for s in (7, 95, 225, 600, 7200, 100000, 500000)]
    ['7s', '95s', '3m45s', '10m', '120m', '27h', '5d18h']
    """
    whole = int(seconds)
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def _age_of(obj: KubeObject, now: float) -> str:
    return age(now - seconds_of(obj["metadata"]["creationTimestamp"]))


def _where(obj: KubeObject) -> Row:
    meta = obj["metadata"]
    return {"NAMESPACE": meta["namespace"], "NAME": meta["name"]} if "namespace" in meta else {"NAME": meta["name"]}


def _pairs(labels: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def node(obj: KubeObject, now: float) -> Row:
    """Return the row of a Node (printNode)."""
    status = obj.get("status", {})
    info = status.get("nodeInfo", {})
    addresses = {a["type"]: a["address"] for a in reversed(status.get("addresses", []))}
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels", {})
    roles = sorted(label[len(prefix) :] for label in labels if label.startswith(prefix))
    state = "Ready" if is_ready(obj) else "NotReady"
    return {
        "NAME": obj["metadata"]["name"],
        "STATUS": state + (",SchedulingDisabled" if obj.get("spec", {}).get("unschedulable") else ""),
        "ROLES": ",".join(roles) or NONE,
        "AGE": _age_of(obj, now),
        "VERSION": info.get("kubeletVersion", ""),
        "INTERNAL-IP": addresses.get("InternalIP", NONE),
        "EXTERNAL-IP": addresses.get("ExternalIP", NONE),
        "OS-IMAGE": info.get("osImage", ""),
        "KERNEL-VERSION": info.get("kernelVersion", ""),
        "CONTAINER-RUNTIME": info.get("containerRuntimeVersion", ""),
    }


def pod(obj: KubeObject, now: float) -> Row:
    """Return the row of a Pod (printPod)."""
    spec, status = obj["spec"], obj.get("status", {})
    states = status.get("containerStatuses") or []
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    running = [state for state in states if state.get("ready") and "running" in state.get("state", {})]
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or []]
    ready_gates = sum(conditions.get(gate) == "True" for gate in gates)
    return {
        **_where(obj),
        "READY": f"{len(running)}/{len(spec['containers'])}",
        "STATUS": _pod_status(obj),
        "RESTARTS": _restarts(states, now),
        "AGE": _age_of(obj, now),
        "IP": (status.get("podIPs") or [{"ip": status.get("podIP") or NONE}])[0]["ip"],
        "NODE": spec.get("nodeName") or NONE,
        "NOMINATED NODE": status.get("nominatedNodeName") or NONE,
        "READINESS GATES": f"{ready_gates}/{len(gates)}" if gates else NONE,
    }


def _pod_status(obj: KubeObject) -> str:
    """Return STATUS of a Pod (printPod).

    Init containers come first, then the last container that has a reason; deletion overrides both.
    """
    status = obj.get("status", {})
    reason = status.get("reason") or status.get("phase", "")
    initializing = False
    for number, state in enumerate(s.get("state", {}) for s in status.get("initContainerStatuses") or []):
        ended = state.get("terminated")
        if ended and ended.get("exitCode") == 0:
            continue
        initializing = True
        why = (ended or state.get("waiting") or {}).get("reason", "")
        total = len(obj["spec"].get("initContainers") or [])
        reason = f"Init:{why}" if why and why != "PodInitializing" else f"Init:{number}/{total}"
        break
    if not initializing:
        running = False
        for container in reversed(status.get("containerStatuses") or []):
            state = container.get("state", {})
            waiting, ended = state.get("waiting"), state.get("terminated")
            if waiting and waiting.get("reason"):
                reason = waiting["reason"]
            elif ended:
                signal = f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}"
                reason = ended.get("reason") or signal
            elif container.get("ready") and "running" in state:
                running = True
        if reason == "Completed" and running:
            reason = "Running" if is_ready(obj) else "NotReady"
    if obj["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _restarts(states: Sequence[dict[str, Any]], now: float) -> str:
    count = sum(state.get("restartCount", 0) for state in states)
    ends = [s["lastState"]["terminated"]["finishedAt"] for s in states if "terminated" in s.get("lastState", {})]
    known = [seconds_of(end) for end in ends if end]
    return f"{count} ({age(now - max(known))} ago)" if count and known else str(count)


def service(obj: KubeObject, now: float) -> Row:
    """Return the row of a Service (printService)."""
    spec = obj["spec"]
    kind = spec.get("type", "ClusterIP")
    return {
        **_where(obj),
        "TYPE": kind,
        "CLUSTER-IP": spec.get("clusterIP") or NONE,
        "EXTERNAL-IP": _external(obj, kind),
        "PORT(S)": ",".join(map(_port, spec.get("ports") or [])) or NONE,
        "AGE": _age_of(obj, now),
        "SELECTOR": _pairs(spec.get("selector")),
    }


def _external(obj: KubeObject, kind: str) -> str:
    external_ips = list(obj["spec"].get("externalIPs") or [])
    if kind == "ExternalName":
        return str(obj["spec"].get("externalName", NONE))
    if kind != "LoadBalancer":
        return ",".join(external_ips) or NONE
    ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return ",".join([*(i.get("ip") or i.get("hostname", "") for i in ingress), *external_ips]) or "<pending>"


def _port(port: dict[str, Any]) -> str:
    number = f"{port['port']}:{port['nodePort']}" if port.get("nodePort") else str(port["port"])
    return f"{number}/{port.get('protocol', 'TCP')}"


def endpointslice(obj: KubeObject, now: float) -> Row:
    """Return the row of an EndpointSlice (printEndpointSlice)."""
    ports = [str(port["port"]) if port.get("port") else "*" for port in obj.get("ports") or []]
    addresses = [address for e in obj.get("endpoints") or [] for address in e["addresses"]]
    return {
        **_where(obj),
        "ADDRESSTYPE": obj["addressType"],
        "PORTS": _first_items(ports) or "<unset>",
        "ENDPOINTS": _first_items(addresses) or "<unset>",
        "AGE": _age_of(obj, now),
    }


def _first_items(items: Sequence[str], shown: int = 3) -> str:
    more = f" + {len(items) - shown} more..." if len(items) > shown else ""
    return ",".join(items[:shown]) + more


def event(obj: KubeObject, now: float) -> Row:
    """Return the row of an Event (printEvent)."""
    last = obj.get("series", {}).get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime")
    first = obj.get("firstTimestamp") or obj.get("eventTime") or obj["metadata"]["creationTimestamp"]
    last = last or first
    count = (obj.get("series") or {}).get("count") or obj.get("count") or 1
    last_seen = age(now - seconds_of(last))
    if count > 1:
        last_seen = f"{last_seen} (x{count} over {age(now - seconds_of(first))})"
    involved = obj["involvedObject"]
    return {
        "NAMESPACE": obj["metadata"]["namespace"],
        "LAST SEEN": last_seen,
        "TYPE": obj.get("type", ""),
        "REASON": obj.get("reason", ""),
        "OBJECT": f"{involved['kind'].lower()}/{involved['name']}",
        "MESSAGE": obj.get("message", "").strip(),
    }


def described_event(obj: KubeObject, now: float) -> Row:
    """Return the row of an Event as `kubectl describe` lists it under an object."""
    row = event(obj, now)
    source = obj.get("source", {}).get("component") or obj.get("reportingComponent", "")
    return {
        "TYPE": row["TYPE"],
        "REASON": row["REASON"],
        "AGE": row["LAST SEEN"],
        "FROM": source,
        "MESSAGE": row["MESSAGE"],
    }


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, separators=(",", ":")) if not isinstance(value, str) else value


def ipaddresspool(obj: KubeObject, _now: float) -> Row:
    """Return the row of an IPAddressPool."""
    spec = obj["spec"]
    return {
        **_where(obj),
        "AUTO ASSIGN": _json(spec.get("autoAssign", True)),
        "AVOID BUGGY IPS": _json(spec.get("avoidBuggyIPs", False)),
        "ADDRESSES": _json(spec.get("addresses")),
    }


def l2advertisement(obj: KubeObject, _now: float) -> Row:
    """Return the row of an L2Advertisement."""
    spec = obj.get("spec") or {}
    return {
        **_where(obj),
        "IPADDRESSPOOLS": _json(spec.get("ipAddressPools")),
        "IPADDRESSPOOL SELECTORS": _json(spec.get("ipAddressPoolSelectors")),
        "INTERFACES": _json(spec.get("interfaces")),
    }


def bgppeer(obj: KubeObject, _now: float) -> Row:
    """Return the row of a BGPPeer."""
    spec = obj["spec"]
    return {
        **_where(obj),
        "ADDRESS": spec.get("peerAddress", ""),
        "ASN": _json(spec.get("peerASN")),
        "BFD PROFILE": spec.get("bfdProfile", ""),
        "MULTI HOPS": _json(spec.get("ebgpMultiHop")),
    }


def bgpadvertisement(obj: KubeObject, _now: float) -> Row:
    """Return the row of a BGPAdvertisement."""
    spec = obj.get("spec") or {}
    return {
        **_where(obj),
        "IPADDRESSPOOLS": _json(spec.get("ipAddressPools")),
        "IPADDRESSPOOL SELECTORS": _json(spec.get("ipAddressPoolSelectors")),
        "PEERS": _json(spec.get("peers")),
    }


def servicel2status(obj: KubeObject, _now: float) -> Row:
    """Return the row of a ServiceL2Status."""
    status = obj.get("status") or {}
    return {
        **_where(obj),
        "ALLOCATED NODE": status.get("node", ""),
        "SERVICE NAME": status.get("serviceName", ""),
        "SERVICE NAMESPACE": status.get("serviceNamespace", ""),
    }


def any_object(obj: KubeObject, now: float) -> Row:
    """Return the row of an object whose kind has no columns of its own."""
    return {**_where(obj), "AGE": _age_of(obj, now)}


PRINTERS: dict[str, Callable[[KubeObject, float], Row]] = {
    "nodes": node, "pods": pod, "services": service, "endpointslices": endpointslice, "events": event,
    "ipaddresspools": ipaddresspool, "l2advertisements": l2advertisement, "bgppeers": bgppeer,
    "bgpadvertisements": bgpadvertisement, "servicel2statuses": servicel2status,
}  # fmt: skip


def rows(kind: str, objects: Sequence[KubeObject], now: float) -> list[Row]:
    """Return the rows of `kubectl get KIND -A -o wide` at the moment `now` (Unix seconds).

    `kind` may have any spelling that kubectl accepts. Events are sorted by creation.
    """
    kind = plural(kind)
    if kind == "events":
        objects = sorted(objects, key=lambda obj: obj["metadata"]["creationTimestamp"])
    return [PRINTERS.get(kind, any_object)(obj, now) for obj in objects]


def columns(kind: str) -> list[str]:
    """Return the headers of a kind's table, for a table without rows."""
    stamp = "1970-01-01T00:00:00Z"
    blank: KubeObject = {
        "kind": "", "metadata": {"name": "", "namespace": "", "creationTimestamp": stamp}, "addressType": "",
        "spec": {"containers": []}, "involvedObject": {"kind": "", "name": ""},
    }  # fmt: skip
    return list(PRINTERS.get(plural(kind), any_object)(blank, 0.0))
