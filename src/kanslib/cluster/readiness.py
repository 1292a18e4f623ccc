"""Decide when an action has settled on a live cluster: what is still pending, until nothing is and no change follows.

Each `pending_…` yields the missing things as texts for the progress line; `lost`: nodes that cannot be reached.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from kanslib.cluster import docker
from kanslib.cluster.api import Watches
from kanslib.cluster.docker import CLIENT, ROUTER, exec_in
from kanslib.cluster.lifecycle import Notify
from kanslib.exceptions import SettleTimeoutError
from kanslib.i18n import tr
from kanslib.k8s.objects import KubeObject, endpoints_of, external_address, is_ready, newest_leaders
from kanslib.recording.raw import settling

Pending = Callable[[], Iterator[str]]
QUIET_S = 2.0  # seconds without a relevant change after which no more is expected


def wait_until_settled(
    name: str, watches: Watches, pending: Pending, since: float, notify: Notify, timeout: float
) -> float:
    """Wait until nothing is pending and nothing has changed for QUIET_S, and return when that was (Unix seconds).

    That is the last change, or the moment at which nothing was pending any more. `name`: the action, for messages.
    `since`: when it ended (Unix seconds). Raises SettleTimeoutError after `timeout` seconds.
    """
    began, complete = time.time(), 0.0
    while True:
        remaining = list(pending())
        now = time.time()
        if remaining:
            complete = 0.0
            notify(tr("{name}: waiting for {remaining}", name=name, remaining=remaining[0]))
        complete = complete or (0.0 if remaining else now)
        last = max([since, *(t for t in settling.changes(watches.all()) if t >= since)])
        if complete and now - max(last, since) >= QUIET_S:
            return max(last, complete if complete - began > 1 else last)
        if now - began > timeout:
            raise SettleTimeoutError(
                name, now - since, remaining or [tr("{quiet_s:.0f} s without a change", quiet_s=QUIET_S)]
            )
        time.sleep(0.25)


def running_nodes(lost: Collection[str] = ()) -> list[str]:
    """Return the names of the nodes that run and can be reached."""
    return [one.name for one in docker.containers().values() if _is_running_node(one, lost)]


def _is_running_node(one: docker.Container, lost: Collection[str]) -> bool:
    return not one.owned and one.running and one.name not in lost


# ── what can be pending ──────────────────────────────────────────────────────────────────────────────────


def pending_pods(watches: Watches, lost: Collection[str] = ()) -> Iterator[str]:
    """Yield Pods that are not ready yet, or not deleted yet; except those on lost nodes."""
    for pod in watches.objects("pods"):
        meta, node = pod["metadata"], pod["spec"].get("nodeName", "")
        if meta["namespace"] == "kube-system" or node in lost:
            continue
        if meta.get("deletionTimestamp"):
            yield tr("Pod {name} to be deleted", name=meta["name"])
        elif not is_ready(pod):
            yield tr("Pod {name} to be ready", name=meta["name"])


def pending_metallb(watches: Watches) -> Iterator[str]:
    """Yield what MetalLB lacks to work: its controller, a speaker on each node, its webhook."""
    ready = {d["metadata"]["name"]: d.get("status", {}).get("readyReplicas", 0) for d in watches.objects("deployments")}
    if not ready.get("controller"):
        yield "MetalLB's controller"
    for daemons in watches.objects("daemonsets"):
        if daemons["metadata"]["name"] == "speaker":
            status = daemons.get("status", {})
            desired, ready_count = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
            if ready_count < desired or status.get("observedGeneration") != daemons["metadata"].get("generation"):
                yield tr("speakers ({ready_count} of {desired} ready)", ready_count=ready_count, desired=desired)
    webhook = endpoints_of(watches.objects("endpointslices"), "metallb-webhook-service")
    if not any(endpoint.get("conditions", {}).get("ready") for endpoint in webhook):
        yield "MetalLB's webhook"


def metallb_installed(watches: Watches) -> bool:
    """Return True when MetalLB's namespace exists and is not being deleted."""
    return any(
        space["metadata"]["name"] == "metallb-system" and not space["metadata"].get("deletionTimestamp")
        for space in watches.objects("namespaces")
    )


def pending_addresses(watches: Watches) -> Iterator[str]:
    """Yield LoadBalancers that have neither an address nor an event that refuses one."""
    if not metallb_installed(watches) or not watches.objects("ipaddresspools"):
        return
    refused = {
        event["involvedObject"].get("uid")
        for event in watches.objects("events")
        if event.get("reason") in ("AllocationFailed", "LoadBalancerFailed")
    }
    for service in load_balancers(watches):
        if not external_address(service) and service["metadata"]["uid"] not in refused:
            yield tr("an address for {name}", name=service["metadata"]["name"])


def load_balancers(watches: Watches) -> list[KubeObject]:
    """Return the Services of type LoadBalancer."""
    return [service for service in watches.objects("services") if service["spec"].get("type") == "LoadBalancer"]


