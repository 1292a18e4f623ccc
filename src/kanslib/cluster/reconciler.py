"""Do actions on the course's cluster, wait until they have settled, and bring the cluster to a state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import yaml

from kanslib.actions import ACTIONS, ActiveAction, Verb, describe
from kanslib.cluster import actions, docker, lifecycle, readiness
from kanslib.cluster.api import Watches, kubectl
from kanslib.cluster.docker import CONFLICTING_HOST, ROUTER, CommandResult
from kanslib.cluster.lifecycle import Notify
from kanslib.cluster.retries import retry_until
from kanslib.course import stories
from kanslib.course.addressing import LESSON_NETWORK, address_plan
from kanslib.course.stories import ClusterState, Role, WantedAction
from kanslib.exceptions import ClusterError, RefusedError
from kanslib.i18n import tr
from kanslib.k8s.apply import is_applied
from kanslib.k8s.manifest import reference
from kanslib.k8s.objects import KubeObject, external_address, identity, is_ready
from kanslib.k8s.refusals import read_refusal

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompletedStep:
    """A completed step: verb, targets, manifest, command, its output, start `t` and `end` (Unix seconds).

    `refused`: what a component refused of it; None where all was done.
    """

    verb: Verb
    targets: tuple[str, ...]
    manifest: str
    command: str
    output: str
    t: float
    end: float
    refused: RefusedError | None = None


class Reconciler:
    """Acts on the cluster.

    `notify` is called with the progress line, `on_step` with each step when it is completed.
    """

    def __init__(
        self, watches: Watches, notify: Notify, on_step: Callable[[CompletedStep], None] = lambda _step: None
    ) -> None:
        self.watches, self._notify, self._on_step = watches, notify, on_step
        network = docker.network()
        self.network = network.subnet if network else LESSON_NETWORK
        self._leaders_before: dict[str, str] = {}  # leaders of the Services before a node was lost

    # ── one step at a time ───────────────────────────────────────────────────────────────────────────────

    def _active(self) -> list[ActiveAction]:
        return actions.active_actions(self.watches.objects)

    def lost_nodes(self) -> dict[str, Verb]:
        """Return the nodes that cannot be reached now, each with the action that caused it."""
        return {one.target: one.verb for one in self._active() if ACTIONS[one.verb].loses_node}

    def apply(self, documents: Sequence[KubeObject]) -> CompletedStep:
        """Apply objects, without waiting.

        Raises RefusedError where all of them are refused, ClusterError when kubectl fails.
        """
        targets = tuple(reference(document) for document in documents)
        manifest = "---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents)
        return self._completed("apply", targets, [actions.apply(manifest)], "kubectl apply -f -", manifest)

    def delete(self, references: Sequence[str]) -> CompletedStep:
        """Delete objects (`kind/name`), without waiting.

        Raises RefusedError where nothing may be deleted, ClusterError when kubectl fails.
        """
        return self._completed(
            "delete", tuple(references), actions.delete(references), "kubectl delete " + " ".join(references)
        )

    def perform(self, verb: Verb, targets: Sequence[str] = ()) -> CompletedStep:
        """Do any other action, without waiting. Raises ClusterError for one that must not be done now."""
        if ACTIONS[verb].loses_node:
            self._refuse_second_loss(verb, targets[0])
            self._leaders_before = readiness.leaders(self.watches)
        targets = self._complete_targets(verb, targets)
        self._notify(
            tr("{describe} on the course's own cluster; lab.restore() undoes it", describe=describe(verb, targets))
        )
        results = actions.perform(verb, targets)
        return self._completed(verb, targets, results, " ".join(results[0].command))

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
        self, verb: Verb, targets: tuple[str, ...], results: Sequence[CommandResult], command: str, manifest: str = ""
    ) -> CompletedStep:
        """Return what was done, and report it. Raises the refusal of a step that did nothing."""
        now = time.time()
        output = "\n".join(one.out.strip() for one in results)
        span = (results[0].t, results[-1].end) if results else (now, now)
        refused = next((refusal for one in results if (refusal := read_refusal(one.err))), None)
        if refused and not output:
            raise refused
        step = CompletedStep(verb, targets, manifest, command, output, *span, refused)
        _LOG.info("step: %s, %.1f s", describe(verb, targets), step.end - step.t)
        self._on_step(step)
        return step

    def _refuse_second_loss(self, verb: Verb, node: str) -> None:
        for other in self.lost_nodes():
            if other != node:
                raise ClusterError(
                    tr(
                        "{verb} {node} refused: {other} is lost already, and the course loses one node at "
                        "a time.\nnext step: lab.start_node({other!r}), lab.link_up({other!r}) or "
                        "lab.restore()",
                        verb=verb,
                        node=node,
                        other=other,
                    )
                )

    # ── settling ─────────────────────────────────────────────────────────────────────────────────────────

    def settle(self, name: str, steps: Sequence[CompletedStep]) -> float:
        """Wait until the effects of the steps have settled, and return when that was (Unix seconds).

        `name`: the action, for messages. Raises SettleTimeoutError.
        """
        if not steps:
            return time.time()
        last = steps[-1]
        timeout = max(ACTIONS[step.verb].patience_s for step in steps)
        return readiness.wait_until_settled(
            name, self.watches, lambda: self._pending(last), last.end, self._notify, timeout
        )

    def _pending(self, last: CompletedStep) -> Iterator[str]:
        if ACTIONS[last.verb].loses_node:
            yield from readiness.pending_after_loss(self.watches, last.targets[0], last.t)
        elif ACTIONS[last.verb].targets == "node":
            yield from readiness.pending_after_return(self.watches, last.targets[0], self._leaders_before)
            yield from readiness.pending_bgp(self.watches)
        else:
            yield from readiness.pending_anywhere(self.watches, list(self.lost_nodes()))

    # ── a state ──────────────────────────────────────────────────────────────────────────────────────────

    def reconcile(self, wanted: ClusterState, name: str) -> float | None:
        """Bring the cluster to a state, and return when it had settled (Unix seconds); None if nothing was to do.

        `name`: what for, in messages. Raises RefusedError, ClusterError and SettleTimeoutError.
        """
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
            completed = list(group(wanted))
            steps += completed
            raise_refusal(completed)
            if completed and group is not self._inject_faults:
                self.settle(name, completed)
        if not steps:
            return None
        return self.settle(name, steps)

    def is_at(self, wanted: ClusterState) -> bool:
        """Return True when `reconcile` would do nothing."""
        installed = readiness.metallb_installed(self.watches)
        return (
            {one.verb for one in self._active()} == {one.verb for one in wanted.active}
            and installed == wanted.metallb
            and not self._to_delete(wanted)
            and not self._to_apply(wanted)
        )

    def _undo_unwanted(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        """Undo active actions that the state does not have; a lost node first, since everything waits for it."""
        for one in self._active():
            if not wanted.has_active(one.verb):
                yield self._completed(
                    one.inverse,
                    (one.target,),
                    actions.undo(one),
                    tr("undo {verb} {target}", verb=one.verb, target=one.target).strip(),
                )

    def _remove_metallb(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        """Remove MetalLB and its objects, for a state without it."""
        if readiness.metallb_installed(self.watches) and not wanted.metallb:
            self._notify(tr("removing MetalLB"))
            objects = [obj for obj in self._existing().values() if obj["kind"] not in ("Pod", "Service")]
            if objects:
                yield self.delete([reference(obj) for obj in objects])
            result = actions.uninstall_metallb(lifecycle.metallb_manifest())
            yield self._completed(
                "delete", ("namespace/metallb-system",), [result], "kubectl delete -f metallb-native.yaml"
            )

    def _install_metallb(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        if wanted.metallb and not readiness.metallb_installed(self.watches):
            yield self.perform("install_metallb")

    def _existing(self) -> dict[tuple[str, str, str], KubeObject]:
        """Return the objects of the course that exist, by kind, namespace and name."""
        kinds = {"Pod": "pods", "Service": "services", "IPAddressPool": "ipaddresspools"}
        kinds |= {"L2Advertisement": "l2advertisements", "BGPPeer": "bgppeers", "BGPAdvertisement": "bgpadvertisements"}
        course_objects = stories.every_identity()
        found = {}
        for kind, plural in kinds.items():
            for obj in self.watches.objects(plural):
                key = (kind, obj["metadata"].get("namespace", "default"), obj["metadata"]["name"])
                if key in course_objects and not obj["metadata"].get("deletionTimestamp"):
                    found[key] = {"kind": kind, **obj}
        return found

    def _delete_unwanted(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        unwanted = self._to_delete(wanted)
        if unwanted:
            yield self.delete([reference(obj) for obj in unwanted])

    def _to_delete(self, wanted: ClusterState) -> list[KubeObject]:
        """Return the objects that should not exist, and changed pools and Services that a new allocation needs."""
        target = {identity(doc): doc for doc in wanted.objects(self.network)}
        existing = self._existing()
        unwanted = [obj for key, obj in existing.items() if key not in target]
        changed_pools = [
            obj for key, obj in existing.items()
            if obj["kind"] == "IPAddressPool" and key in target and not is_applied(target[key], obj)
        ]  # fmt: skip
        pools_change = bool(changed_pools) or any(obj["kind"] == "IPAddressPool" for obj in unwanted)
        reallocated = [
            obj for key, obj in existing.items()
            if obj["kind"] == "Service" and key in target and self._needs_new_address(obj, target[key], pools_change)
        ]  # fmt: skip
        order = ["Pod", "Service", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "IPAddressPool"]
        return sorted([*unwanted, *reallocated, *changed_pools], key=lambda obj: order.index(obj["kind"]))

    def _needs_new_address(self, service: KubeObject, target: KubeObject, pools_change: bool) -> bool:
        """Return True for svc1, svc2, svc3 when their addresses would not be the first three of the pool, in order."""
        name = service["metadata"]["name"]
        if target["spec"].get("type") != "LoadBalancer" or name not in ("svc1", "svc2", "svc3"):
            return False
        requested = [obj["spec"].get("loadBalancerIP") or self._requested_pool(obj) for obj in (service, target)]
        before, after = requested
        expected = ("", self._expected_vip(name))
        return pools_change or before != after or (not after and external_address(service) not in expected)

    @staticmethod
    def _requested_pool(obj: KubeObject) -> str:
        return str(obj["metadata"].get("annotations", {}).get("metallb.universe.tf/address-pool", ""))

    def _expected_vip(self, name: str) -> str:
        from ipaddress import IPv4Address

        return str(IPv4Address(address_plan(self.network).pool_first) + int(name.removeprefix("svc")) - 1)

    def _apply_missing(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        yield from self._begin(one for one in wanted.active if ACTIONS[one.verb].before_objects)
        documents = self._to_apply(wanted)
        # pools before the Services that get their addresses from them
        for kinds in (("Pod",), ("IPAddressPool",), ("L2Advertisement", "BGPPeer", "BGPAdvertisement"), ("Service",)):
            batch = [doc for doc in documents if doc["kind"] in kinds]
            if batch:
                yield self.apply(batch)

    def _to_apply(self, wanted: ClusterState) -> list[KubeObject]:
        existing = self._existing()
        return [doc for doc in wanted.objects(self.network) if not is_applied(doc, existing.get(identity(doc)))]

    def _apply_extras(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        """Do the wanted actions that concern no objects and lose no node: route, label, conflicting host, speakers."""
        rows = ((one, ACTIONS[one.verb]) for one in wanted.active)
        yield from self._begin(one for one, row in rows if not (row.before_objects or row.loses_node))

    def _inject_faults(self, wanted: ClusterState) -> Iterator[CompletedStep]:
        if not self.lost_nodes():
            yield from self._begin(one for one in wanted.active if ACTIONS[one.verb].loses_node)

    def _begin(self, wanted: Iterable[WantedAction]) -> Iterator[CompletedStep]:
        """Do the wanted actions that are not active yet."""
        active = {one.verb for one in self._active()}
        for one in wanted:
            if one.verb not in active:
                step = stories.begin(one)
                yield self.perform(one.verb, (*([self.resolve(step.role)] if step.role else []), *step.targets))

    def resolve(self, role: Role) -> str:
        """Return the node that has a role now. Raises ClusterError for the leader of a Service that has none."""
        if role.kind == "leader":
            leader = readiness.leaders(self.watches).get(role.name)
            if leader is None:
                raise ClusterError(tr("{name} has no leader now: lab.events({name!r}) may say why", name=role.name))
            return leader
        pods = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in self.watches.objects("pods")}
        return str(pods[role.name])

    def delete_speaker_pod(self, service: str) -> CompletedStep:
        """Delete the speaker Pod on the leader of a Service."""
        leader = self.resolve(Role("leader", service))
        self._leaders_before = readiness.leaders(self.watches)
        (pod,) = [
            pod["metadata"]["name"]
            for pod in self.watches.objects("pods")
            if pod["metadata"]["name"].startswith("speaker-") and pod["spec"].get("nodeName") == leader
        ]
        return self.delete([f"pod/{pod}"])


def raise_refusal(steps: Iterable[CompletedStep]) -> None:
    """Raise the first RefusedError of these steps, if there is one."""
    for step in steps:
        if step.refused:
            raise step.refused


def repair(notify: Notify) -> list[str]:
    """Undo every active action, wait until the cluster is ready, and return what was undone as texts.

    Raises ClusterError when the API server does not answer, SettleTimeoutError when the cluster is not ready in 180 s.
    """
    undone = []
    for one in actions.active_actions():
        notify(tr("undoing {verb} {target}", verb=one.verb, target=one.target))
        actions.undo(one)
        undone.append(f"{one.verb} {one.target}".strip())
    _wait_for_api(notify)
    watches = Watches()
    try:
        readiness.wait_until_settled("repair", watches, lambda: _unhealthy(watches), time.time(), notify, 180)
    finally:
        watches.close()
    return undone


def _wait_for_api(notify: Notify) -> None:
    """Wait until the API server answers after its node was started. Raises ClusterError after two minutes."""
    retrying = retry_until(
        lambda result: result.out == "ok",
        every=0.5,
        seconds=120,
        on_wait=lambda _: notify(tr("waiting for the API server")),
    )
    if retrying(kubectl, "get --raw /readyz", timeout=20).out != "ok":
        raise ClusterError(
            tr("the API server does not answer two minutes after its node was started: kans down, then kans up")
        )


def _unhealthy(watches: Watches) -> Iterator[str]:
    yield from (
        tr("{name} to be Ready", name=n["metadata"]["name"]) for n in watches.objects("nodes") if not is_ready(n)
    )
    yield from readiness.pending_anywhere(watches)


def install_metallb(manifest: str, notify: Notify) -> None:
    """Install MetalLB from a manifest, and wait until it works. Raises ClusterError and SettleTimeoutError."""
    watches = Watches()
    try:
        if not readiness.metallb_installed(watches):
            notify(tr("installing MetalLB"))
            actions.install_metallb(manifest)
            readiness.wait_until_settled(
                "MetalLB", watches, lambda: readiness.pending_anywhere(watches), time.time(), notify, 240
            )
    finally:
        watches.close()
