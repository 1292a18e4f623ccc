"""Do the same random actions to the course's cluster and to a simulator, and compare both after each of them.

Run with `pytest -m live tests/live/test_random_actions.py -s`; it takes a quarter of an hour. KANS_SEED sets the seed,
KANS_ACTIONS the number of actions.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

import pytest
import yaml

from kanslib.backends.live import LiveBackend
from kanslib.cluster import actions, docker, probes
from kanslib.cluster.api import CONTROL_PLANE, kubectl
from kanslib.cluster.docker import CLIENT
from kanslib.course import manifests, stories
from kanslib.course.stories import EXCLUDE_LABEL
from kanslib.k8s.objects import KubeObject, external_addresses, is_ready, leader_in_event, newest_leaders
from kanslib.lab.lab import Lab
from kanslib.metallb import election
from kanslib.render import command_tables
from kanslib.simulator.address_family import Network
from kanslib.simulator.api_server import IdGenerator
from kanslib.simulator.simulator import InitialState, Simulator
from tests.metallb.recording_helpers import comparable, rules_of

pytestmark = pytest.mark.live
SEED = int(os.environ.get("KANS_SEED", "20261124"))
ACTION_COUNT = int(os.environ.get("KANS_ACTIONS", "200"))
KINDS = (
    "nodes", "namespaces", "pods", "services", "endpointslices", "events", "ipaddresspools", "l2advertisements",
    "bgpadvertisements", "bgppeers", "servicel2statuses", "daemonsets", "deployments", "leases",
)  # fmt: skip
SETTLES_WITHIN = 60.0  # seconds that the cluster's controllers may need


class LiveIds(IdGenerator):
    """The random values of the real cluster: addresses and node ports. The simulator decides everything else."""

    def __init__(self, objects: Callable[[str], list[KubeObject]]) -> None:
        super().__init__()
        self._objects = objects

    def _real(self, kind: str, name: str, field: str = "metadata") -> KubeObject:
        for _ in range(100):  # the watch may be a moment behind
            for one in self._objects(kind):
                if one["metadata"]["name"] == name and (field in one or field in one["spec"]):
                    return one
            time.sleep(0.1)
        raise AssertionError(f"the cluster has no {name} with {field} among its {kind}")

    def cluster_ip(self, name: str, network: Network, taken: Collection[str]) -> str:
        return str(self._real("services", name)["spec"]["clusterIP"])

    def node_port(self, name: str, taken: Collection[int]) -> int:
        service, _, health = name.partition(" ")
        if health:
            return int(self._real("services", service, "healthCheckNodePort")["spec"]["healthCheckNodePort"])
        spec = self._real("services", service)["spec"]
        return next(int(port["nodePort"]) for port in spec["ports"] if port["nodePort"] not in taken)

    def pod_ip(self, name: str, network: Network, taken: Collection[str], last: str) -> str:
        return str(self._real("pods", name)["status"]["podIP"])


class LiveAndSimulated:
    """A live cluster, and a simulator that gets the same actions but not their effects."""

    def __init__(self, lab: Lab, live: LiveBackend) -> None:
        self.live = live
        self.nodes = list(lab.nodes().NAME)
        self.control_plane = lab.control_plane
        origin = InitialState(
            moment=time.time(), objects={kind: lab.objects(kind) for kind in KINDS}, network=lab.network(),
            addresses={**live.topology().addresses}, macs={place: mac for mac, place in live.mac_owners().items()},
            cluster_cidr="10.10.0.0/16", control_plane=lab.control_plane, client=lab.client,
        )  # fmt: skip
        self.simulator = Simulator(origin, LiveIds(self.live.objects))
        self.rules = self.scans = self.races = 0

    def do(self, live: Callable[[], object], simulator: Callable[[], object]) -> None:
        live()
        self._wait_for_pods()
        self.simulator.advance(max(time.time(), self.simulator.cluster.now))
        simulator()
        self.simulator.settle()

    def _wait_for_pods(self) -> None:
        """Wait until every Pod has its address, which the simulator copies."""
        for _ in range(100):
            pods = [pod for pod in self.live.objects("pods") if pod["metadata"]["namespace"] == "default"]
            settled = all(p.get("status", {}).get("podIP") and not p["metadata"].get("deletionTimestamp") for p in pods)
            if settled:
                return
            time.sleep(0.2)

    def controllers_run(self) -> bool:
        pods = [pod for pod in self.live.objects("pods") if "controller-manager" in pod["metadata"]["name"]]
        return bool(pods) and all(map(is_ready, pods))

    # ── differences ────────────────────────────────────────────────────────────────────────────────────

    def differences(self) -> list[str]:
        """Return what differs now: Services, rules, and the ARP replies for every address."""
        return [*self._services(), *self._rules(), *self._wire()]

    def _services(self) -> Iterator[str]:
        real, simulator = (
            {one["metadata"]["name"]: one for one in objects if one["metadata"]["namespace"] == "default"}
            for objects in (self.live.objects("services"), self.simulator.cluster.objects("services"))
        )
        if real.keys() != simulator.keys():
            yield f"services {sorted(real.keys() ^ simulator.keys())}"
        live_leaders, simulated_leaders = (
            newest_leaders(self.live.objects("events")),
            newest_leaders(self.simulator.cluster.objects("events")),
        )
        for name in real.keys() & simulator.keys():
            a, b = external_addresses(real[name]), external_addresses(simulator[name])
            if a != b:
                yield f"address of {name}: {a}, simulated {b}"
            members = self.simulator.speakers.members[self.control_plane]
            led = election.explain(self.simulator.cluster.objects, name, members).leader
            uids = real[name]["metadata"]["uid"], simulator[name]["metadata"]["uid"]
            if led and simulated_leaders.get(uids[1]) != led:
                yield f"leader of {name}: elected {led}, the simulated leader event {simulated_leaders.get(uids[1])}"
            if led and live_leaders.get(uids[0]) != led:
                self.races += 1
                if not self._announced_together(uids[0], led):
                    yield f"leader of {name}: {live_leaders.get(uids[0])}, simulated {led}"
            live, simulated = (_messages(objects, uid) for objects, uid in zip(self._events(), uids, strict=True))
            if live != simulated:
                yield f"events of {name}: {live}, simulated {simulated}"

    def _announced_together(self, uid: str, leader: str) -> bool:
        """Return True when the leader wrote a leader event too, though another speaker wrote the newest one.

        A speaker that sees a change later than the others may write last. And client-go's spam filter drops the events
        of a leader that has written 25 of them about a Service.
        """
        events = [event for event in self.live.objects("events") if event["involvedObject"].get("uid") == uid]
        newest = {node: event for event in events if (node := leader_in_event(event))}
        if leader not in newest:
            return False
        when = {node: datetime.fromisoformat(event["lastTimestamp"]).timestamp() for node, event in newest.items()}
        return max(when.values()) - when[leader] <= 2 or newest[leader].get("count", 1) >= 20

    def _events(self) -> tuple[list[KubeObject], list[KubeObject]]:
        return self.live.objects("events"), self.simulator.cluster.objects("events")

    def _rules(self) -> Iterator[str]:
        for node in self.nodes:
            real = rules_of(docker.exec_in(node, "iptables-save -c").out)
            rules = self.simulator.rules(node, self.simulator.cluster.now)
            both = {("nat", chain): lines for chain, lines in rules.nat.items() if lines and chain != "KUBE-FIREWALL"}
            both |= {("filter", chain): lines for chain, lines in rules.filter.items() if lines}
            both.pop(("filter", "KUBE-FIREWALL"), None)
            a, b = comparable(real), comparable(both)
            self.rules += sum(map(len, a.values()))
            for key in a.keys() | b.keys():
                if a.get(key) != b.get(key):
                    yield f"{node} {key}: {a.get(key)}, simulated {b.get(key)}"

    def _wire(self) -> Iterator[str]:
        """Compare an ARP scan of every address in use, from the client."""
        vips = sorted({ip for one in self.simulator.cluster.objects("services") for ip in external_addresses(one)})
        if not vips:
            return
        _, ran = probes.arp_scan(CLIENT, vips)
        holders = {
            row["ADDRESS"]: row["HOLDER"] for row in command_tables.arp_scan_rows(ran.out, self.live.mac_owners())
        }
        for vip in vips:
            self.scans += 1
            computed = self.simulator.arp_responders(vip, self.simulator.cluster.now, CLIENT)
            real = [holders[vip]] if vip in holders else []
            if real != computed:
                yield f"who answers for {vip}: {real}, simulated {computed}"


def _messages(events: list[KubeObject], uid: str) -> set[tuple[str, str]]:
    """Return the events of MetalLB's controller about a Service, as reason and message."""
    own = [event for event in events if event["involvedObject"].get("uid") == uid]
    return {(e["reason"], e["message"]) for e in own if e.get("source", {}).get("component") == "metallb-controller"}


