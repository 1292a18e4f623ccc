"""What may be done to the course's own cluster, and how each is undone. Every function asks the guard first.

Each returns the commands that it ran. What is in force is always looked up, never remembered: a kernel that
was killed in the middle leaves nothing behind that the next one would not find.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from kanslib.actions import ACTIONS, ActiveAction, Verb
from kanslib.cluster import docker, lifecycle
from kanslib.cluster.api import CONTROL_PLANE, kubectl
from kanslib.cluster.docker import (
    CLIENT,
    CLIENT_IMAGE,
    CONFLICTING_HOST,
    ROUTER,
    ROUTER_IMAGE,
    CommandResult,
    check,
    exec_in,
)
from kanslib.course.addressing import address_plan
from kanslib.course.stories import EXCLUDE_LABEL
from kanslib.exceptions import ClusterError, UnknownNameError, UnsupportedError
from kanslib.k8s.objects import KubeObject

_NOWHERE = "no-such"
_ROUTER_START = (
    "sysctl -w net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1 "
    "net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0; "
    "ip addr add 10.99.0.1/32 dev lo; sed -i s/bgpd=no/bgpd=yes/ /etc/frr/daemons; "
    "/usr/lib/frr/frrinit.sh start; sleep infinity"
)


# ── objects ──────────────────────────────────────────────────────────────────────────────────────────────


def apply(manifest: str) -> CommandResult:
    """`kubectl apply -f -`. Asks again while MetalLB's webhook is starting."""
    import time

    lifecycle.guard()
    for _ in range(30):
        ran = kubectl("apply -f -", manifest)
        if ran.rc == 0 or "failed calling webhook" not in ran.err:
            break
        time.sleep(1)
    return check(ran)


def delete(references: Sequence[str]) -> list[CommandResult]:
    """`kubectl delete`, one command a namespace; what is not there is passed over."""
    lifecycle.guard()
    spaces: dict[str, list[str]] = {}
    for reference in references:
        kind, _, name = reference.partition("/")
        system = kind.startswith(("ipaddresspool", "l2adv", "bgp")) or name.startswith(("speaker", "controller"))
        spaces.setdefault("metallb-system" if system else "default", []).append(reference)
    done = [kubectl(f"delete -n {space} --ignore-not-found {' '.join(refs)}") for space, refs in spaces.items()]
    return [check(ran) for ran in done]


def install_metallb(manifest: str) -> CommandResult:
    """`kubectl apply` of MetalLB's own manifest."""
    lifecycle.guard()
    return check(kubectl("apply -f -", manifest))


def uninstall_metallb(manifest: str) -> CommandResult:
    """`kubectl delete` of MetalLB's own manifest."""
    lifecycle.guard()
    return check(kubectl("delete --ignore-not-found --timeout=100s -f -", manifest, timeout=150))


def label(node: str, labels: Sequence[str]) -> CommandResult:
    """`kubectl label node`."""
    lifecycle.guard()
    return check(kubectl(f"label node {node} {' '.join(labels)} --overwrite"))


def speakers(wanted: bool) -> CommandResult:
    """Let the speakers run everywhere, or (with a node selector that nothing carries) nowhere."""
    lifecycle.guard()
    selector = {"kubernetes.io/os": "linux", _NOWHERE: None if wanted else "label"}
    patch = json.dumps({"spec": {"template": {"spec": {"nodeSelector": selector}}}})
    return check(kubectl(f"patch ds speaker -n metallb-system --type merge -p '{patch}'"))


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────


def _worker(node: str) -> None:
    lifecycle.guard()
    if node == CONTROL_PLANE:
        raise ClusterError(
            f"{node} is left alone: without its API server nobody could tell what happens next. Choose a worker"
        )


def kill_node(node: str) -> CommandResult:
    """`docker kill` a worker, as a power cut would."""
    _worker(node)
    return check(docker.docker("kill", "--signal", "KILL", node))


def start_node(node: str) -> CommandResult:
    """`docker start` a killed worker."""
    _worker(node)
    return check(docker.docker("start", node))


def link_down(node: str) -> CommandResult:
    """Take a worker's interface down."""
    _worker(node)
    return check(exec_in(node, "ip link set eth0 down"))


def link_up(node: str) -> CommandResult:
    """Bring a worker's interface up again, with the default route that went with it."""
    _worker(node)
    found = docker.network()
    gateway = found.gateway if found else ""
    return check(exec_in(node, f"ip link set eth0 up; ip route replace default via {gateway}"))


# ── beside the cluster ───────────────────────────────────────────────────────────────────────────────────


def _network() -> docker.Network:
    found = docker.network()
    if found is None:
        raise ClusterError(f"the Docker network {docker.network_name()} is gone: kans down, then kans up")
    return found


def start_router() -> list[CommandResult]:
    """Start FRR beside the cluster, with a session to each node. UnsupportedError where its image cannot be had."""
    lifecycle.guard()
    there = docker.containers()
    nodes = [one.address for one in there.values() if not one.owned and one.address]
    done = []
    if ROUTER not in there:
        ran = docker.start(
            ROUTER,
            ROUTER_IMAGE,
            address_plan(_network().subnet).router,
            "--privileged",
            run=("sh", "-c", _ROUTER_START),
        )
        if ran.rc:
            docker.docker("rm", "-f", ROUTER)
            raise UnsupportedError("a BGP router", f"{ROUTER_IMAGE} cannot be started: {docker.error_summary(ran)}")
        done.append(ran)
        _wait_for_vtysh()
    lines = [
        "configure terminal", "router bgp 65001", "bgp router-id 10.99.0.1", "no bgp ebgp-requires-policy",
        "no bgp default ipv4-unicast", "neighbor MLB peer-group", "neighbor MLB remote-as 65000",
        "neighbor MLB timers 3 9", "bgp bestpath as-path multipath-relax",
        *(f"neighbor {address} peer-group MLB" for address in nodes),
        "address-family ipv4 unicast", "neighbor MLB activate", "maximum-paths 8", "exit-address-family",
    ]  # fmt: skip
    return [*done, check(exec_in(ROUTER, "vtysh " + " ".join(f"-c '{line}'" for line in lines)))]


