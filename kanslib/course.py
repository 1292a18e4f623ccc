"""The course as a script: with what each story opens, and what each of its moments leads to. Pure.

A live world reads it to bring a cluster where a chapter begins. A recording has its own acts; a test compares
the names of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from kanslib import manifests
from kanslib.addressing import LESSON
from kanslib.objects import KubeObject, identity
from kanslib.recording.acts import documents, numbered, reference, spelled
from kanslib.recording.format import Verb

EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


@cache
def _documents(network: str, name: str) -> tuple[KubeObject, ...]:
    return tuple(documents(manifests.on(network, name)))


@dataclass(frozen=True)
class Loss:
    """A node that is to be lost: killed or cut off, and which one: `leader of svc1`, `node of webpod1`."""

    verb: Verb
    node: str


@dataclass(frozen=True)
class State:
    """What a cluster is to look like: which manifests are applied (a later one wins), and what is done to it."""

    metallb: bool = False
    manifests: tuple[str, ...] = ()
    without: tuple[str, ...] = ()  # "pod/webpod1": deleted, though a manifest has it
    excluded: str = ""  # the node that carries the exclude label, by role
    lost: Loss | None = None
    router: bool = False
    routed: bool = False
    squatter: bool = False
    speakers: bool = True

    def objects(self, network: str = LESSON) -> list[KubeObject]:
        """The objects that are to exist, in the order in which they are applied."""
        found: dict[tuple[str, str, str], KubeObject] = {}
        for name in self.manifests:
            found |= {identity(document): document for document in _documents(network, name)}
        gone = {tuple(reference.split("/")) for reference in self.without}
        return [doc for (kind, _, name), doc in found.items() if (kind.lower(), name) not in gone]

    def plus(self, *names: str) -> State:
        """This state with more manifests applied."""
        return replace(self, manifests=(*self.manifests, *names))


@dataclass(frozen=True)
class Moment:
    """An act by its name, and the state that it leads to. `speaker_pod`: the leader's speaker Pod is deleted."""

    id: str
    after: State
    speaker_pod: bool = False


@dataclass(frozen=True)
class Script:
    """A story: its title, the state it opens with, and its moments in order."""

    name: str
    title: str
    opening: State
    moments: tuple[Moment, ...]
    neutral: bool = False

    def ahead(self, moment: str) -> list[Moment]:
        """The moments after the one of this name; all of them for another name (`opening`)."""
        names = [one.id for one in self.moments]
        return list(self.moments[names.index(moment) + 1 if moment in names else 0 :])

    def before(self, moment: Moment) -> State:
        """The state from which the story comes to a moment."""
        place = self.moments.index(moment)
        return self.moments[place - 1].after if place else self.opening


def leads_to(moment: Moment, before: State, verb: Verb, about: set[Any]) -> bool:
    """True when this is the act by which the script comes to the moment."""
    now = {identity(doc): doc for doc in moment.after.objects(LESSON)}
    then = {identity(doc): doc for doc in before.objects(LESSON)}
    if verb == "apply":
        return {key for key, doc in now.items() if then.get(key) != doc} == about
    if verb == "delete":
        return {spelled(f"{kind}/{name}") for kind, _, name in then.keys() - now.keys()} == about
    lost, lost_before = moment.after.lost, before.lost
    expected: dict[str, bool] = {
        "install_metallb": moment.after.metallb and not before.metallb,
        "start_router": moment.after.router and not before.router,
        "route_client": moment.after.routed and not before.routed,
        "kill_node": bool(lost and not lost_before and lost.verb == verb),
        "cut_link": bool(lost and not lost_before and lost.verb == verb),
        "start_node": bool(lost_before and not lost and lost_before.verb == "kill_node"),
        "mend_link": bool(lost_before and not lost and lost_before.verb == "cut_link"),
        "label": bool(moment.after.excluded) != bool(before.excluded)
        and any(str(one).endswith("-") for one in about) == (not moment.after.excluded),
    }
    return expected.get(verb, False)


