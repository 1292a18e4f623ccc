"""When has an act settled, live? What is still missing, in words, until nothing is; and then quiet."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from kanslib.cluster import docker
from kanslib.cluster.api import Watches
from kanslib.cluster.docker import CLIENT, ROUTER, exec_in
from kanslib.exceptions import SettleTimeoutError
from kanslib.k8s.objects import KubeObject, endpoints_of, external_address, is_ready, newest_leaders
from kanslib.recording.raw import settling

Say = Callable[[str], None]
Missing = Callable[[], Iterator[str]]
QUIET_S = 2.0  # seconds without a telling change after which nothing more is expected


def until_settled(name: str, watches: Watches, missing: Missing, since: float, say: Say, timeout: float) -> float:
    """Wait until nothing is missing and nothing has changed for a while.

    Returns the moment (Unix seconds) of the last change, or of the last thing that was missing.
    Raises SettleTimeoutError.
    """
    began, complete = time.time(), 0.0
    while True:
        still = list(missing())
        now = time.time()
        if still:
            complete = 0.0
            say(f"{name}: {now - since:.0f} s · waiting for {still[0]}")
        complete = complete or (0.0 if still else now)
        last = max([since, *(t for t in settling.changes(watches.all()) if t >= since)])
        if complete and now - max(last, since) >= QUIET_S:
            return max(last, complete if complete - began > 1 else last)
        if now - began > timeout:
            raise SettleTimeoutError(name, now - since, still or ["a moment of quiet"])
        time.sleep(0.25)


def up_nodes(lost: Collection[str] = ()) -> list[str]:
    """The nodes that run and can be asked."""
    return [one.name for one in docker.containers().values() if _up(one, lost)]


def _up(one: docker.Container, lost: Collection[str]) -> bool:
    return not one.owned and one.running and one.name not in lost


# ── what can be missing ──────────────────────────────────────────────────────────────────────────────────


def pods(watches: Watches, lost: Collection[str] = ()) -> Iterator[str]:
    """Pods that are not ready yet or not gone yet; those on lost nodes are not waited for."""
    for pod in watches.objects("pods"):
        meta, node = pod["metadata"], pod["spec"].get("nodeName", "")
        if meta["namespace"] == "kube-system" or node in lost:
            continue
        if meta.get("deletionTimestamp"):
            yield f"Pod {meta['name']} to be gone"
        elif not is_ready(pod):
            yield f"Pod {meta['name']} to be ready"


def metallb(watches: Watches) -> Iterator[str]:
    """What MetalLB lacks to work: its controller, a speaker on each node, its webhook."""
    ready = {d["metadata"]["name"]: d.get("status", {}).get("readyReplicas", 0) for d in watches.objects("deployments")}
    if not ready.get("controller"):
        yield "MetalLB's controller"
    for daemons in watches.objects("daemonsets"):
        if daemons["metadata"]["name"] == "speaker":
            status = daemons.get("status", {})
            wanted, there = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
            if there < wanted or status.get("observedGeneration") != daemons["metadata"].get("generation"):
                yield f"speakers ({there} of {wanted} ready)"
    webhook = endpoints_of(watches.objects("endpointslices"), "metallb-webhook-service")
    if not any(endpoint.get("conditions", {}).get("ready") for endpoint in webhook):
        yield "MetalLB's webhook"


def installed(watches: Watches) -> bool:
    """True when MetalLB is there and not on its way out."""
    return any(
        space["metadata"]["name"] == "metallb-system" and not space["metadata"].get("deletionTimestamp")
        for space in watches.objects("namespaces")
    )


def addresses(watches: Watches) -> Iterator[str]:
    """LoadBalancers that have neither an address nor a reason why not."""
    if not installed(watches) or not watches.objects("ipaddresspools"):
        return
    refused = {
        event["involvedObject"].get("uid")
        for event in watches.objects("events")
        if event.get("reason") in ("AllocationFailed", "LoadBalancerFailed")
    }
    for service in load_balancers(watches):
        if not external_address(service) and service["metadata"]["uid"] not in refused:
            yield f"an address for {service['metadata']['name']}"


def load_balancers(watches: Watches) -> list[KubeObject]:
    """The Services of type LoadBalancer."""
    return [service for service in watches.objects("services") if service["spec"].get("type") == "LoadBalancer"]


def rules(watches: Watches, lost: Collection[str] = ()) -> Iterator[str]:
    """Nodes whose rules do not yet say what the Services and their endpoints say."""
    wanted = {
        (external_address(s), *service_endpoints(watches, s)) for s in load_balancers(watches) if external_address(s)
    }
    wanted = {row for row in wanted if len(row) > 1}
    for node in up_nodes(lost):
        there = programmed_endpoints(exec_in(node, "iptables -w -t nat -S", timeout=30).out)
        if there != wanted:
            yield f"the rules of {node}"


def service_endpoints(watches: Watches, service: KubeObject) -> list[str]:
    return sorted(
        address
        for endpoint in endpoints_of(watches.objects("endpointslices"), service["metadata"]["name"])
        if endpoint.get("conditions", {}).get("ready", True)
        for address in endpoint["addresses"]
    )


def programmed_endpoints(dump: str) -> set[tuple[str, ...]]:
    """The external addresses in a node's nat rules, each with the endpoints that its Service's chain leads to."""
    found = set()
    for vip, service in re.findall(r'-d ([\d.]+)/32 .*--comment "(\S+) loadbalancer IP"', dump):
        ends = re.findall(rf'--comment "{re.escape(service)} -> ([\d.]+):\d+"', dump)
        found.add((vip, *sorted(set(ends))))
    return found


def leaders(watches: Watches) -> dict[str, str]:
    """The newest layer 2 claim for each Service that exists: its name and the node."""
    claims = newest_leaders(watches.objects("events"))
    uids = {service["metadata"]["name"]: service["metadata"]["uid"] for service in load_balancers(watches)}
    return {name: claims[uid] for name, uid in uids.items() if uid in claims}


def node_recovered(watches: Watches, node: str, before: Mapping[str, str]) -> Iterator[str]:
    """What a node that returned still lacks: readiness, its Pods, the Services that it led before."""
    ready = {n["metadata"]["name"]: is_ready(n) for n in watches.objects("nodes")}
    if not ready.get(node):
        yield f"{node} to be Ready"
    yield from pods(watches)
    yield from rules(watches)
    if watches.objects("l2advertisements"):
        now, vips = leaders(watches), {s["metadata"]["name"]: external_address(s) for s in load_balancers(watches)}
        for name, who in before.items():
            # a speaker that starts alone claims everything for a moment, and nobody takes the event back: ask the wire
            if now.get(name) != who and not vips_held(vips.get(name, ""), who):
                yield f"{name} to be led by {who} again"


def vips_held(vip: str, node: str) -> bool:
    """True when this node, and no other machine, answers ARP for an address."""
    said = exec_in(CLIENT, f"arp-scan --interface=eth0 {vip}").out if vip else ""
    macs = set(re.findall(rf"(?m)^{re.escape(vip)}\t(\S+)", said))
    there = docker.containers().get(node)
    return there is not None and macs == {there.mac}


def node_lost(watches: Watches, node: str, lost: float) -> Iterator[str]:
    """Who has not noticed yet that a node was lost at `lost` (Unix seconds)."""
    if settling.settled_after_loss(watches.all(), node, lost, float("inf")) is None:
        ready = {n["metadata"]["name"]: is_ready(n) for n in watches.objects("nodes")}
        layer2 = watches.objects("l2advertisements")
        led = [name for name, leader in leaders(watches).items() if leader == node] if layer2 else []
        yield from (f"another leader for {name}" for name in led)
        if ready.get(node):
            yield f"{node} to be NotReady"
        elif not led:
            yield "its endpoints to leave"
    yield from rules(watches, {node})


def bgp_sessions(watches: Watches, lost: Collection[str] = ()) -> Iterator[str]:
    """BGP sessions and routes that are not there yet, where a router runs and MetalLB was told of it."""
    there = docker.containers()
    if ROUTER not in there or not watches.objects("bgppeers"):
        return
    nodes = {name: one.address for name, one in there.items() if _up(one, lost) and one.address}
    summary = exec_in(ROUTER, "vtysh -c 'show bgp ipv4 unicast summary'").out
    up = {line.split()[0] for line in summary.splitlines() if re.match(r"\d+\.\d+\.\d+\.\d+ .* \d+ +\d+ N/A$", line)}
    yield from (f"the BGP session of {node}" for node, address in nodes.items() if address not in up)
    if watches.objects("bgpadvertisements"):
        routes = exec_in(ROUTER, "vtysh -c 'show ip route bgp'").out
        for service in load_balancers(watches):
            vip = external_address(service)
            if vip and service_endpoints(watches, service) and f"{vip}/32" not in routes:
                yield f"a route to {service['metadata']['name']}"


def all_ready(watches: Watches, lost: Sequence[str] = ()) -> Iterator[str]:
    """All that an apply or a delete may have to wait for."""
    yield from pods(watches, lost)
    if installed(watches):
        yield from metallb(watches) if not lost else ()
    yield from addresses(watches)
    yield from rules(watches, lost)
    yield from bgp_sessions(watches, lost)