def _wait_for_vtysh() -> None:
    import time

    for _ in range(60):
        if "bgpd" in exec_in(ROUTER, "vtysh -c 'show daemons'").out:
            return
        time.sleep(0.5)
    raise UnsupportedError("a BGP router", "bgpd did not start in the router's container within 30 s")


def stop_router() -> CommandResult:
    """Remove the router's container."""
    lifecycle.guard()
    return check(docker.docker("rm", "-f", "-v", ROUTER))


def route_client() -> CommandResult:
    """Send the client's traffic for the pool to the router."""
    lifecycle.guard()
    mine = address_plan(_network().subnet)
    script = "; ".join(f"ip route replace {net} via {mine.router}" for net in mine.pool_networks)
    return check(exec_in(CLIENT, script))


def unroute_client() -> CommandResult:
    """Take that route away again."""
    lifecycle.guard()
    script = "; ".join(f"ip route del {net}" for net in address_plan(_network().subnet).pool_networks)
    return exec_in(CLIENT, script)


def add_conflicting_host(address: str) -> CommandResult:
    """Start a container that holds an address of the pool."""
    lifecycle.guard()
    return check(docker.start(CONFLICTING_HOST, CLIENT_IMAGE, address))


def remove_conflicting_host() -> CommandResult:
    """Remove that container."""
    lifecycle.guard()
    return check(docker.docker("rm", "-f", "-v", CONFLICTING_HOST))


def flush_client() -> CommandResult:
    """Let the client forget every neighbor."""
    lifecycle.guard()
    return exec_in(CLIENT, "ip neigh flush dev eth0")


# ── what is in force ─────────────────────────────────────────────────────────────────────────────────────


def active_actions(objects: Callable[[str], list[KubeObject]] | None = None) -> list[ActiveAction]:
    """What of all this is in force on the cluster now: looked up in Docker, on the nodes and in the API.

    `objects` answers for the API where somebody watches it already.
    """
    there = docker.containers()
    # one after the other: this runs at exit as well, when Python starts no threads any more
    found = [one for container in there.values() for one in _active_at(container)]
    found.sort(key=lambda one: one.target != CONTROL_PLANE)  # undone first: the others are asked through it
    return [*found, *_in_the_api(objects or _asked)]


def _active_at(one: docker.Container) -> list[ActiveAction]:
    if one.name == CONFLICTING_HOST:
        return [ActiveAction("add_conflicting_host", one.name)]
    if one.name == ROUTER:
        return [ActiveAction("start_router", one.name)]
    if one.name == CLIENT:
        routed = one.running and "via" in exec_in(CLIENT, "ip route show | grep -v ^default").out
        return [ActiveAction("route_client")] if routed else []
    if one.owned:
        return []
    if not one.running:
        return [ActiveAction("kill_node", one.name)]
    cut = one.name != CONTROL_PLANE and "state DOWN" in exec_in(one.name, "ip link show eth0").out
    return [ActiveAction("link_down", one.name)] if cut else []


def _asked(kind: str) -> list[KubeObject]:
    if not lifecycle.control_plane_up():
        return []
    ran = kubectl(f"get {kind} -A -o json --request-timeout=10s", timeout=30)
    return list(json.loads(ran.out)["items"]) if ran.rc == 0 else []


def _in_the_api(objects: Callable[[str], list[KubeObject]]) -> Iterator[ActiveAction]:
    for node in objects("nodes"):
        if EXCLUDE_LABEL in node["metadata"].get("labels", {}) and node["metadata"]["name"] != CONTROL_PLANE:
            yield ActiveAction("label", node["metadata"]["name"])
    for daemons in objects("daemonsets"):
        if _NOWHERE in (daemons["spec"]["template"]["spec"].get("nodeSelector") or {}):
            yield ActiveAction("stop_speakers", "ds/speaker")


def undo(one: ActiveAction) -> list[CommandResult]:
    """Undo one action that is active."""
    if one.verb == "kill_node" and one.target == CONTROL_PLANE:
        return [docker.docker("start", CONTROL_PLANE)]
    targets = (one.target, f"{EXCLUDE_LABEL}-") if one.verb == "label" else (one.target,)
    return perform(one.inverse, targets)


def perform(verb: Verb, targets: Sequence[str]) -> list[CommandResult]:  # noqa: PLR0912 (one case an action)
    """Do an action of ACTIONS that changes no objects, and return the commands that ran."""
    match verb:
        case "kill_node":
            return [kill_node(targets[0])]
        case "start_node":
            return [start_node(targets[0])]
        case "link_down":
            return [link_down(targets[0])]
        case "link_up":
            return [link_up(targets[0])]
        case "label":
            return [label(targets[0], targets[1:])]
        case "start_router":
            return start_router()
        case "stop_router":
            return [stop_router()]
        case "route_client":
            return [route_client()]
        case "unroute_client":
            return [unroute_client()]
        case "add_conflicting_host":
            return [add_conflicting_host(targets[1]), flush_client()]
        case "remove_conflicting_host":
            return [remove_conflicting_host()]
        case "stop_speakers":
            return [speakers(wanted=False)]
        case "start_speakers":
            return [speakers(wanted=True)]
        case "install_metallb":
            return [install_metallb(lifecycle.metallb_manifest())]
        case _:
            raise UnknownNameError("action", verb, ACTIONS)