# ── actions ──────────────────────────────────────────────────────────────────────────────────────────────


class RandomActions:
    """Chooses random actions and does them to both clusters."""

    def __init__(self, both: LiveAndSimulated, rng: random.Random) -> None:
        self.both, self.rng = both, rng
        self.services: dict[str, KubeObject] = {}
        self.pods: dict[str, KubeObject] = {}
        self.excluded: set[str] = set()
        self.tainted: set[str] = set()
        self.count = 0

    @property
    def workers(self) -> list[str]:
        return [node for node in self.both.nodes if node != self.both.control_plane]

    def play(self) -> str:
        choices = [
            self.label, self.taint, self.scale_up, self.scale_down, self.delete_service, self.add_service,
            self.add_service, self.change_policy, self.change_policy, self.advertise,
        ]  # fmt: skip
        return self.rng.choice(choices)()

    def label(self) -> str:
        node = self.rng.choice(self.workers)
        label = f"{EXCLUDE_LABEL}-" if node in self.excluded else f"{EXCLUDE_LABEL}=true"
        self.excluded ^= {node}
        self.both.do(lambda: actions.label(node, [label]), lambda: self.both.simulator.perform("label", [node, label]))
        return f"label {node} {label}"

    def taint(self) -> str:
        """Add or remove a taint, which MetalLB v0.14.8 ignores."""
        node = self.rng.choice(self.workers)
        off = node in self.tainted
        self.tainted ^= {node}
        word = f"kans=random:NoSchedule{'-' if off else ''}"
        self.both.do(lambda: kubectl(f"taint node {node} {word}"), lambda: self._taint(node, off))
        return f"taint {node} {word}"

    def _taint(self, node: str, off: bool) -> None:
        obj = dict(self.both.simulator.cluster.get("nodes", node) or {})
        taints = [] if off else [{"key": "kans", "value": "random", "effect": "NoSchedule"}]
        self.both.simulator.cluster.put("nodes", {**obj, "spec": {**obj["spec"], "taints": taints}})

    def scale_up(self) -> str:
        self.count += 1
        node, name = self.rng.choice(self.workers), f"extra{self.count}"
        (pod, *_) = yaml.safe_load_all(manifests.webpods)
        pod["metadata"]["name"], pod["spec"]["nodeName"] = name, node
        self.pods[name] = pod
        return self.apply(pod)

    def scale_down(self) -> str:
        if not self.pods:
            return self.scale_up()
        name = self.rng.choice(sorted(self.pods))
        del self.pods[name]
        return self._delete(f"pod/{name}")

    def add_service(self) -> str:
        if len(self.services) >= 8:
            return self.delete_service()
        self.count += 1
        name, spec = f"random{self.count}", self._policy()
        notes: dict[str, str] = {}
        if self.rng.random() < 0.3:
            notes["metallb.universe.tf/address-pool"] = "extra"
        elif self.rng.random() < 0.3:
            notes["metallb.universe.tf/allow-shared-ip"] = self.rng.choice(["a", "b"])
            notes["metallb.universe.tf/loadBalancerIPs"] = "172.18.255.240"
        port = self.rng.choice([80, 81, 8080])
        spec |= {"type": "LoadBalancer", "selector": {"app": self.rng.choice(["webpod"] * 5 + ["nobody"])}}
        spec["ports"] = [{"name": "web", "port": port, "targetPort": 80}]
        if self.rng.random() < 0.3:
            spec["ports"].append({"name": "more", "port": port + 1000, "targetPort": 80})
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "annotations": notes},
            "spec": spec,
        }
        self.services[name] = service
        return self.apply(service)

    def _policy(self) -> dict[str, Any]:
        rng = self.rng
        spec: dict[str, Any] = {"externalTrafficPolicy": rng.choice(["Cluster", "Local"])}
        spec["internalTrafficPolicy"] = rng.choice(["Cluster", "Cluster", "Local"])
        if rng.random() < 0.3:
            spec["sessionAffinity"] = "ClientIP"
        if rng.random() < 0.3:
            spec["loadBalancerSourceRanges"] = [rng.choice(["172.18.0.0/16", "172.18.0.100/32", "10.0.0.0/8"])]
        return spec

    def change_policy(self) -> str:
        if not self.services:
            return self.add_service()
        service = self.services[self.rng.choice(sorted(self.services))]
        kept = {key: service["spec"][key] for key in ("type", "selector", "ports")}
        service["spec"] = {**kept, **self._policy()}
        return self.apply(service)

    def delete_service(self) -> str:
        if not self.services:
            return self.add_service()
        name = self.rng.choice(sorted(self.services))
        del self.services[name]
        return self._delete(f"service/{name}")

    def advertise(self) -> str:
        """Advertise from other nodes."""
        (doc,) = yaml.safe_load_all(manifests.l2advertisement)
        chosen = self.rng.sample(["worker1", "worker2", "worker3"], self.rng.randint(1, 3))
        doc["spec"]["ipAddressPools"] = ["my-ippool", "extra"]
        doc["spec"]["nodeSelectors"] = [{"matchLabels": {"mynode": name}} for name in sorted(chosen)]
        return self.apply(doc)

    def _delete(self, ref: str) -> str:
        self.both.do(lambda: actions.delete([ref]), lambda: self.both.simulator.delete([ref]))
        return f"delete {ref}"

    def apply(self, doc: KubeObject) -> str:
        self.both.do(lambda: actions.apply(yaml.safe_dump(doc)), lambda: self.both.simulator.apply([doc]))
        return f"apply {doc['kind']}/{doc['metadata']['name']} {doc['spec']}"

    def clear(self) -> None:
        refs = [f"service/{name}" for name in self.services] + [f"pod/{name}" for name in self.pods]
        if refs:
            actions.delete(refs)
        for node in self.excluded:
            actions.label(node, [f"{EXCLUDE_LABEL}-"])
        for node in self.tainted:
            kubectl(f"taint node {node} kans=random:NoSchedule-")
        actions.delete(["ipaddresspool/extra"])
        actions.apply(manifests.l2advertisement)


