"""The actions on the course's cluster and their inverses. Every function calls the guard first.

Each returns the commands that it ran. Active actions are always read from the cluster and never remembered, so
that the next process finds what a killed one left behind. The guard raises BackendUnavailableError for a cluster
that `kans up` did not create; a failed command raises ClusterError. What a component of the cluster refuses is a
result, which `kanslib.k8s.refusals` reads.
"""

from __future__ import annotations

import json
import shlex
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
from kanslib.cluster.retries import retry_until
from kanslib.course.addressing import address_plan
from kanslib.course.router import course_router, vtysh_commands
from kanslib.course.stories import EXCLUDE_LABEL
from kanslib.exceptions import ClusterError, UnknownNameError, UnsupportedError
from kanslib.i18n import tr
from kanslib.k8s.manifest import parse_reference
from kanslib.k8s.objects import KubeObject
from kanslib.k8s.refusals import read_refusal

_ABSENT_LABEL = "no-such"
_ROUTER_START = (
    "sysctl -w net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1 "
    "net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0; "
    "ip addr add 10.99.0.1/32 dev lo; sed -i s/bgpd=no/bgpd=yes/ /etc/frr/daemons; "
    "/usr/lib/frr/frrinit.sh start; sleep infinity"
)


# ── objects ──────────────────────────────────────────────────────────────────────────────────────────────


def apply(manifest: str) -> CommandResult:
    """Run `kubectl apply -f -`; repeat it for up to 30 s while MetalLB's webhook is starting."""
    lifecycle.guard()
    retrying = retry_until(lambda result: "failed calling webhook" not in result.err, every=1, seconds=30)
    return _check_answered(retrying(kubectl, "apply -f -", manifest))


def _check_answered(result: CommandResult) -> CommandResult:
    """Return the result of kubectl, also where somebody refuses. Raises ClusterError for any other failure."""
    return result if read_refusal(result.err) else check(result)


def delete(references: Sequence[str]) -> list[CommandResult]:
    """Run `kubectl delete --ignore-not-found`, one command a namespace."""
    lifecycle.guard()
    namespaces: dict[str, list[str]] = {}
    for reference in references:
        _, namespace, name = parse_reference(reference)
        namespaces.setdefault(namespace or "default", []).append(f"{reference.partition('/')[0]}/{name}")
    return [
        _check_answered(kubectl(f"delete -n {namespace} --ignore-not-found {' '.join(names)}"))
        for namespace, names in namespaces.items()
    ]


def install_metallb(manifest: str) -> CommandResult:
    """Apply MetalLB's own manifest."""
    lifecycle.guard()
    return check(kubectl("apply -f -", manifest))


def uninstall_metallb(manifest: str) -> CommandResult:
    """Delete the objects of MetalLB's own manifest."""
    lifecycle.guard()
    return check(kubectl("delete --ignore-not-found --timeout=100s -f -", manifest, timeout=150))


def label(node: str, labels: Sequence[str]) -> CommandResult:
    """Run `kubectl label node`; `key-` removes a label."""
    lifecycle.guard()
    return _check_answered(kubectl(f"label node {node} {' '.join(map(shlex.quote, labels))} --overwrite"))


def stop_speakers() -> CommandResult:
    """Let the speakers run nowhere: their DaemonSet selects a label that no node has."""
    return _select_speaker_nodes("label")


def start_speakers() -> CommandResult:
    """Let the speakers run on every node again."""
    return _select_speaker_nodes(None)


def _select_speaker_nodes(absent_label: str | None) -> CommandResult:
    lifecycle.guard()
    selector = {"kubernetes.io/os": "linux", _ABSENT_LABEL: absent_label}
    patch = json.dumps({"spec": {"template": {"spec": {"nodeSelector": selector}}}})
    return check(kubectl(f"patch ds speaker -n metallb-system --type merge -p '{patch}'"))


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────


def _guard_worker(node: str) -> None:
    lifecycle.guard()
    if node == CONTROL_PLANE:
        raise ClusterError(
            tr("{node} is refused: the course needs its API server to see what happens. Choose a worker", node=node)
        )


def kill_node(node: str) -> CommandResult:
    """Kill a worker's container with SIGKILL. Raises ClusterError for the control plane."""
    _guard_worker(node)
    return check(docker.docker("kill", "--signal", "KILL", node))


def start_node(node: str) -> CommandResult:
    """Start a killed worker."""
    _guard_worker(node)
    return check(docker.docker("start", node))


def link_down(node: str) -> CommandResult:
    """Set a worker's eth0 down. Raises ClusterError for the control plane."""
    _guard_worker(node)
    return check(exec_in(node, "ip link set eth0 down"))


def link_up(node: str) -> CommandResult:
    """Set a worker's eth0 up, and restore the default route that was lost with it."""
    _guard_worker(node)
    return check(
        exec_in(node, f"ip link set eth0 up; ip route replace default via {docker.existing_network().gateway}")
    )


# ── beside the cluster ───────────────────────────────────────────────────────────────────────────────────


