"""Acts, places and refusals of a recorded lab."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest

import kanslib
from kanslib.answer import Answer
from kanslib.backends.recorded import RecordedBackend
from kanslib.course import manifests
from kanslib.exceptions import BackendUnavailableError, NodeDownError, NotRecordedError, UnknownNameError
from kanslib.k8s.manifest import documents
from kanslib.k8s.objects import external_address
from kanslib.lab.lab import Lab
from kanslib.recording import Recording
from kanslib.render.command_tables import arp_scan_rows
from tests.lab.moments import performed
from tests.types import OpenLab, OpenReference

SERVICES = ("svc1", "svc2", "svc3")


def test_recorded_backend_apply_moves_clock_once(open_lab: OpenLab) -> None:
    lab = open_lab("metallb")
    lab.install_metallb()
    assert lab.apply(manifests.pool) == "ipaddresspool.metallb.io/my-ippool created\n".strip()
    before = lab.services().provenance.moment
    assert lab.apply(manifests.pool) == "ipaddresspool/my-ippool unchanged"
    assert lab.services().provenance.moment == before


def test_recorded_backend_action_matched_by_effect(open_lab: OpenLab) -> None:
    lab = open_lab("metallb")
    lab.install_metallb()
    pool = {
        "kind": "IPAddressPool",
        "apiVersion": "metallb.io/v1beta1",
        "metadata": {"namespace": "metallb-system", "name": "my-ippool"},
        "spec": {"autoAssign": True, "addresses": ["172.18.255.200-172.18.255.250"]},
    }
    lab.apply(pool)
    assert performed(lab)[-1] == "apply-pool"


def test_recorded_backend_one_call_several_actions(open_reference: OpenReference) -> None:
    lab = open_reference("service-types")
    lab.apply(manifests.webpods)
    lab.apply(manifests.service_types)
    assert performed(lab)[-3:] == ["apply-svc-clusterip", "apply-svc-nodeport", "apply-svc-loadbalancer"]


def test_recorded_backend_apply_removed_field_is_change(open_reference: OpenReference) -> None:
    lab = open_reference("etp-local")
    lab.at("apply-source-ranges")
    assert "configured" in lab.apply(manifests.services)
    assert performed(lab)[-1] == "restore-services"


def test_recorded_backend_not_recorded_lists_recorded_actions(recording: Recording) -> None:
    world = RecordedBackend(recording, "failover")
    with pytest.raises(NotRecordedError) as caught:
        world.perform("kill_node", ["myk8s-worker3"])
    asked, known, way_on = str(caught.value).splitlines()
    assert "kill-node myk8s-worker3" in asked
    assert "kill-node myk8s-worker" in known
    assert "lab.at('kill-node')" in way_on
    with pytest.raises(NotRecordedError, match=r"lab\.at\('kill-node'\)"):
        world.apply(documents(manifests.services_local))


def test_recorded_backend_case_hides_cause(recording: Recording) -> None:
    world = RecordedBackend(recording, "case-1")
    with pytest.raises(NotRecordedError) as caught:
        world.apply(documents(manifests.services_local))
    assert "l2advertisement" not in str(caught.value).lower()


def test_recorded_backend_case_fixed_by_right_action(open_lab: OpenLab) -> None:
    lab = open_lab("case-1")
    assert lab.leader("svc1") is None
    lab.apply(manifests.l2advertisement)
    assert lab.leader("svc1") == "myk8s-worker"
    lab = open_lab("case-9")
    assert "squatter" in set(lab.containers().NAMES)
    lab.remove_conflicting_host()
    assert "squatter" not in set(lab.containers().NAMES)


def test_recorded_backend_kill_node_twice_harmless(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    victim = lab.leader("svc1")
    assert victim
    lab.kill_node(victim)
    assert lab.kill_node(victim) == f"kill-node {victim}: already so"
    for ask in (
        lambda: lab.run(victim, "iptables-save -c"),
        lambda: lab.log("speaker", victim),
        lambda: lab.curl("svc1", source=victim),
    ):
        with pytest.raises(NodeDownError, match=rf"{victim} is down \(since kill-node\)"):
            ask()
    lab.start_node(victim)
    assert lab.run(victim, "iptables-save -c").startswith("# Generated")


def test_recorded_backend_link_down_node_runs_commands(open_lab: OpenLab) -> None:
    lab = open_lab("bgp-silent")
    lab.at("cut-link-2", after=60)
    assert lab.run("myk8s-worker", "iptables-save -c").startswith("# Generated")


def test_recorded_backend_label_matched(open_reference: OpenReference) -> None:
    lab = open_reference("failover")
    lab.at("delete-speaker-pod")
    key = "node.kubernetes.io/exclude-from-external-load-balancers"
    assert lab.label("myk8s-worker", f"{key}=true") == "node/myk8s-worker labeled"
    assert "already so" in lab.label("myk8s-worker", f"{key}=true")
    assert lab.label("myk8s-worker", f"{key}-") == "node/myk8s-worker unlabeled"
    assert "already so" in lab.label("myk8s-worker", f"{key}-")


def test_recorded_backend_delete_by_reference(open_lab: OpenLab) -> None:
    lab = open_lab("metallb")
    lab.at("apply-services")
    assert lab.delete_object("svc/svc1", "svc/svc2", "svc/svc3").count("deleted") == 3
    assert "not found" in lab.delete(manifests.services)
    assert not {"svc1", "svc2", "svc3"} & set(lab.services().NAME)


def test_recorded_backend_restore_returns_to_opening(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.kill_node("myk8s-worker")
    lab.restore()
    assert lab.leader("svc1") == "myk8s-worker"


def test_recorded_backend_curl_other_count_noted(open_reference: OpenReference) -> None:
    answer = open_reference("arp").curl("svc1", times=50)
    assert answer.COUNT.sum() == 100
    assert "100 requests were recorded, not 50" in str(answer.provenance)


def test_recorded_backend_curl_not_recorded_raises(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    with pytest.raises(NotRecordedError, match=r"1 request from myk8s-worker2 to 172\.18\.255\.200"):
        lab.curl("svc1", source="myk8s-worker2")
    with pytest.raises(NotRecordedError, match="ARP scan from myk8s-worker2"):
        lab.arp_scan(source="myk8s-worker2")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda lab: lab.kill_node("worker"), "no node named 'worker'"),
        (lambda lab: lab.object("svc", "svc9"), "no service named 'svc9'"),
        (lambda lab: lab.curl("svc9"), "no target named 'svc9'"),
        (lambda lab: lab.address("moon"), "no place named 'moon'"),
        (lambda lab: lab.run("moon", "date"), "no place named 'moon'"),
        (lambda lab: lab.observation().frames("token-ring"), "no layer named 'token-ring'"),
    ],
)
def test_recorded_backend_unknown_names_list_known(open_lab: OpenLab, ask: Callable[[Lab], object], words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        ask(open_lab("arp"))


def test_recorded_backend_run_lists_recorded_commands(open_lab: OpenLab) -> None:
    with pytest.raises(NotRecordedError, match=r"recorded here: .*iptables-save -c"):
        open_lab("arp").run("myk8s-worker", "nft list ruleset")


def test_open_lab_unknown_backend_lists_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        with pytest.raises(BackendUnavailableError, match="KANS_BACKEND unset"):
            kanslib.open_lab(backend="live")
    monkeypatch.setenv("KANS_BACKEND", "imagined")
    with pytest.raises(UnknownNameError, match="recorded · live · simulated"):
        kanslib.open_lab()
    with pytest.raises(UnknownNameError, match="no backend named 'dead'"):
        kanslib.open_lab(backend="dead")
    with pytest.raises(UnknownNameError, match="no story named 'l3'"):
        kanslib.open_lab("l3", backend="recorded")


def test_recorded_backend_banner_names_versions_and_substitutes(capsys: pytest.CaptureFixture[str]) -> None:
    kanslib.open_lab("bgp")
    banner = capsys.readouterr().out
    for words in (
        "recorded",
        "2026-11-23",
        "kind v0.24.0",
        "Kubernetes v1.31.0",
        "MetalLB v0.14.8",
        "FRR 8.4.4",
        "substitutes",
    ):
        assert words in banner


def test_recorded_backend_provenance_on_every_answer(open_reference: OpenReference) -> None:
    lab = open_reference("failover")
    answers: list[Answer] = [
        lab.nodes(),
        lab.events("svc1"),
        lab.describe("svc1"),
        lab.containers(),
        lab.arp_scan(),
        lab.moments(),
    ]
    answers += [lab.log("controller"), lab.map(), lab.kill_node("myk8s-worker"), lab.observation().probes("svc1")]
    assert {answer.provenance and answer.provenance.source for answer in answers} == {"recorded"}
    assert "recorded 2026-11-23" in lab.nodes()._repr_html_()
    assert "recorded 2026-11-23" in repr(lab.nodes())
    assert "recorded 2026-11-23" in lab.log("controller")._repr_html_()


def test_lab_events_counted_as_kubernetes(open_lab: OpenLab) -> None:
    lab = open_lab("etp-local")
    lab.at("delete-leaders-endpoint")
    text = lab.describe("svc1").partition("Events:")[2]
    ages = [line.split("metallb")[0].split(None, 2)[2].strip() for line in text.splitlines()[3:] if line.strip()]
    repeats = [age.partition("(")[2].partition(" ")[0] for age in ages]
    mine = [age.partition("(")[2].partition(" ")[0] for age in lab.events("svc1").AGE]
    assert sorted(mine) == sorted(repeats)


def test_recorded_backend_log_ends_at_clock(open_reference: OpenReference) -> None:
    lab = open_reference("failover")
    assert "Marking" not in lab.log("speaker", lab.control_plane)
    lab.at("kill-node", after=5)
    assert "Suspect" in lab.log("speaker", lab.control_plane)
    assert "Marking" not in lab.log("speaker", lab.control_plane)
    lab.at("kill-node", after=6)
    told = lab.log("speaker", lab.control_plane).matching("Marking", since_action=True)
    assert told.strip().startswith("+5.6 s  memberlist: Marking myk8s-worker as failed")


def test_lab_neighbors_are_leaders(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node", after=78)
    remembered = lab.neighbors().set_index("ADDRESS").HOLDER
    for service in ("svc1", "svc2", "svc3"):
        assert remembered[lab.vip(service)] == lab.leader(service)


def test_recorded_backend_log_merges_all_speakers(open_lab: OpenLab) -> None:
    text = open_lab("failover").log("speaker")
    assert len({line.split("]")[0] for line in text.splitlines()}) == 4


def can_keep(lab: Lab, service: str, leader: str) -> bool:
    """A claim outlives its reason: without speakers, without endpoints, or (Local) without one of the leader's own."""
    speakers = [pod for pod in lab.objects("pods") if pod["metadata"].get("labels", {}).get("component") == "speaker"]
    slices = [s for s in lab.objects("endpointslices") if s["metadata"]["name"].startswith(f"{service}-")]
    ready = {e["nodeName"] for s in slices for e in s.get("endpoints") or [] if e["conditions"]["ready"]}
    local = lab.object("service", service)["spec"]["externalTrafficPolicy"] == "Local"
    return bool(speakers) and (leader in ready if local else bool(ready))


@pytest.mark.parametrize("story", ["l2", "bgp-silent", "case-9"])
@pytest.mark.parametrize("whose", ["recording", "reference_recording"])
def test_election_leader_answers_every_recorded_arp_scan(
    request: pytest.FixtureRequest, open_lab: OpenLab, story: str, whose: str
) -> None:
    world = RecordedBackend(request.getfixturevalue(whose), story)
    lab = Lab(world)
    network = ip_network("172.18.0.0/16")
    for read in [read for read in world.segment_outputs() if "arp-scan" in read.command]:
        lab.at_time(read.end)
        rows = arp_scan_rows(world.recording.text(read.file), world.mac_owners())
        answered = {(row["ADDRESS"], row["HOLDER"]) for row in rows if row["HOLDER"]}
        addresses = {one["metadata"]["name"]: external_address(one) for one in lab.objects("services")}
        here = {name: ip for name, ip in addresses.items() if ip and ip_address(ip) in network}
        claims = {name: leader for name in here if (leader := lab.leader(name))}
        kept = {(here[name], leader) for name, leader in claims.items() if can_keep(lab, name, leader)}
        assert answered == kept, f"after {performed(lab)[-1:]}"
