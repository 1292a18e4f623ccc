"""The course as a script: with what each story opens, and what each of its moments leads to. Pure.

A live world reads it to bring a cluster where a chapter begins. A recording has its own acts; a test compares
the names of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from kanslib.actions import Verb, deduplicate
from kanslib.course import manifests
from kanslib.course.addressing import LESSON_NETWORK
from kanslib.k8s.manifest import canonical_reference, documents, reference
from kanslib.k8s.objects import KubeObject, identity

EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


@cache
def _documents(network: str, name: str) -> tuple[KubeObject, ...]:
    return tuple(documents(manifests.on(network, name)))


@dataclass(frozen=True)
class NodeFault:
    """A node that is to be lost: killed or cut off, and which one: `leader of svc1`, `node of webpod1`."""

    verb: Verb
    node: str


@dataclass(frozen=True)
class ClusterState:
    """What a cluster is to look like: which manifests are applied (a later one wins), and what is done to it."""

    metallb: bool = False
    manifests: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()  # "pod/webpod1": deleted, though a manifest has it
    excluded_node: str = ""  # the node that carries the exclude label, by role
    lost: NodeFault | None = None
    router: bool = False
    client_routed: bool = False
    conflicting_host: bool = False
    speakers: bool = True

    def objects(self, network: str = LESSON_NETWORK) -> list[KubeObject]:
        """The objects that are to exist, in the order in which they are applied."""
        found: dict[tuple[str, str, str], KubeObject] = {}
        for name in self.manifests:
            found |= {identity(document): document for document in _documents(network, name)}
        gone = {tuple(reference.split("/")) for reference in self.deleted}
        return [doc for (kind, _, name), doc in found.items() if (kind.lower(), name) not in gone]

    def plus(self, *names: str) -> ClusterState:
        """This state with more manifests applied."""
        return replace(self, manifests=(*self.manifests, *names))


@dataclass(frozen=True)
class ScriptedMoment:
    """An act by its name, and the state that it leads to. `speaker_pod`: the leader's speaker Pod is deleted."""

    id: str
    after: ClusterState
    speaker_pod: bool = False


@dataclass(frozen=True)
class StoryScript:
    """A story: its title, the state it opens with, and its moments in order."""

    name: str
    title: str
    opening: ClusterState
    moments: tuple[ScriptedMoment, ...]
    hide_actions: bool = False

    def ahead(self, moment: str) -> list[ScriptedMoment]:
        """The moments after the one of this name; all of them for another name (`opening`)."""
        names = [one.id for one in self.moments]
        return list(self.moments[names.index(moment) + 1 if moment in names else 0 :])

    def before(self, moment: ScriptedMoment) -> ClusterState:
        """The state from which the story comes to a moment."""
        place = self.moments.index(moment)
        return self.moments[place - 1].after if place else self.opening


def leads_to(moment: ScriptedMoment, before: ClusterState, verb: Verb, about: set[Any]) -> bool:
    """True when this is the act by which the script comes to the moment."""
    now = {identity(doc): doc for doc in moment.after.objects(LESSON_NETWORK)}
    then = {identity(doc): doc for doc in before.objects(LESSON_NETWORK)}
    if verb == "apply":
        return {key for key, doc in now.items() if then.get(key) != doc} == about
    if verb == "delete":
        return {canonical_reference(f"{kind}/{name}") for kind, _, name in then.keys() - now.keys()} == about
    lost, lost_before = moment.after.lost, before.lost
    expected: dict[str, bool] = {
        "install_metallb": moment.after.metallb and not before.metallb,
        "start_router": moment.after.router and not before.router,
        "route_client": moment.after.client_routed and not before.client_routed,
        "kill_node": bool(lost and not lost_before and lost.verb == verb),
        "link_down": bool(lost and not lost_before and lost.verb == verb),
        "start_node": bool(lost_before and not lost and lost_before.verb == "kill_node"),
        "link_up": bool(lost_before and not lost and lost_before.verb == "link_down"),
        "label": bool(moment.after.excluded_node) != bool(before.excluded_node)
        and any(str(one).endswith("-") for one in about) == (not moment.after.excluded_node),
    }
    return expected.get(verb, False)


@dataclass(frozen=True)
class PlannedStep:
    """One step from a state to another: an act with its documents, its references, or the role of its node."""

    verb: Verb
    documents: tuple[KubeObject, ...] = ()
    references: tuple[str, ...] = ()
    role: str = ""  # "leader of svc1": who that is, is known when it is done