@dataclass(frozen=True)
class Do:
    """One step from a state to another: an act with its documents, its references, or the role of its node."""

    verb: Verb
    documents: tuple[KubeObject, ...] = ()
    references: tuple[str, ...] = ()
    role: str = ""  # "leader of svc1": who that is, is known when it is done


def steps(before: State, after: State, network: str = LESSON) -> Iterator[Do]:
    """What has to be done to come from one state to the other, in order."""
    if before.lost and not after.lost:
        yield Do("start_node" if before.lost.verb == "kill_node" else "mend_link", role="lost")
    undone: dict[Verb, bool] = {
        "remove_squatter": before.squatter and not after.squatter, "unroute_client": before.routed and not after.routed,
        "stop_router": before.router and not after.router, "patch": after.speakers and not before.speakers,
        "install_metallb": after.metallb and not before.metallb, "start_router": after.router and not before.router,
    }  # fmt: skip
    yield from (Do(verb) for verb, there in undone.items() if there)
    if before.excluded and not after.excluded:
        yield Do("label", references=(f"{EXCLUDE}-",), role="excluded")
    then = {identity(doc): doc for doc in before.objects(network)}
    now = {identity(doc): doc for doc in after.objects(network)}
    gone = _in_the_way(then, now)
    if gone:
        yield Do("delete", references=tuple(reference(then[key]) for key in gone))
    kept = {key: doc for key, doc in then.items() if key not in gone}
    order = ("Pod", "IPAddressPool", "L2Advertisement", "BGPPeer", "BGPAdvertisement", "Service")
    changed = sorted((doc for key, doc in now.items() if kept.get(key) != doc), key=lambda d: order.index(d["kind"]))
    if changed:
        yield Do("apply", documents=tuple(changed))
    if after.routed and not before.routed:
        yield Do("route_client")
    if after.excluded and not before.excluded:
        yield Do("label", references=(f"{EXCLUDE}=true",), role=after.excluded)
    if after.squatter and not before.squatter:
        yield Do("add_squatter")
    if after.lost and not before.lost:
        yield Do(after.lost.verb, role=after.lost.node)


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


BARE = State()
PODS = State(manifests=("webpods",))
LAYER2 = State(metallb=True, manifests=("webpods", "pool", "l2advertisement", "services"))
NO_SERVICES = replace(LAYER2, manifests=("webpods", "pool", "l2advertisement"))
NO_ADVERTISEMENT = replace(LAYER2, manifests=("webpods", "pool", "services"))
LOCAL = LAYER2.plus("services_local")
WITH_ROUTER = replace(NO_ADVERTISEMENT, router=True)
BGP = replace(WITH_ROUTER.plus("bgp"), routed=True)
BGP_LOCAL = BGP.plus("services_local")
_WORKER = "node of webpod1"


def _broken(number: int, state: State) -> Script:
    return Script(f"case-{number}", f"Case {number}", state, (Moment("fix", LAYER2),), neutral=True)