def start_router() -> list[CommandResult]:
    """Start FRR beside the cluster, and configure each node as a BGP neighbor.

    Raises UnsupportedError where its image cannot be started.
    """
    lifecycle.guard()
    containers = docker.containers()
    nodes = [one.address for one in containers.values() if not one.owned and one.address]
    results = []
    address = address_plan(docker.existing_network().subnet).router
    if ROUTER not in containers:
        result = docker.start(
            ROUTER,
            ROUTER_IMAGE,
            address,
            "--privileged",
            run=("sh", "-c", _ROUTER_START),
        )
        if result.rc:
            docker.docker("rm", "-f", ROUTER)
            raise UnsupportedError(
                tr("a BGP router"),
                tr(
                    "{router_image} cannot be started: {error_summary}",
                    router_image=ROUTER_IMAGE,
                    error_summary=docker.error_summary(result),
                ),
            )
        results.append(result)
        _wait_for_vtysh()
    lines = vtysh_commands(course_router(ROUTER, address, nodes))
    return [*results, check(exec_in(ROUTER, "vtysh " + " ".join(f"-c '{line}'" for line in lines)))]


def _wait_for_vtysh() -> None:
    retrying = retry_until(lambda result: "bgpd" in result.out, every=0.5, seconds=30)
    if "bgpd" not in retrying(exec_in, ROUTER, "vtysh -c 'show daemons'").out:
        raise UnsupportedError(tr("a BGP router"), tr("bgpd did not start in the router's container within 30 s"))


def stop_router() -> CommandResult:
    """Remove the router's container."""
    lifecycle.guard()
    return check(docker.docker("rm", "-f", "-v", ROUTER))


def route_client() -> CommandResult:
    """Add the client's route to the pool through the router."""
    lifecycle.guard()
    plan = address_plan(docker.existing_network().subnet)
    script = "; ".join(f"ip route replace {net} via {plan.router}" for net in plan.pool_networks)
    return check(exec_in(CLIENT, script))


def unroute_client() -> CommandResult:
    """Remove the client's route to the pool; without an error where there is none."""
    lifecycle.guard()
    script = "; ".join(f"ip route del {net}" for net in address_plan(docker.existing_network().subnet).pool_networks)
    return exec_in(CLIENT, script)


def add_conflicting_host(address: str) -> CommandResult:
    """Start a container that has an address of the pool."""
    lifecycle.guard()
    return check(docker.start(CONFLICTING_HOST, CLIENT_IMAGE, address))


def remove_conflicting_host() -> CommandResult:
    """Remove the conflicting host's container."""
    lifecycle.guard()
    return check(docker.docker("rm", "-f", "-v", CONFLICTING_HOST))


def flush_client() -> CommandResult:
    """Flush the client's neighbor table."""
    lifecycle.guard()
    return exec_in(CLIENT, "ip neigh flush dev eth0")


# ── active actions ───────────────────────────────────────────────────────────────────────────────────────


def active_actions(objects: Callable[[str], list[KubeObject]] | None = None) -> list[ActiveAction]:
    """Read the active actions from Docker, the nodes and the API.

    `objects`: returns the objects of a kind, from watches that are already open; kubectl is used without it.
    """
    containers = docker.containers().values()
    # one after the other: this also runs at exit, when Python starts no more threads
    active = [one for container in containers for one in _active_at(container)]
    active.sort(key=lambda one: one.target != CONTROL_PLANE)  # first to be undone: kubectl runs on it
    return [*active, *_active_in_api(objects or _list_objects)]


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
    is_down = one.name != CONTROL_PLANE and "state DOWN" in exec_in(one.name, "ip link show eth0").out
    return [ActiveAction("link_down", one.name)] if is_down else []


def _list_objects(kind: str) -> list[KubeObject]:
    if not lifecycle.control_plane_up():
        return []
    result = kubectl(f"get {kind} -A -o json --request-timeout=10s", timeout=30)
    return list(json.loads(result.out)["items"]) if result.rc == 0 else []


def _active_in_api(objects: Callable[[str], list[KubeObject]]) -> Iterator[ActiveAction]:
    for node in objects("nodes"):
        if EXCLUDE_LABEL in node["metadata"].get("labels", {}) and node["metadata"]["name"] != CONTROL_PLANE:
            yield ActiveAction("label", node["metadata"]["name"])
    for daemons in objects("daemonsets"):
        if _ABSENT_LABEL in (daemons["spec"]["template"]["spec"].get("nodeSelector") or {}):
            yield ActiveAction("stop_speakers", "ds/speaker")


def undo(one: ActiveAction) -> list[CommandResult]:
    """Undo an active action, and return the commands that ran."""
    if one.verb == "kill_node" and one.target == CONTROL_PLANE:
        return [docker.docker("start", CONTROL_PLANE)]
    targets = (one.target, f"{EXCLUDE_LABEL}-") if one.verb == "label" else (one.target,)
    return perform(one.inverse, targets)


def perform(verb: Verb, targets: Sequence[str]) -> list[CommandResult]:  # noqa: C901, PLR0912 (one case an action)
    """Do an action of ACTIONS that changes no objects, and return the commands that ran.

    Raises UnknownNameError for any other verb.
    """
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
            return [stop_speakers()]
        case "start_speakers":
            return [start_speakers()]
        case "install_metallb":
            return [install_metallb(lifecycle.metallb_manifest())]
        case _:
            raise UnknownNameError("action", verb, ACTIONS)
