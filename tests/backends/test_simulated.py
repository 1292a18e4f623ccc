"""The twin beside the recordings: it repeats their acts, without looking at what came of them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

import kanslib
from kanslib.backends.initial_state import from_recording
from kanslib.backends.recorded import RecordedBackend
from kanslib.backends.replay import replay_in_simulator
from kanslib.backends.simulated import SimulatedBackend
from kanslib.comparison.recordings import meaning, outages_agree
from kanslib.comparison.simulation import compare_with_simulator
from kanslib.course import manifests, stories
from kanslib.exceptions import KanslibError, NotRecordedError, RefusedError
from kanslib.k8s import kubeproxy
from kanslib.lab.lab import Lab
from kanslib.metallb.election import order
from kanslib.recording import Recording
from tests.lab.moments import performed
from tests.types import OpenLab

CHAPTERS = [script.name for script in stories.CHAPTERS]
# a speaker that has just started claims all, and its event may come last: explained, claim by claim, in test_replay
OLDER_BELIEFS = {("delete-speaker-pod", "leader of svc3"), ("delete-leaders-endpoint", "leader of svc2")}


def _all_equal(world: RecordedBackend, act: str) -> int:
    """How much was compared at this moment."""
    compared = 0
    for pair in compare_with_simulator(world, replay_in_simulator(world)):
        compared += 1
        if (act, pair.what) not in OLDER_BELIEFS:
            assert not pair.differs, f"{act}: {pair}"
    return compared


@pytest.mark.parametrize("story", CHAPTERS)
def test_simulated_backend_equals_recording_at_every_moment(recording: Recording, story: str) -> None:
    """Addresses, leaders, notes, endpoints, every node's rules, routes: at the opening and every act of every story."""
    world, compared = RecordedBackend(recording, story), 0
    for moment in ("opening", *(act.id for act in world.clock.actions)):
        world.at(moment, None)
        compared += _all_equal(world, moment)
    print(f"\n{story}: {compared} compared")
    assert compared >= 12


@pytest.mark.parametrize("story", ["l2", "metallb", "election", "failover", "etp-local", "case-2", "case-7", "case-9"])
def test_simulated_backend_equals_reference_at_every_moment(reference_recording: Recording, story: str) -> None:
    world, compared = RecordedBackend(reference_recording, story), 0
    for act in world.clock.actions:
        if act.id == "apply-svc-nodeport":  # the next one was done before its endpoints were written
            continue
        world.at(act.id, None)
        compared += _all_equal(world, act.id)
    print(f"\n{story}: {compared} compared")
    assert compared >= 12


@pytest.mark.slow
@pytest.mark.parametrize("story", ["election", "failover", "bgp", "bgp-silent"])
def test_simulated_backend_outage_phases_equal_recorded(recording: Recording, story: str) -> None:
    """By the script, not by the recording's moments: dark and partly dark for about as long as it was."""
    recorded = RecordedBackend(recording, story)
    computed = SimulatedBackend(from_recording(recorded), "a recording", stories.SCRIPTED_STORIES[story])
    outages = []
    for moment in stories.SCRIPTED_STORIES[story].moments:
        a, b = meaning(recorded, moment.id).outages, meaning(computed, moment.id).outages
        for service in a:
            assert service in b, f"{moment.id} {service}: nobody computed it"
            assert outages_agree(a[service], b[service]), f"{moment.id} {service}: {a[service]} | {b[service]}"
            outages.append(a[service] != ())
    assert outages
    assert any(outages) == (story in ("failover", "bgp-silent"))  # elsewhere nobody missed an answer


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_simulated_backend_kill_node_takes_time(open_lab: OpenLab) -> None:
    lab = open_lab("failover", backend="simulated")
    victim = str(lab.leader("svc1"))
    lab.kill_node(victim)
    lab.at("kill-node", after=4)
    assert lab.leader("svc1") == victim  # a claim: nobody knows yet
    assert victim not in set(lab.arp_scan().HOLDER)
    lab.at("kill-node", after=15)
    assert lab.leader("svc1") == order(["myk8s-worker2", "myk8s-worker3"], lab.vip("svc1"))[0]
    assert len(list(lab.trace("svc1"))) == 2  # the dead endpoint is still in the rules
    lab.at("kill-node")
    assert len(list(lab.trace("svc1"))) == 1