def plan_steps(before: ClusterState, after: ClusterState, network: str = LESSON_NETWORK) -> Iterator[PlannedStep]:
    """What has to be done to come from one state to the other, in order."""
    if before.lost and not after.lost:
        yield PlannedStep("start_node" if before.lost.verb == "kill_node" else "link_up", role="lost")
    undone: dict[Verb, bool] = {
        "remove_conflicting_host": before.conflicting_host and not after.conflicting_host,
        "unroute_client": before.client_routed and not after.client_routed,
        "stop_router": before.router and not after.router, "start_speakers": after.speakers and not before.speakers,
        "install_metallb": after.metallb and not before.metallb, "start_router": after.router and not before.router,
    }  # fmt: skip
    yield from (PlannedStep(verb) for verb, there in undone.items() if there)
    if before.excluded_node and not after.excluded_node:
        yield PlannedStep("label", references=(f"{EXCLUDE_LABEL}-",), role="excluded")
    then = {identity(doc): doc for doc in before.objects(network)}
    now = {identity(doc): doc for doc in after.objects(network)}
    gone = _in_the_way(then, now)
    if gone:
        yield PlannedStep("delete", references=tuple(reference(then[key]) for key in gone))
    kept = {key: doc for key, doc in then.items() if key not in gone}
    order = ("Pod", "IPAddressPool", "L2Advertisement", "BGPPeer", "BGPAdvertisement", "Service")
    changed = sorted((doc for key, doc in now.items() if kept.get(key) != doc), key=lambda d: order.index(d["kind"]))
    if changed:
        yield PlannedStep("apply", documents=tuple(changed))
    if after.client_routed and not before.client_routed:
        yield PlannedStep("route_client")
    if after.excluded_node and not before.excluded_node:
        yield PlannedStep("label", references=(f"{EXCLUDE_LABEL}=true",), role=after.excluded_node)
    if after.conflicting_host and not before.conflicting_host:
        yield PlannedStep("add_conflicting_host")
    if after.lost and not before.lost:
        yield PlannedStep(after.lost.verb, role=after.lost.node)


def _in_the_way(
    then: dict[tuple[str, str, str], KubeObject], now: dict[tuple[str, str, str], KubeObject]
) -> list[tuple[str, str, str]]:
    """What is to go: what is not wanted, and what holds an address that it would not get again."""
    pools = [key for key, doc in then.items() if key[0] == "IPAddressPool" and now.get(key) != doc]
    fresh = [
        key for key, doc in then.items()
        if key[0] == "Service" and key in now and doc["spec"].get("type") == "LoadBalancer"
        and (pools or _wish(doc) != _wish(now[key]))
    ]  # fmt: skip
    order = ["Pod", "Service", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "IPAddressPool"]
    gone = [key for key in then if key not in now]
    return sorted(dict.fromkeys([*gone, *fresh, *pools]), key=lambda key: order.index(key[0]))


def _wish(service: KubeObject) -> tuple[Any, Any]:
    return service["metadata"].get("annotations"), service["spec"].get("loadBalancerIP")


BARE = ClusterState()
PODS = ClusterState(manifests=("webpods",))
LAYER2 = ClusterState(metallb=True, manifests=("webpods", "pool", "l2advertisement", "services"))
NO_SERVICES = replace(LAYER2, manifests=("webpods", "pool", "l2advertisement"))
NO_ADVERTISEMENT = replace(LAYER2, manifests=("webpods", "pool", "services"))
LOCAL = LAYER2.plus("services_local")
WITH_ROUTER = replace(NO_ADVERTISEMENT, router=True)
BGP = replace(WITH_ROUTER.plus("bgp"), client_routed=True)
BGP_LOCAL = BGP.plus("services_local")
_WORKER = "node of webpod1"


def _broken(number: int, state: ClusterState) -> StoryScript:
    return StoryScript(f"case-{number}", f"Case {number}", state, (ScriptedMoment("fix", LAYER2),), hide_actions=True)