CHAPTERS: tuple[Script, ...] = (
    Script("service-types", "Three types of Service, before MetalLB", BARE, (
        Moment("apply-pods", PODS),
        Moment("apply-service-types", PODS.plus("service_types")),
        Moment("delete-service-types", PODS),
    )),
    Script("metallb", "MetalLB from install to an address", PODS, (
        Moment("install-metallb", replace(PODS, metallb=True)),
        Moment("apply-pool", replace(PODS, metallb=True).plus("pool")),
        Moment("apply-l2advertisement", NO_SERVICES),
        Moment("apply-services", LAYER2),
        Moment("delete-services", NO_SERVICES),
        Moment("apply-services-2", LAYER2),
    )),
    Script("arp", "Who answers for the address?", LAYER2, (
        Moment("delete-services", NO_SERVICES),
        Moment("apply-services", LAYER2),
        Moment("delete-l2advertisement", NO_ADVERTISEMENT),
        Moment("apply-l2advertisement", LAYER2),
    )),
    Script("iptables", "From the leader to a pod", LAYER2, ()),
    Script("etp-local", "Traffic policy, affinity, source ranges", LAYER2, (
        Moment("apply-etp-local", LOCAL),
        Moment("delete-leaders-endpoint", replace(LOCAL, without=("pod/webpod1",))),
        Moment("apply-pods", LOCAL),
        Moment("apply-etp-cluster", LAYER2),
        Moment("apply-session-affinity", LAYER2.plus("session_affinity")),
        Moment("apply-source-ranges", LAYER2.plus("session_affinity", "source_ranges")),
        Moment("restore-services", LAYER2),
    )),
    Script("election", "Who leads, and why", LAYER2, (
        Moment("exclude-leader", replace(LAYER2, excluded="leader of svc1")),
        Moment("include-leader", LAYER2),
    )),
    Script("failover", "The leader dies", LAYER2, (
        Moment("kill-node", replace(LAYER2, lost=Loss("kill_node", "leader of svc1"))),
        Moment("start-node", LAYER2),
        Moment("delete-speaker-pod", LAYER2, speaker_pod=True),
    )),
    Script("bgp", "MetalLB and a router that speaks BGP", LAYER2, (
        Moment("delete-l2advertisement", NO_ADVERTISEMENT),
        Moment("start-router", WITH_ROUTER),
        Moment("apply-bgp", WITH_ROUTER.plus("bgp")),
        Moment("route-client", BGP),
        Moment("bgp-etp-local", BGP_LOCAL),
        Moment("kill-node", replace(BGP_LOCAL, lost=Loss("kill_node", _WORKER))),
        Moment("start-node", BGP_LOCAL),
    )),
    Script("bgp-silent", "A link is cut: under BGP, then on layer 2", BGP, (
        Moment("bgp-etp-local", BGP_LOCAL),
        Moment("cut-link", replace(BGP_LOCAL, lost=Loss("cut_link", _WORKER))),
        Moment("mend-link", BGP_LOCAL),
        Moment("back-to-l2", replace(LAYER2, router=True)),
        Moment("cut-link-2", replace(LAYER2, router=True, lost=Loss("cut_link", _WORKER))),
        Moment("mend-link-2", replace(LAYER2, router=True)),
    )),
    _broken(1, NO_ADVERTISEMENT),
    _broken(2, LAYER2.plus("broken/small_pool")),
    _broken(3, LAYER2.plus("broken/wrong_subnet")),
    _broken(4, LAYER2.plus("broken/selector_typo")),
    _broken(5, LAYER2.plus("broken/node_selector_nowhere")),
    _broken(6, LAYER2.plus("broken/local_on_the_wrong_node")),
    _broken(7, LAYER2.plus("broken/shared_ip")),
    _broken(8, replace(LAYER2, speakers=False)),
    _broken(9, replace(LAYER2, squatter=True)),
)  # fmt: skip


def _lesson(parts: Sequence[Script]) -> Script:
    moments = [moment for part in parts for moment in part.moments]
    names = numbered(moment.id for moment in moments)
    named = tuple(replace(moment, id=name) for moment, name in zip(moments, names, strict=True))
    return Script("l2", "The whole lesson, on layer 2", parts[0].opening, named)


# the whole lesson is its chapters on layer 2, one after the other
LESSON_PARTS = CHAPTERS[: [script.name for script in CHAPTERS].index("bgp")]
WHOLE = _lesson(LESSON_PARTS)
SCRIPTS = {script.name: script for script in (WHOLE, *CHAPTERS)}


@cache
def every_identity() -> frozenset[tuple[str, str, str]]:
    """Every object that the course ever applies, by kind, namespace and name; the network changes none of them."""
    states = [script.opening for script in CHAPTERS] + [m.after for script in CHAPTERS for m in script.moments]
    return frozenset(identity(doc) for state in states for doc in state.objects())