def test_simulated_backend_late_failures_are_conntrack_ports(open_lab: OpenLab) -> None:
    lab = open_lab("failover", backend="simulated")
    with lab.observe(probes=["svc1", "svc2", "svc3"], seconds=80):
        lab.kill_node(str(lab.leader("svc1")))
    late = [
        error
        for service in ("svc1", "svc2", "svc3")
        for error in lab.observation().probes(service).query("SECONDS > 45 and not OK").ERROR
    ]
    assert late
    assert all("conntrack" in error for error in late)


def test_simulated_backend_link_down_node_keeps_rules_and_sees_itself_alone(open_lab: OpenLab) -> None:
    lab = open_lab("bgp-silent", backend="simulated")
    lab.at("cut-link-2")
    cut = lab.moments().set_index("MOMENT").DONE["cut-link-2"]
    node = "myk8s-worker"
    assert cut
    assert len(lab.rules(node).chain(_svc1(lab, node))) > len(lab.rules("myk8s-worker2").chain(_svc1(lab, node)))
    told = lab.log("speaker", node=node).matching("Marking .*0 peer confirmations", since_action=True)
    seconds = [float(line.split()[0]) for line in told.splitlines()]
    assert [round(b - a) for a, b in pairwise(seconds)] == [3, 4]


def _svc1(lab: Lab, node: str) -> str:
    chains = lab.rules(node).chains("svc1").CHAIN
    return str(next(name for name in chains if name.startswith("KUBE-SVC")))


def test_simulated_backend_action_in_past_forks(open_lab: OpenLab) -> None:
    lab = open_lab("arp", backend="simulated")
    lab.delete(manifests.services)
    lab.at("opening")
    assert lab.leader("svc1")
    lab.label("myk8s-worker", "node.kubernetes.io/exclude-from-external-load-balancers=true")
    assert performed(lab) == ["label-exclude-from-external-load-balancers"]


def test_simulated_backend_same_seed_same_answers(open_lab: OpenLab) -> None:
    texts = []
    for _ in range(2):
        lab = open_lab("metallb", backend="simulated")
        lab.at("apply-services")
        texts.append(
            (lab.services().to_string(), str(lab.run("myk8s-worker", "iptables-save -c")), str(lab.curl("svc1", 5)))
        )
    assert texts[0] == texts[1]


# ── from a manifest ──────────────────────────────────────────────────────────────────────────────────────