EXTRA = {
    "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
    "metadata": {"name": "extra", "namespace": "metallb-system"},
    "spec": {"addresses": ["172.18.254.10-172.18.254.11"], "autoAssign": False},
}  # fmt: skip


MANIFEST = "/etc/kubernetes/manifests/kube-controller-manager.yaml"
STARTED = "bootstrapsigner,tokencleaner"


@pytest.fixture
def steady() -> Iterator[None]:
    """Run kube-controller-manager without service-lb-controller, which panics in v1.31.0 at every changed policy.

    k8s.io/cloud-provider v0.31.0 controllers/service/controller.go needsUpdate writes an event with a recorder that
    does not exist without a cloud. After a few panics the restarts take minutes, without updates of endpoints.
    """
    changed = f"{STARTED},-service-lb-controller"
    try:
        _controllers(STARTED, changed)
        yield
    finally:
        _controllers(changed, STARTED)


def _controllers(before: str, after: str) -> None:
    """Change the controllers of the course's own cluster, and wait until they run."""
    # edited elsewhere first: the kubelet starts every file in that folder
    edit = f"sed 's/--controllers=\\*,{before}$/--controllers=*,{after}/' {MANIFEST} > /tmp/edited"
    docker.exec_in(CONTROL_PLANE, f"{edit} && cp /tmp/edited {MANIFEST}")
    for _ in range(120):
        time.sleep(1)
        shown = "{.items[*].spec.containers[0].command} {.items[*].status.containerStatuses[0].ready}"
        result = kubectl(f"get pods -n kube-system -l component=kube-controller-manager -o jsonpath='{shown}'")
        if f'{after}"' in result.out.replace("'", '"') and "true" in result.out:
            return
    raise AssertionError(f"kube-controller-manager did not come back: {result.out}")


def test_simulator_equals_live_after_random_actions(steady: None) -> None:
    live = LiveBackend("election")
    lab = Lab(live, "election")
    assert stories.SCRIPTED_STORIES["election"].opening == stories.LAYER2
    both = LiveAndSimulated(lab, live)
    chosen = RandomActions(both, random.Random(SEED))
    slowest, done = 0.0, []
    try:
        chosen.apply(EXTRA)
        for turn in range(ACTION_COUNT):
            description = chosen.play()
            done.append(description)
            began = time.time()
            while (found := both.differences()) and time.time() - began < SETTLES_WITHIN:
                if not both.controllers_run():  # on a busy machine the controller manager restarts at times
                    began = time.time()
                time.sleep(0.5)
            slowest = max(slowest, time.time() - began)
            assert not found, (
                f"seed {SEED}, action {turn}: {description}\n" + "\n".join(found[:5]) + "\nbefore: " + str(done[-4:])
            )
    finally:
        chosen.clear()
        lab.restore()
        print(f"\nseed {SEED}: {len(done)} actions; compared {both.rules} rules, {both.scans} ARP answers")
        print(f"equal within {slowest:.1f} s at the most; {both.races} times another leader event was the newest")