def pending_rules(watches: Watches, lost: Collection[str] = ()) -> Iterator[str]:
    """Yield nodes whose rules do not match the Services and their endpoints yet."""
    wanted = {
        (external_address(s), *service_endpoints(watches, s)) for s in load_balancers(watches) if external_address(s)
    }
    wanted = {row for row in wanted if len(row) > 1}
    for node in running_nodes(lost):
        if programmed_endpoints(exec_in(node, "iptables -w -t nat -S", timeout=30).out) != wanted:
            yield tr("the rules of {node}", node=node)


def service_endpoints(watches: Watches, service: KubeObject) -> list[str]:
    """Return the addresses of a Service's ready endpoints, sorted."""
    return sorted(
        address
        for endpoint in endpoints_of(watches.objects("endpointslices"), service["metadata"]["name"])
        if endpoint.get("conditions", {}).get("ready", True)
        for address in endpoint["addresses"]
    )


def programmed_endpoints(dump: str) -> set[tuple[str, ...]]:
    """Return the external addresses in a node's nat rules, each with the endpoints in its Service's chain.

    `dump`: what `iptables -t nat -S` printed.
    """
    found = set()
    for vip, service in re.findall(r'-d ([\d.]+)/32 .*--comment "(\S+) loadbalancer IP"', dump):
        endpoints = re.findall(rf'--comment "{re.escape(service)} -> ([\d.]+):\d+"', dump)
        found.add((vip, *sorted(set(endpoints))))
    return found


def leaders(watches: Watches) -> dict[str, str]:
    """Return the leader of each Service by name, from the newest leader events."""
    newest = newest_leaders(watches.objects("events"))
    uids = {service["metadata"]["name"]: service["metadata"]["uid"] for service in load_balancers(watches)}
    return {name: newest[uid] for name, uid in uids.items() if uid in newest}


def pending_after_return(watches: Watches, node: str, before: Mapping[str, str]) -> Iterator[str]:
    """Yield what a returned node still lacks: readiness, its Pods, the Services that it led `before`."""
    ready = {n["metadata"]["name"]: is_ready(n) for n in watches.objects("nodes")}
    if not ready.get(node):
        yield tr("{node} to be Ready", node=node)
    yield from pending_pods(watches)
    yield from pending_rules(watches)
    if watches.objects("l2advertisements"):
        now, vips = leaders(watches), {s["metadata"]["name"]: external_address(s) for s in load_balancers(watches)}
        for name, leader in before.items():
            # a speaker that starts alone announces everything for a moment, and its leader event stays: scan with ARP
            if now.get(name) != leader and not holds_address(vips.get(name, ""), leader):
                yield tr("{name} to be led by {leader} again", name=name, leader=leader)


def holds_address(address: str, node: str) -> bool:
    """Return True when this node, and no other machine, answers ARP for an address."""
    output = exec_in(CLIENT, f"arp-scan --interface=eth0 {address}").out if address else ""
    macs = set(re.findall(rf"(?m)^{re.escape(address)}\t(\S+)", output))
    container = docker.containers().get(node)
    return container is not None and macs == {container.mac}


def pending_after_loss(watches: Watches, node: str, lost: float) -> Iterator[str]:
    """Yield what has not reacted yet to the loss of a node at `lost` (Unix seconds)."""
    if settling.settled_after_loss(watches.all(), node, lost, float("inf")) is None:
        ready = {n["metadata"]["name"]: is_ready(n) for n in watches.objects("nodes")}
        layer2 = watches.objects("l2advertisements")
        led = [name for name, leader in leaders(watches).items() if leader == node] if layer2 else []
        yield from (tr("another leader for {name}", name=name) for name in led)
        if ready.get(node):
            yield tr("{node} to be NotReady", node=node)
        elif not led:
            yield tr("its endpoints to be removed")
    yield from pending_rules(watches, {node})


def pending_bgp(watches: Watches, lost: Collection[str] = ()) -> Iterator[str]:
    """Yield missing BGP sessions and routes, where a router runs and MetalLB has a BGPPeer."""
    containers = docker.containers()
    if ROUTER not in containers or not watches.objects("bgppeers"):
        return
    nodes = {name: one.address for name, one in containers.items() if _is_running_node(one, lost) and one.address}
    summary = exec_in(ROUTER, "vtysh -c 'show bgp ipv4 unicast summary'").out
    established = {
        line.split()[0] for line in summary.splitlines() if re.match(r"\d+\.\d+\.\d+\.\d+ .* \d+ +\d+ N/A$", line)
    }
    yield from (
        tr("the BGP session of {node}", node=node) for node, address in nodes.items() if address not in established
    )
    if watches.objects("bgpadvertisements"):
        routes = exec_in(ROUTER, "vtysh -c 'show ip route bgp'").out
        for service in load_balancers(watches):
            vip = external_address(service)
            if vip and service_endpoints(watches, service) and f"{vip}/32" not in routes:
                yield tr("a route to {name}", name=service["metadata"]["name"])


def pending_anywhere(watches: Watches, lost: Sequence[str] = ()) -> Iterator[str]:
    """Yield everything that may be pending after an apply or a delete."""
    yield from pending_pods(watches, lost)
    if metallb_installed(watches):
        yield from pending_metallb(watches) if not lost else ()
    yield from pending_addresses(watches)
    yield from pending_rules(watches, lost)
    yield from pending_bgp(watches, lost)