SIX = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}, {role: worker}, {role: worker}, {role: worker}]
networking: {podSubnet: 10.20.0.0/16, serviceSubnet: 10.96.0.0/24}
"""


def test_open_lab_manifest_six_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n---\n".join([SIX, manifests.webpods, manifests.pool, manifests.l2advertisement, manifests.services])
    lab = kanslib.simulate(text)
    assert "simulated · 6 nodes" in capsys.readouterr().out
    workers = [name for name in lab.nodes().NAME if name != lab.control_plane]
    assert len(workers) == 5
    for service in ("svc1", "svc2", "svc3"):
        assert lab.leader(service) == order(workers, lab.vip(service))[0]
    assert dict(lab.curl("svc1", times=200).groupby("HOSTNAME").COUNT.sum()).keys() == {"webpod1", "webpod2"}
    assert "10.20." in lab.rules(workers[0]).save()
    lone = kanslib.simulate("kind: Cluster\nnodes: [{role: control-plane}]")
    assert "exclude" not in str(lone.object("node", lone.control_plane)["metadata"]["labels"])


# ── where recording and twin meet ────────────────────────────────────────────────────────────────────────


def test_lab_kill_node_not_recorded_is_simulated_and_announced(capsys: pytest.CaptureFixture[str]) -> None:
    lab = kanslib.open_lab("failover")
    capsys.readouterr()
    third = str(lab.leader("svc3"))
    killed = lab.kill_node(third)
    said = capsys.readouterr().out
    assert "not recorded: kill-node myk8s-worker3 · simulated from here on" in said
    assert killed.provenance.source == "simulated"
    assert "from the recorded moment" in str(killed.provenance)
    assert lab.leader("svc3") == order(["myk8s-worker", "myk8s-worker2"], lab.vip("svc3"))[0]
    assert lab.leader("svc1") == "myk8s-worker"
    assert lab.moments().DONE.iloc[-1] == "kill-node myk8s-worker3 (simulated)"
    lab.at("kill-node")  # the recording's own
    assert lab.nodes().provenance.source == "recorded"
    assert lab.leader("svc3") == third


def test_lab_apply_neither_recorded_nor_simulated_raises_both_reasons(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    with pytest.raises(
        NotRecordedError, match=re.compile("not recorded: .*not simulated: objects of kind Ingress", re.DOTALL)
    ):
        lab.apply({"kind": "Ingress", "metadata": {"name": "web"}, "spec": {}})
    assert lab.nodes().provenance.source == "recorded"


def test_lab_compare_recorded_no_difference(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    lab.at("apply-services")
    table = lab.compare()
    assert list(table.columns) == ["WHAT", "RECORDED", "SIMULATED", "DIFFERENCE"]
    assert table.DIFFERENCE.sum() == 0
    assert {"leader of svc1", "address of svc3", "rules on myk8s-worker2", "ServiceL2Status of svc2"} <= set(table.WHAT)
    lab.kill_node("myk8s-worker2")
    with pytest.raises(KanslibError, match="needs a moment of a recording"):
        lab.compare()


@pytest.mark.parametrize(("moment", "after"), [("opening", None), ("kill-node", 20), ("kill-node", None)])
def test_lab_compare_simulated_where_it_stands(open_lab: OpenLab, moment: str, after: float | None) -> None:
    lab = open_lab("failover", backend="simulated")
    lab.at(moment, after=after)
    table = lab.compare()
    assert table.DIFFERENCE.sum() == 0
    assert {"leader of svc1", "endpoints of svc2", "ServiceL2Status of svc3"} <= set(table.WHAT)
    assert table.provenance.source == "simulated"
    leaders = table.set_index("WHAT").RECORDED
    recorded = open_lab("failover")
    recorded.at(moment, after=after)
    assert leaders["leader of svc1"] == recorded.leader("svc1")


def test_lab_compare_simulated_shows_divergence(open_lab: OpenLab) -> None:
    lab = open_lab("failover", backend="simulated")
    lab.kill_node(str(lab.leader("svc3")))  # the story's kill-node is of another one
    table = lab.compare().set_index("WHAT")
    assert table.DIFFERENCE["leader of svc3"] == 2
    assert table.SIMULATED["leader of svc3"] == lab.leader("svc3")


def test_lab_compare_unrecorded_moment_raises_with_hint(open_lab: OpenLab) -> None:
    lab = open_lab("arp", backend="simulated")
    lab.label("myk8s-worker", "a=b")
    with pytest.raises(NotRecordedError, match=r"the moment label-a\n.*\nlab.at\('opening'\)"):
        lab.compare()
    lab.at("opening")
    assert lab.compare().DIFFERENCE.sum() == 0


@pytest.mark.parametrize("backend", ["recorded", "simulated"])
def test_lab_rules_compare_names_writers(open_lab: OpenLab, backend: str) -> None:
    lab = open_lab("iptables", backend=backend)
    table = lab.rules("myk8s-worker2").compare()
    assert list(table.columns) == ["FOUND", "WRITER", "RULE"]
    assert len(table) == len([rule for rule in lab.rules("myk8s-worker2").rules() if rule.table == "nat"])
    assert set(table.WRITER[table.FOUND == "both"]) == {"kube-proxy"}
    assert table[table.FOUND == "node"].WRITER.value_counts().to_dict() == {"Docker": 6, "kube-proxy": 3, "kindnet": 3}


def test_lab_rules_compare_shows_rule_that_node_lacks(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = open_lab("iptables")
    rules = kubeproxy.nat_rules
    missing = "-A KUBE-MARK-MASQ -j NOWHERE"
    monkeypatch.setattr(kubeproxy, "nat_rules", lambda *args: [*rules(*args), missing, missing])
    table = lab.rules("myk8s-worker").compare()
    assert table.RULE[table.FOUND == "computed"].tolist() == [missing, missing]


def test_lab_compare_manifest_raises(open_lab: OpenLab) -> None:
    with pytest.raises(NotRecordedError, match=r"simulated from a manifest\nopen a story: kanslib\.open_lab\('l2'\)"):
        kanslib.simulate(manifests.kind_cluster).compare()


def test_open_lab_case_fixed_by_unrecorded_action(open_lab: OpenLab) -> None:
    lab = open_lab("case-4")
    assert lab.election("svc1").why_nobody == "no endpoint can serve"
    service = lab.object("service", "svc1")
    lab.apply(
        {"kind": "Service", "metadata": {"name": "svc1"}, "spec": {**service["spec"], "selector": {"app": "webpod"}}}
    )
    assert lab.leader("svc1") == "myk8s-worker"


# ── what the API and MetalLB would say ───────────────────────────────────────────────────────────────────


def test_simulated_controller_exhausted_pool_then_waiting_service_served(open_lab: OpenLab) -> None:
    lab = open_lab("metallb", backend="simulated")
    lab.at("apply-pool")
    meta = {"name": "my-ippool", "namespace": "metallb-system"}
    small = {"kind": "IPAddressPool", "metadata": meta, "spec": {"addresses": ["172.18.255.200/31"]}}
    lab.apply(small)
    lab.apply(manifests.services)
    assert 'Failed to allocate IP for "default/svc3": no available IPs' in lab.events("svc3").MESSAGE.tolist()
    lab.delete_object("svc/svc1")
    assert lab.vip("svc3") == "172.18.255.200"
    overlapping = {**small, "metadata": {"name": "other", "namespace": "metallb-system"}}
    with pytest.raises(RefusedError, match=r"metallb webhook refuses: admission webhook .* overlaps"):
        lab.apply(overlapping)


def test_simulated_controller_sharing_key_and_ports(open_lab: OpenLab) -> None:
    lab = open_lab("arp", backend="simulated")

    def shared(name: str, port: int, key: str) -> dict[str, object]:
        notes = {"metallb.universe.tf/allow-shared-ip": key, "metallb.universe.tf/loadBalancerIPs": "172.18.255.230"}
        spec = {"type": "LoadBalancer", "selector": {"app": "webpod"}, "ports": [{"port": port, "targetPort": 80}]}
        return {"kind": "Service", "metadata": {"name": name, "annotations": notes}, "spec": spec}

    lab.apply(shared("a", 80, "key"))
    lab.apply(shared("b", 81, "key"))
    assert lab.vip("a") == lab.vip("b") == "172.18.255.230"
    assert lab.leader("a") == lab.leader("b")
    lab.apply(shared("c", 82, "other"))
    assert any("can't change sharing key" in message for message in lab.events("c").MESSAGE)
    lab.apply(shared("d", 80, "key"))
    assert 'port TCP/80 is already in use on "172.18.255.230"' in lab.events("d").MESSAGE.tolist()[-1]
