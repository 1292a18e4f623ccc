"""The course as a script: the state in which each story opens, and the states to which its moments lead. Pure.

A live or simulated backend reads it to bring a cluster where a chapter begins, and to name what a learner does.
A recording has its own actions; a test compares the names of both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from kanslib.actions import ACTIONS, Verb, deduplicate
from kanslib.course import manifests
from kanslib.course.addressing import LESSON_NETWORK
from kanslib.k8s.manifest import canonical_reference, documents, reference
from kanslib.k8s.objects import KubeObject, identity

EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"


@cache
def _documents(network: str, name: str) -> tuple[KubeObject, ...]:
    return tuple(documents(manifests.on(network, name)))


@dataclass(frozen=True)
class Role:
    """A node by what it does now: the `leader` of the Service `name`, or the `node` of the Pod `name`."""

    kind: Literal["leader", "node"]
    name: str


@dataclass(frozen=True)
class WantedAction:
    """An action that is active in a state, and the role of its node; None for one that is not done to a node."""

    verb: Verb
    role: Role | None = None


@dataclass(frozen=True)
class ClusterState:
    """The state of a cluster: the manifests that are applied (a later one wins), and the active actions.

    `deleted`: objects of these manifests that were deleted, as `pod/webpod1`.
    """

    metallb: bool = False
    manifests: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    active: tuple[WantedAction, ...] = ()

    def objects(self, network: str = LESSON_NETWORK) -> list[KubeObject]:
        """Return the objects that are to exist, in the order in which they are applied."""
        found: dict[tuple[str, str, str], KubeObject] = {}
        for name in self.manifests:
            found |= {identity(document): document for document in _documents(network, name)}
        deleted = {tuple(reference.split("/")) for reference in self.deleted}
        return [doc for (kind, _, name), doc in found.items() if (kind.lower(), name) not in deleted]

    def plus(self, *names: str) -> ClusterState:
        """Return this state with more manifests applied."""
        return replace(self, manifests=(*self.manifests, *names))

    def during(self, verb: Verb, role: Role | None = None) -> ClusterState:
        """Return this state with one more active action; `role`: its node, where it is done to one."""
        return replace(self, active=(*self.active, WantedAction(verb, role)))

    def has_active(self, verb: Verb) -> bool:
        """Return True when an action of this verb is active."""
        return any(one.verb == verb for one in self.active)


@dataclass(frozen=True)
class ScriptedMoment:
    """A moment: the name of its action, and the state after it. `speaker_pod`: the leader's speaker Pod is deleted."""

    id: str
    after: ClusterState
    speaker_pod: bool = False


@dataclass(frozen=True)
class StoryScript:
    """A story: its title, the state in which it opens, and its moments in order."""

    name: str
    title: str
    opening: ClusterState
    moments: tuple[ScriptedMoment, ...]
    hide_actions: bool = False

    def ahead(self, moment: str) -> list[ScriptedMoment]:
        """Return the moments after the one of this name; all of them for another name (`opening`)."""
        names = [one.id for one in self.moments]
        return list(self.moments[names.index(moment) + 1 if moment in names else 0 :])

    def before(self, moment: ScriptedMoment) -> ClusterState:
        """Return the state from which the story comes to a moment."""
        index = self.moments.index(moment)
        return self.moments[index - 1].after if index else self.opening


@dataclass(frozen=True)
class PlannedStep:
    """One step from a state to another: an action with its documents, or with its targets.

    `role`: the node that the action is done to; it is resolved when the step is done.
    `ends`: the active action that this step ends, on whichever node it is active.
    """

    verb: Verb
    documents: tuple[KubeObject, ...] = ()
    targets: tuple[str, ...] = ()
    role: Role | None = None
    ends: Verb | None = None


Identity = tuple[str, str, str]  # kind, namespace, name
_APPLY_ORDER = ("Pod", "IPAddressPool", "L2Advertisement", "BGPPeer", "BGPAdvertisement", "Service")
_DELETE_ORDER = ("Pod", "Service", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "IPAddressPool")