CHAPTERS: tuple[StoryScript, ...] = (
    StoryScript("service-types", "Three types of Service, before MetalLB", BARE, (
        ScriptedMoment("apply-pods", PODS),
        ScriptedMoment("apply-service-types", PODS.plus("service_types")),
        ScriptedMoment("delete-service-types", PODS),
    )),
    StoryScript("metallb", "MetalLB from install to an address", PODS, (
        ScriptedMoment("install-metallb", replace(PODS, metallb=True)),
        ScriptedMoment("apply-pool", replace(PODS, metallb=True).plus("pool")),
        ScriptedMoment("apply-l2advertisement", NO_SERVICES),
        ScriptedMoment("apply-services", LAYER2),
        ScriptedMoment("delete-services", NO_SERVICES),
        ScriptedMoment("apply-services-2", LAYER2),
    )),
    StoryScript("arp", "Who answers for the address?", LAYER2, (
        ScriptedMoment("delete-services", NO_SERVICES),
        ScriptedMoment("apply-services", LAYER2),
        ScriptedMoment("delete-l2advertisement", NO_ADVERTISEMENT),
        ScriptedMoment("apply-l2advertisement", LAYER2),
    )),
    StoryScript("iptables", "From the leader to a pod", LAYER2, ()),
    StoryScript("etp-local", "Traffic policy, affinity, source ranges", LAYER2, (
        ScriptedMoment("apply-etp-local", LOCAL),
        ScriptedMoment("delete-leaders-endpoint", replace(LOCAL, deleted=("pod/webpod1",))),
        ScriptedMoment("apply-pods", LOCAL),
        ScriptedMoment("apply-etp-cluster", LAYER2),
        ScriptedMoment("apply-session-affinity", LAYER2.plus("session_affinity")),
        ScriptedMoment("apply-source-ranges", LAYER2.plus("session_affinity", "source_ranges")),
        ScriptedMoment("restore-services", LAYER2),
    )),
    StoryScript("election", "Who leads, and why", LAYER2, (
        ScriptedMoment("exclude-leader", replace(LAYER2, excluded_node="leader of svc1")),
        ScriptedMoment("include-leader", LAYER2),
    )),
    StoryScript("failover", "The leader dies", LAYER2, (
        ScriptedMoment("kill-node", replace(LAYER2, lost=NodeFault("kill_node", "leader of svc1"))),
        ScriptedMoment("start-node", LAYER2),
        ScriptedMoment("delete-speaker-pod", LAYER2, speaker_pod=True),
    )),
    StoryScript("bgp", "MetalLB and a router that speaks BGP", LAYER2, (
        ScriptedMoment("delete-l2advertisement", NO_ADVERTISEMENT),
        ScriptedMoment("start-router", WITH_ROUTER),
        ScriptedMoment("apply-bgp", WITH_ROUTER.plus("bgp")),
        ScriptedMoment("route-client", BGP),
        ScriptedMoment("bgp-etp-local", BGP_LOCAL),
        ScriptedMoment("kill-node", replace(BGP_LOCAL, lost=NodeFault("kill_node", _WORKER))),
        ScriptedMoment("start-node", BGP_LOCAL),
    )),
    StoryScript("bgp-silent", "A link is cut: under BGP, then on layer 2", BGP, (
        ScriptedMoment("bgp-etp-local", BGP_LOCAL),
        ScriptedMoment("cut-link", replace(BGP_LOCAL, lost=NodeFault("link_down", _WORKER))),
        ScriptedMoment("mend-link", BGP_LOCAL),
        ScriptedMoment("back-to-l2", replace(LAYER2, router=True)),
        ScriptedMoment("cut-link-2", replace(LAYER2, router=True, lost=NodeFault("link_down", _WORKER))),
        ScriptedMoment("mend-link-2", replace(LAYER2, router=True)),
    )),
    _broken(1, NO_ADVERTISEMENT),
    _broken(2, LAYER2.plus("broken/small_pool")),
    _broken(3, LAYER2.plus("broken/wrong_subnet")),
    _broken(4, LAYER2.plus("broken/selector_typo")),
    _broken(5, LAYER2.plus("broken/node_selector_nowhere")),
    _broken(6, LAYER2.plus("broken/local_on_the_wrong_node")),
    _broken(7, LAYER2.plus("broken/shared_ip")),
    _broken(8, replace(LAYER2, speakers=False)),
    _broken(9, replace(LAYER2, conflicting_host=True)),
)  # fmt: skip


def _lesson(parts: Sequence[StoryScript]) -> StoryScript:
    moments = [moment for part in parts for moment in part.moments]
    names = deduplicate(moment.id for moment in moments)
    named = tuple(replace(moment, id=name) for moment, name in zip(moments, names, strict=True))
    return StoryScript("l2", "The whole lesson, on layer 2", parts[0].opening, named)


# the whole lesson is its chapters on layer 2, one after the other
LESSON_PARTS = CHAPTERS[: [script.name for script in CHAPTERS].index("bgp")]
WHOLE = _lesson(LESSON_PARTS)
SCRIPTED_STORIES = {script.name: script for script in (WHOLE, *CHAPTERS)}


@cache
def every_identity() -> frozenset[tuple[str, str, str]]:
    """Every object that the course ever applies, by kind, namespace and name; the network changes none of them."""
    states = [script.opening for script in CHAPTERS] + [m.after for script in CHAPTERS for m in script.moments]
    return frozenset(identity(doc) for state in states for doc in state.objects())
