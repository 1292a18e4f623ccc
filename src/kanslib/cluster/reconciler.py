"""Hands on the course's own cluster: do an act and wait for what it causes; bring the cluster to a state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import yaml

from kanslib.actions import ACTIONS, ActiveAction, Verb, describe
from kanslib.cluster import actions, docker, lifecycle, readiness
from kanslib.cluster.api import Watches, kubectl
from kanslib.cluster.docker import CONFLICTING_HOST, ROUTER, CommandResult
from kanslib.cluster.readiness import Say
from kanslib.course import stories
from kanslib.course.addressing import LESSON_NETWORK, address_plan
from kanslib.course.stories import ClusterState
from kanslib.exceptions import ClusterError
from kanslib.k8s.apply import is_applied
from kanslib.k8s.manifest import reference
from kanslib.k8s.objects import KubeObject, external_address, identity, is_ready


@dataclass(frozen=True)
class CompletedStep:
    """One step that was done: its verb and targets, its manifest, the command, what it printed, from when to when."""

    verb: Verb
    targets: tuple[str, ...]
    manifest: str
    command: str
    output: str
    t: float
    end: float


class Reconciler:
    """Acts on the cluster. `told` hears of each step when it is done, `say` what is being waited for."""

    def __init__(self, watches: Watches, say: Say, told: Callable[[CompletedStep], None] = lambda _done: None) -> None:
        self.watches, self._say, self._told = watches, say, told
        found = docker.network()
        self.network = found.subnet if found else LESSON_NETWORK
        self._led: dict[str, str] = {}  # who led what before a node was lost

    # ── one step at a time ───────────────────────────────────────────────────────────────────────────────

    def _active(self) -> list[ActiveAction]:
        return actions.active_actions(self.watches.objects)

    def lost(self) -> dict[str, Verb]:
        """The nodes that are killed or cut off now, and by which act."""
        return {one.target: one.verb for one in self._active() if ACTIONS[one.verb].loses_node}

    def apply(self, documents: Sequence[KubeObject]) -> CompletedStep:
        """`kubectl apply`, without waiting."""
        targets = tuple(reference(document) for document in documents)
        manifest = "---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents)
        return self._completed("apply", targets, [actions.apply(manifest)], "kubectl apply -f -", manifest)

    def delete(self, references: Sequence[str]) -> CompletedStep:
        """`kubectl delete`, without waiting."""
        return self._completed(
            "delete", tuple(references), actions.delete(references), "kubectl delete " + " ".join(references)
        )

    def perform(self, verb: Verb, targets: Sequence[str] = ()) -> CompletedStep:
        """Any other act, without waiting. Raises ClusterError for one that must not be done now."""
        if ACTIONS[verb].loses_node:
            self._refuse_second_loss(verb, targets[0])
            self._led = readiness.leaders(self.watches)
        targets = self._complete_targets(verb, targets)
        self._say(f"{describe(verb, targets)} on the course's own cluster; lab.restore() undoes it")
        ran = actions.perform(verb, targets)
        command = " ".join(ran[0].command) if ran else verb
        return self._completed(verb, targets, ran, command)

    def _complete_targets(self, verb: Verb, targets: Sequence[str]) -> tuple[str, ...]:
        if verb == "add_conflicting_host":
            return (CONFLICTING_HOST, self._conflicting_address())
        if verb in ("start_router", "stop_router"):
            return (ROUTER,)
        if verb in ("stop_speakers", "start_speakers"):
            return ("ds/speaker",)
        return tuple(targets)

    def _conflicting_address(self) -> str:
        return (
            external_address(next(iter(readiness.load_balancers(self.watches)), {}))
            or address_plan(self.network).pool_first
        )

    def _completed(
        self, verb: Verb, targets: tuple[str, ...], ran: Sequence[CommandResult], command: str, manifest: str = ""
    ) -> CompletedStep:
        now = time.time()
        output = "\n".join(one.out.strip() for one in ran)
        span = (ran[0].t, ran[-1].end) if ran else (now, now)
        done = CompletedStep(verb, targets, manifest, command, output, *span)
        self._told(done)
        return done

    def _refuse_second_loss(self, verb: Verb, node: str) -> None:
        for other in self.lost():
            if other != node:
                raise ClusterError(
                    f"{verb} {node} refused: {other} is lost already, and two lost nodes tell nothing new.\n"
                    f"next step: lab.start_node({other!r}), lab.link_up({other!r}) or lab.restore()"
                )

    # ── what it causes ───────────────────────────────────────────────────────────────────────────────────

    def settle(self, name: str, steps: Sequence[CompletedStep]) -> float:
        """Wait until what the steps cause has come about; the moment (Unix seconds) at which it had."""
        if not steps:
            return time.time()
        last = steps[-1]
        patience = max(ACTIONS[step.verb].patience_s for step in steps)
        return readiness.until_settled(name, self.watches, lambda: self._missing(last), last.end, self._say, patience)

    def _missing(self, last: CompletedStep) -> Iterator[str]:
        if ACTIONS[last.verb].loses_node:
            yield from readiness.node_lost(self.watches, last.targets[0], last.t)
        elif ACTIONS[last.verb].targets == "node":
            yield from readiness.node_recovered(self.watches, last.targets[0], self._led)
            yield from readiness.bgp_sessions(self.watches)
        else:
            yield from readiness.all_ready(self.watches, list(self.lost()))

    # ── a state ──────────────────────────────────────────────────────────────────────────────────────────

    def reconcile(self, wanted: ClusterState, name: str) -> float | None:
        """Bring the cluster to a state: the moment (Unix seconds) at which it had settled; None if it was there."""
        steps: list[CompletedStep] = []
        for group in (
            self._undo_unwanted,
            self._remove_metallb,
            self._install_metallb,
            self._delete_unwanted,
            self._apply_missing,
            self._apply_extras,
            self._inject_faults,
        ):
            did = list(group(wanted))
            steps += did
            if did and group is not self._inject_faults:
                self.settle(name, did)
        if not steps:
            return None
        return self.settle(name, steps)

    def is_at(self, wanted: ClusterState) -> bool:
        """True when bringing the cluster to this state would do nothing."""
        installed = readiness.installed(self.watches)
        return (
            {one.verb for one in self._active()} == {one.verb for one in wanted.active}
            and installed == wanted.metallb
            and not self._to_delete(wanted)
            and not self._to_apply(wanted)
        )

    def _undo_unwanted(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        """What is in force and should not be; a lost node first, since everything waits for it."""
        for one in self._active():
            if wanted.lacks(one):
                yield self._completed(
                    one.inverse, (one.target,), actions.undo(one), f"undo {one.verb} {one.target}".strip()
                )

    def _remove_metallb(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        """Without MetalLB, where that is wanted."""
        if readiness.installed(self.watches) and not wanted.metallb:
            self._say("removing MetalLB")
            there = [obj for obj in self._existing().values() if obj["kind"] not in ("Pod", "Service")]
            if there:
                yield self.delete([reference(obj) for obj in there])
            ran = actions.uninstall_metallb(lifecycle.metallb_manifest())
            yield self._completed(
                "delete", ("namespace/metallb-system",), [ran], "kubectl delete -f metallb-native.yaml"
            )

    def _install_metallb(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        if wanted.metallb and not readiness.installed(self.watches):
            yield self.perform("install_metallb")

    def _existing(self) -> dict[tuple[str, str, str], KubeObject]:
        """The objects of the course that exist, by kind, namespace and name."""
        kinds = {"Pod": "pods", "Service": "services", "IPAddressPool": "ipaddresspools"}
        kinds |= {"L2Advertisement": "l2advertisements", "BGPPeer": "bgppeers", "BGPAdvertisement": "bgpadvertisements"}
        known = stories.every_identity()
        found = {}
        for kind, plural in kinds.items():
            for obj in self.watches.objects(plural):
                key = (kind, obj["metadata"].get("namespace", "default"), obj["metadata"]["name"])
                if key in known and not obj["metadata"].get("deletionTimestamp"):
                    found[key] = {"kind": kind, **obj}
        return found

    def _delete_unwanted(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        doomed = self._to_delete(wanted)
        if doomed:
            yield self.delete([reference(obj) for obj in doomed])

    def _to_delete(self, wanted: ClusterState) -> list[KubeObject]:
        """What should not exist; and Services whose address or pool would not be the one of a fresh start."""
        target = {identity(doc): doc for doc in wanted.objects(self.network)}
        there = self._existing()
        gone = [obj for key, obj in there.items() if key not in target]
        changed_pools = [
            obj for key, obj in there.items()
            if obj["kind"] == "IPAddressPool" and key in target and not is_applied(target[key], obj)
        ]  # fmt: skip
        pools_move = bool(changed_pools) or any(obj["kind"] == "IPAddressPool" for obj in gone)
        fresh = [
            obj for key, obj in there.items()
            if obj["kind"] == "Service" and key in target and self._needs_fresh_start(obj, target[key], pools_move)
        ]  # fmt: skip
        order = ["Pod", "Service", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "IPAddressPool"]
        return sorted([*gone, *fresh, *changed_pools], key=lambda obj: order.index(obj["kind"]))

    def _needs_fresh_start(self, service: KubeObject, target: KubeObject, pools_move: bool) -> bool:
        """True for svc1, svc2, svc3 when their addresses would not be the first, second and third of the pool."""
        name = service["metadata"]["name"]
        if target["spec"].get("type") != "LoadBalancer" or name not in ("svc1", "svc2", "svc3"):
            return False
        asks = [obj["spec"].get("loadBalancerIP") or self._pool_asked(obj) for obj in (service, target)]
        due = self._expected_vip(name)
        return pools_move or asks[0] != asks[1] or (not asks[1] and external_address(service) not in ("", due))

    @staticmethod
    def _pool_asked(obj: KubeObject) -> str:
        return str(obj["metadata"].get("annotations", {}).get("metallb.universe.tf/address-pool", ""))

    def _expected_vip(self, name: str) -> str:
        from ipaddress import IPv4Address

        return str(IPv4Address(address_plan(self.network).pool_first) + int(name.removeprefix("svc")) - 1)

    def _apply_missing(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        yield from self._begin(one for one in wanted.active if ACTIONS[one.verb].before_objects)
        documents = self._to_apply(wanted)
        # a pool before the Services that draw on it, and a Service that asks for an address before the others
        for kinds in (("Pod",), ("IPAddressPool",), ("L2Advertisement", "BGPPeer", "BGPAdvertisement"), ("Service",)):
            batch = [doc for doc in documents if doc["kind"] in kinds]
            if batch:
                yield self.apply(batch)

    def _to_apply(self, wanted: ClusterState) -> list[KubeObject]:
        there = self._existing()
        return [doc for doc in wanted.objects(self.network) if not is_applied(doc, there.get(identity(doc)))]

    def _apply_extras(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        """Do what is wanted beside the objects: a route, a label, a conflicting host, no speakers."""
        rows = ((one, ACTIONS[one.verb]) for one in wanted.active)
        yield from self._begin(one for one, row in rows if not (row.before_objects or row.loses_node))

    def _inject_faults(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        if not self.lost():
            yield from self._begin(one for one in wanted.active if ACTIONS[one.verb].loses_node)

    def _begin(self, wanted: Iterable[ActiveAction]) -> Iterator[CompletedStep]:
        """Do what is wanted and not active yet."""
        active = {one.verb for one in self._active()}
        for one in wanted:
            if one.verb not in active:
                step = stories.begin(one)
                yield self.perform(one.verb, (*([self.resolve(step.role)] if step.role else []), *step.targets))

    def resolve(self, role: str) -> str:
        """The node that has a role now: `leader of svc1`, `node of webpod1`."""
        what, _, of = role.partition(" of ")
        if what == "leader":
            leader = readiness.leaders(self.watches).get(of)
            if leader is None:
                raise ClusterError(f"nobody leads {of} now: lab.events({of!r}) may say why")
            return leader
        pods = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in self.watches.objects("pods")}
        return str(pods[of])

    def delete_speaker_pod(self, service: str) -> CompletedStep:
        """Delete the speaker Pod on the leader of a Service."""
        leader = self.resolve(f"leader of {service}")
        self._led = readiness.leaders(self.watches)
        (pod,) = [
            pod["metadata"]["name"]
            for pod in self.watches.objects("pods")
            if pod["metadata"]["name"].startswith("speaker-") and pod["spec"].get("nodeName") == leader
        ]
        return self.delete([f"pod/{pod}"])


def repair(say: Say) -> list[str]:
    """Undo every failure that is in force and wait until the cluster is whole; what was undone, in words."""
    undone = []
    for one in actions.active_actions():
        say(f"undoing {one.verb} {one.target}")
        actions.undo(one)
        undone.append(f"{one.verb} {one.target}".strip())
    _wait_for_the_api(say)
    watches = Watches()
    try:
        readiness.until_settled("healing", watches, lambda: _unhealthy(watches), time.time(), say, 180)
    finally:
        watches.close()
    return undone


def _wait_for_the_api(say: Say) -> None:
    """After a restart of the machine the control plane needs a while before it answers."""
    for _ in range(240):
        if kubectl("get --raw /readyz", timeout=20).out == "ok":
            return
        say("waiting for the API server")
        time.sleep(0.5)
    raise ClusterError("the API server does not answer two minutes after its node was started: kans down, then kans up")


def _unhealthy(watches: Watches) -> Iterator[str]:
    yield from (f"{n['metadata']['name']} to be Ready" for n in watches.objects("nodes") if not is_ready(n))
    yield from readiness.all_ready(watches)


def with_metallb(manifest: str, say: Say) -> None:
    """Install MetalLB and wait until it works."""
    watches = Watches()
    try:
        if not readiness.installed(watches):
            say("installing MetalLB")
            actions.install_metallb(manifest)
            readiness.until_settled("MetalLB", watches, lambda: readiness.all_ready(watches), time.time(), say, 240)
    finally:
        watches.close()
