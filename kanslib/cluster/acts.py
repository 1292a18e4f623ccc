"""What may be done to the course's own cluster, and how each is undone. Every function asks the guard first.

Each returns the commands that it ran. What is in force is always looked up, never remembered: a kernel that
was killed in the middle leaves nothing behind that the next one would not find.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kanslib.addressing import plan
from kanslib.cluster import docker, setup
from kanslib.cluster.docker import CLIENT, CLIENT_IMAGE, ROUTER, ROUTER_IMAGE, SQUATTER, Ran, checked, inside
from kanslib.cluster.kube import CONTROL_PLANE, kubectl
from kanslib.course import EXCLUDE
from kanslib.errors import ClusterError, NotServed
from kanslib.objects import KubeObject
from kanslib.recording.format import Verb

_NOWHERE = "no-such"
_ROUTER_START = (
    "sysctl -w net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1 "
    "net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0; "
    "ip addr add 10.99.0.1/32 dev lo; sed -i s/bgpd=no/bgpd=yes/ /etc/frr/daemons; "
    "/usr/lib/frr/frrinit.sh start; sleep infinity"
)
UNDO: dict[Verb, Verb] = {
    "kill_node": "start_node", "cut_link": "mend_link", "start_router": "stop_router",
    "route_client": "unroute_client", "add_squatter": "remove_squatter",
}  # fmt: skip


# ── objects ──────────────────────────────────────────────────────────────────────────────────────────────


def apply(manifest: str) -> Ran:
    """`kubectl apply -f -`. Asks again while MetalLB's webhook is starting."""
    import time

    setup.guard()
    for _ in range(30):
        ran = kubectl("apply -f -", manifest)
        if ran.rc == 0 or "failed calling webhook" not in ran.err:
            break
        time.sleep(1)
    return checked(ran)


def delete(references: Sequence[str]) -> list[Ran]:
    """`kubectl delete`, one command a namespace; what is not there is passed over."""
    setup.guard()
    spaces: dict[str, list[str]] = {}
    for reference in references:
        kind, _, name = reference.partition("/")
        system = kind.startswith(("ipaddresspool", "l2adv", "bgp")) or name.startswith(("speaker", "controller"))
        spaces.setdefault("metallb-system" if system else "default", []).append(reference)
    done = [kubectl(f"delete -n {space} --ignore-not-found {' '.join(refs)}") for space, refs in spaces.items()]
    return [checked(ran) for ran in done]


def install_metallb(manifest: str) -> Ran:
    """`kubectl apply` of MetalLB's own manifest."""
    setup.guard()
    return checked(kubectl("apply -f -", manifest))


def uninstall_metallb(manifest: str) -> Ran:
    """`kubectl delete` of MetalLB's own manifest."""
    setup.guard()
    return checked(kubectl("delete --ignore-not-found --timeout=100s -f -", manifest, timeout=150))


def label(node: str, labels: Sequence[str]) -> Ran:
    """`kubectl label node`."""
    setup.guard()
    return checked(kubectl(f"label node {node} {' '.join(labels)} --overwrite"))


def speakers(wanted: bool) -> Ran:
    """Let the speakers run everywhere, or (with a node selector that nothing carries) nowhere."""
    setup.guard()
    selector = {"kubernetes.io/os": "linux", _NOWHERE: None if wanted else "label"}
    patch = json.dumps({"spec": {"template": {"spec": {"nodeSelector": selector}}}})
    return checked(kubectl(f"patch ds speaker -n metallb-system --type merge -p '{patch}'"))


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────


def _worker(node: str) -> None:
    setup.guard()
    if node == CONTROL_PLANE:
        raise ClusterError(
            f"{node} is left alone: without its API server nobody could tell what happens next. Choose a worker"
        )


def kill_node(node: str) -> Ran:
    """`docker kill` a worker, as a power cut would."""
    _worker(node)
    return checked(docker.docker("kill", "--signal", "KILL", node))


def start_node(node: str) -> Ran:
    """`docker start` a killed worker."""
    _worker(node)
    return checked(docker.docker("start", node))


def cut_link(node: str) -> Ran:
    """Take a worker's interface down."""
    _worker(node)
    return checked(inside(node, "ip link set eth0 down"))


def mend_link(node: str) -> Ran:
    """Bring a worker's interface up again, with the default route that went with it."""
    _worker(node)
    found = docker.network()
    gateway = found.gateway if found else ""
    return checked(inside(node, f"ip link set eth0 up; ip route replace default via {gateway}"))


# ── beside the cluster ───────────────────────────────────────────────────────────────────────────────────


def _network() -> docker.Network:
    found = docker.network()
    if found is None:
        raise ClusterError(f"the Docker network {docker.network_name()} is gone: kans down, then kans up")
    return found