def plan_steps(before: ClusterState, after: ClusterState, network: str = LESSON_NETWORK) -> list[PlannedStep]:
    """Return what has to be done to come from one state to the other, in order.

    A Service that would keep an address which it would not get again is deleted, and applied anew.
    """
    return _steps(before, after, network, _renewed(before.objects(network), after.objects(network)))


def begin(action: WantedAction) -> PlannedStep:
    """Return the step by which an action becomes active."""
    targets = (f"{EXCLUDE_LABEL}=true",) if action.verb == "label" else ()
    return PlannedStep(action.verb, targets=targets, role=action.role)


def _end(action: WantedAction) -> PlannedStep:
    targets = (f"{EXCLUDE_LABEL}-",) if action.verb == "label" else ()
    return PlannedStep(ACTIONS[action.verb].inverse or action.verb, targets=targets, ends=action.verb)


def _steps(before: ClusterState, after: ClusterState, network: str, renewed: Collection[Identity]) -> list[PlannedStep]:
    order = list(ACTIONS)
    ended = [one for one in before.active if not after.has_active(one.verb)]
    ended.sort(key=lambda one: -order.index(one.verb))
    begun = [one for one in after.active if not before.has_active(one.verb)]
    begun.sort(key=lambda one: order.index(one.verb))
    first = [begin(one) for one in begun if ACTIONS[one.verb].before_objects]
    last = [begin(one) for one in begun if not ACTIONS[one.verb].before_objects]
    if after.metallb and not before.metallb:
        first.insert(0, PlannedStep("install_metallb"))
    old = {identity(doc): doc for doc in before.objects(network)}
    new = {identity(doc): doc for doc in after.objects(network)}
    deleted = [doc for key, doc in old.items() if key not in new or key in renewed]
    deleted.sort(key=lambda doc: _DELETE_ORDER.index(doc["kind"]))
    applied = [doc for key, doc in new.items() if key in renewed or old.get(key) != doc]
    applied.sort(key=lambda doc: _APPLY_ORDER.index(doc["kind"]))
    objects = [PlannedStep("delete", targets=tuple(map(reference, deleted)))] if deleted else []
    objects += [PlannedStep("apply", documents=tuple(applied))] if applied else []
    return [*map(_end, ended), *first, *objects, *last]


def _renewed(before: Iterable[KubeObject], after: Iterable[KubeObject]) -> set[Identity]:
    """Return the changed pools, and the Services that would not get their address again."""
    old = {identity(doc): doc for doc in before}
    new = {identity(doc): doc for doc in after}
    pools = {key for key, doc in old.items() if doc["kind"] == "IPAddressPool" and new.get(key) != doc}
    services = {
        key for key, doc in old.items()
        if doc["kind"] == "Service" and key in new and doc["spec"].get("type") == "LoadBalancer"
        and (pools or _requested_address(doc) != _requested_address(new[key]))
    }  # fmt: skip
    return pools | services


def _requested_address(service: KubeObject) -> tuple[Any, Any]:
    return service["metadata"].get("annotations"), service["spec"].get("loadBalancerIP")


def name_action(script: StoryScript | None, position: str, step: PlannedStep, earlier: Iterable[str]) -> str:
    """Return the name of a learner's action: that of the moment to which it leads, else one of its verb and object.

    `position`: the name of the current moment. `earlier`: the names of earlier actions; a repeat gets a number.
    """
    for moment in script.ahead(position) if script else ():
        if script and _leads_to(script.before(moment), moment.after, step):
            return moment.id
    subjects = sorted([doc["metadata"]["name"] for doc in step.documents] or map(_short, step.targets))
    return deduplicate([*earlier, "-".join([step.verb.replace("_", "-"), *subjects[:1]])])[-1]


def _short(target: str) -> str:
    """Return a name without its kind, a label without its prefix and value."""
    return target.partition("=")[0].rpartition("/")[2]