def start_router() -> list[Ran]:
    """Start FRR beside the cluster, with a session to each node. NotServed where its image cannot be had."""
    setup.guard()
    there = docker.containers()
    nodes = [one.address for one in there.values() if not one.owned and one.address]
    done = []
    if ROUTER not in there:
        ran = docker.start(
            ROUTER, ROUTER_IMAGE, plan(_network().subnet).router, "--privileged", run=("sh", "-c", _ROUTER_START)
        )
        if ran.rc:
            docker.docker("rm", "-f", ROUTER)
            raise NotServed("a BGP router", f"{ROUTER_IMAGE} cannot be started: {docker.complaint(ran)}")
        done.append(ran)
        _wait_for_vtysh()
    lines = [
        "configure terminal", "router bgp 65001", "bgp router-id 10.99.0.1", "no bgp ebgp-requires-policy",
        "no bgp default ipv4-unicast", "neighbor MLB peer-group", "neighbor MLB remote-as 65000",
        "neighbor MLB timers 3 9", "bgp bestpath as-path multipath-relax",
        *(f"neighbor {address} peer-group MLB" for address in nodes),
        "address-family ipv4 unicast", "neighbor MLB activate", "maximum-paths 8", "exit-address-family",
    ]  # fmt: skip
    return [*done, checked(inside(ROUTER, "vtysh " + " ".join(f"-c '{line}'" for line in lines)))]


def _wait_for_vtysh() -> None:
    import time

    for _ in range(60):
        if "bgpd" in inside(ROUTER, "vtysh -c 'show daemons'").out:
            return
        time.sleep(0.5)
    raise NotServed("a BGP router", "bgpd did not start in the router's container within 30 s")


def stop_router() -> Ran:
    """Remove the router's container."""
    setup.guard()
    return checked(docker.docker("rm", "-f", "-v", ROUTER))


def route_client() -> Ran:
    """Send the client's traffic for the pool to the router."""
    setup.guard()
    mine = plan(_network().subnet)
    script = "; ".join(f"ip route replace {net} via {mine.router}" for net in mine.pool_networks)
    return checked(inside(CLIENT, script))


def unroute_client() -> Ran:
    """Take that route away again."""
    setup.guard()
    script = "; ".join(f"ip route del {net}" for net in plan(_network().subnet).pool_networks)
    return inside(CLIENT, script)


def add_squatter(address: str) -> Ran:
    """Start a container that holds an address of the pool."""
    setup.guard()
    return checked(docker.start(SQUATTER, CLIENT_IMAGE, address))


def remove_squatter() -> Ran:
    """Remove that container."""
    setup.guard()
    return checked(docker.docker("rm", "-f", "-v", SQUATTER))


def flush_client() -> Ran:
    """Let the client forget every neighbour."""
    setup.guard()
    return inside(CLIENT, "ip neigh flush dev eth0")


# ── what is in force ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class InForce:
    """A failure or a helper that is in force now, and the act that undoes it."""

    verb: Verb
    target: str

    @property
    def undo(self) -> Verb:
        return UNDO.get(self.verb, self.verb)


def in_force(objects: Callable[[str], list[KubeObject]] | None = None) -> list[InForce]:
    """What of all this is in force on the cluster now: looked up in Docker, on the nodes and in the API.

    `objects` answers for the API where somebody watches it already.
    """
    there = docker.containers()
    # one after the other: this runs at exit as well, when Python starts no threads any more
    found = [one for container in there.values() for one in _in_force_at(container)]
    found.sort(key=lambda one: one.target != CONTROL_PLANE)  # undone first: the others are asked through it
    return [*found, *_in_the_api(objects or _asked)]


def _in_force_at(one: docker.Container) -> list[InForce]:
    beside: dict[str, Verb] = {SQUATTER: "add_squatter", ROUTER: "start_router"}
    if one.name in beside:
        return [InForce(beside[one.name], one.name)]
    if one.name == CLIENT:
        routed = one.running and "via" in inside(CLIENT, "ip route show | grep -v ^default").out
        return [InForce("route_client", "")] if routed else []
    if one.owned:
        return []
    if not one.running:
        return [InForce("kill_node", one.name)]
    cut = one.name != CONTROL_PLANE and "state DOWN" in inside(one.name, "ip link show eth0").out
    return [InForce("cut_link", one.name)] if cut else []


def _asked(kind: str) -> list[KubeObject]:
    if not setup.control_plane_up():
        return []
    ran = kubectl(f"get {kind} -A -o json --request-timeout=10s", timeout=30)
    return list(json.loads(ran.out)["items"]) if ran.rc == 0 else []


def _in_the_api(objects: Callable[[str], list[KubeObject]]) -> Iterator[InForce]:
    for node in objects("nodes"):
        if EXCLUDE in node["metadata"].get("labels", {}) and node["metadata"]["name"] != CONTROL_PLANE:
            yield InForce("label", node["metadata"]["name"])
    for daemons in objects("daemonsets"):
        if _NOWHERE in (daemons["spec"]["template"]["spec"].get("nodeSelector") or {}):
            yield InForce("patch", "ds/speaker")


def undo(one: InForce) -> list[Ran]:
    """Undo one act that is in force."""
    match one.verb:
        case "kill_node":
            if one.target == CONTROL_PLANE:
                return [docker.docker("start", CONTROL_PLANE)]
            return [start_node(one.target)]
        case "cut_link":
            return [mend_link(one.target)]
        case "add_squatter":
            return [remove_squatter()]
        case "route_client":
            return [unroute_client()]
        case "start_router":
            return [stop_router()]
        case "label":
            return [label(one.target, [f"{EXCLUDE}-"])]
        case _:
            return [speakers(wanted=True)]