def _leads_to(before: ClusterState, after: ClusterState, step: PlannedStep) -> bool:
    """Return True when this is a step from one state to the other; the only one, unless it is done to objects."""
    planned = _steps(before, after, LESSON_NETWORK, ())
    if ACTIONS[step.verb].targets != "objects" and len(planned) != 1:
        return False
    return any(one.verb == step.verb and _same_subject(one, step) for one in planned)


def _same_subject(one: PlannedStep, other: PlannedStep) -> bool:
    match one.verb:
        case "apply":
            return {identity(doc) for doc in one.documents} == {identity(doc) for doc in other.documents}
        case "delete":
            return set(map(canonical_reference, one.targets)) == set(map(canonical_reference, other.targets))
        case "label":
            return one.targets[-1].endswith("-") == other.targets[-1].endswith("-")
        case _:
            return True


BARE = ClusterState()
PODS = ClusterState(manifests=("webpods",))
LAYER2 = ClusterState(metallb=True, manifests=("webpods", "pool", "l2advertisement", "services"))
NO_SERVICES = replace(LAYER2, manifests=("webpods", "pool", "l2advertisement"))
NO_ADVERTISEMENT = replace(LAYER2, manifests=("webpods", "pool", "services"))
LOCAL = LAYER2.plus("services_local")
WITH_ROUTER = NO_ADVERTISEMENT.during("start_router")
BGP = WITH_ROUTER.plus("bgp").during("route_client")
BGP_LOCAL = BGP.plus("services_local")
L2_AFTER_BGP = LAYER2.during("start_router")
_LEADER, _WORKER = Role("leader", "svc1"), Role("node", "webpod1")


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
        ScriptedMoment("exclude-leader", LAYER2.during("label", _LEADER)),
        ScriptedMoment("include-leader", LAYER2),
    )),
    StoryScript("failover", "The leader dies", LAYER2, (
        ScriptedMoment("kill-node", LAYER2.during("kill_node", _LEADER)),
        ScriptedMoment("start-node", LAYER2),
        ScriptedMoment("delete-speaker-pod", LAYER2, speaker_pod=True),
    )),
    StoryScript("bgp", "MetalLB and a router that speaks BGP", LAYER2, (
        ScriptedMoment("delete-l2advertisement", NO_ADVERTISEMENT),
        ScriptedMoment("start-router", WITH_ROUTER),
        ScriptedMoment("apply-bgp", WITH_ROUTER.plus("bgp")),
        ScriptedMoment("route-client", BGP),
        ScriptedMoment("bgp-etp-local", BGP_LOCAL),
        ScriptedMoment("kill-node", BGP_LOCAL.during("kill_node", _WORKER)),
        ScriptedMoment("start-node", BGP_LOCAL),
    )),
    StoryScript("bgp-silent", "A link is cut: under BGP, then on layer 2", BGP, (
        ScriptedMoment("bgp-etp-local", BGP_LOCAL),
        ScriptedMoment("cut-link", BGP_LOCAL.during("link_down", _WORKER)),
        ScriptedMoment("mend-link", BGP_LOCAL),
        ScriptedMoment("back-to-l2", L2_AFTER_BGP),
        ScriptedMoment("cut-link-2", L2_AFTER_BGP.during("link_down", _WORKER)),
        ScriptedMoment("mend-link-2", L2_AFTER_BGP),
    )),
    _broken(1, NO_ADVERTISEMENT),
    _broken(2, LAYER2.plus("broken/small_pool")),
    _broken(3, LAYER2.plus("broken/wrong_subnet")),
    _broken(4, LAYER2.plus("broken/selector_typo")),
    _broken(5, LAYER2.plus("broken/node_selector_nowhere")),
    _broken(6, LAYER2.plus("broken/local_on_the_wrong_node")),
    _broken(7, LAYER2.plus("broken/shared_ip")),
    _broken(8, LAYER2.during("stop_speakers")),
    _broken(9, LAYER2.during("add_conflicting_host")),
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
    """Return the identity of every object that the course ever applies; the network changes none of them."""
    states = [script.opening for script in CHAPTERS] + [m.after for script in CHAPTERS for m in script.moments]
    return frozenset(identity(doc) for state in states for doc in state.objects())
