"""What every world has to keep, whoever answers: the same questions, the same shapes, the same meaning.

Recorded always; live with `pytest -m live` where `kans up` has made a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kanslib.course import manifests
from kanslib.exceptions import KanslibError, NodeDownError, UnknownNameError
from kanslib.lab.lab import Lab
from tests.lab.moments import performed
from tests.types import OpenLab

SERVICES = ("svc1", "svc2", "svc3")
Open = Callable[[str], Lab]


@pytest.fixture(params=["recorded", "simulated", pytest.param("live", marks=pytest.mark.live)])
def world(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_story(world: str, open_lab: OpenLab) -> Iterator[Open]:
    opened: list[Lab] = []

    def story(name: str) -> Lab:
        opened.append(open_lab(name, backend=world))
        return opened[-1]

    yield story
    for lab in opened[-1:]:
        lab.restore()


def test_backend_provenance_on_every_answer(open_story: Open, world: str) -> None:
    lab = open_story("arp")
    for answer in (lab.nodes(), lab.curl("svc1"), lab.run(lab.client, "ip -j neigh"), lab.log("controller")):
        assert answer.provenance.source == world
        assert answer.provenance.checkable


def test_lab_table_has_kubectl_columns_and_rows(open_story: Open) -> None:
    lab = open_story("arp")
    assert list(lab.nodes().columns[:5]) == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert lab.nodes().ROLES.tolist() == ["control-plane", "<none>", "<none>", "<none>"]
    services = lab.services()
    mine = services[services.NAME.isin(SERVICES)]
    assert mine["EXTERNAL-IP"].tolist() == lab.pool()[:3]
    assert mine.TYPE.tolist() == ["LoadBalancer"] * 3
    pods = lab.pods()
    assert pods[pods.NAMESPACE == "default"].NAME.tolist() == ["webpod1", "webpod2"]
    assert sum(pods.NAME.str.startswith("speaker-")) == 4
    assert {lab.client, lab.control_plane, "myk8s-worker"} <= set(lab.containers().NAMES)


def test_lab_leader_equals_arp_answer(open_story: Open) -> None:
    lab = open_story("arp")
    scan = lab.arp_scan()
    assert list(scan.columns) == ["ADDRESS", "MAC", "HOLDER"]
    assert dict(zip(scan.ADDRESS, scan.HOLDER, strict=True)) == {lab.vip(s): lab.leader(s) for s in SERVICES}
    assert lab.arp_scan(source=lab.control_plane).HOLDER.tolist() == scan.HOLDER.tolist()


def test_lab_curl_counts_by_hostname(open_story: Open) -> None:
    lab = open_story("iptables")
    hundred = lab.curl("svc1", times=100)
    assert list(hundred.columns) == ["COUNT", "HOSTNAME", "REMOTE"]
    assert hundred.COUNT.sum() == 100
    shares = hundred.groupby("HOSTNAME").COUNT.sum()
    assert shares.index.tolist() == ["webpod1", "webpod2"]
    assert shares.between(25, 75).all()  # one in three million runs falls outside by chance


def test_lab_rules_match_services(open_story: Open) -> None:
    lab = open_story("iptables")
    chains = lab.rules(str(lab.leader("svc1"))).chains("svc1")
    assert list(chains.columns) == ["CHAIN", "PACKETS", "CHANCE", "TARGET", "TO", "COMMENT"]
    assert chains.CHAIN.str.extract(r"^(KUBE-[A-Z]+)")[0].unique().tolist()[:4] == [
        "KUBE-SERVICES", "KUBE-SVC", "KUBE-EXT", "KUBE-MARK",
    ]  # fmt: skip
    ends = {to for to in chains.TO if to}
    assert len(ends) == 2


def test_lab_trace_equals_pods_and_kernel_counters(open_story: Open) -> None:
    lab = open_story("iptables")
    leader = str(lab.leader("svc1"))
    walk = lab.trace("svc1")
    assert [str(way.probability) for way in walk] == ["1/2", "1/2"]
    pods = lab.pods().set_index("IP").NAME
    assert {pods[str(way.packet.dst)] for way in walk} == {"webpod1", "webpod2"}
    before = lab.rules(leader)
    answers = lab.curl("svc1", times=100).groupby("HOSTNAME").COUNT.sum()
    moved = before.diff(lab.rules(leader)).table
    dnat = moved[moved.CHAIN.eq("KUBE-SEP") & moved.COMMENT.str.contains("svc1") & moved.TO.str.contains(":")]
    assert {pods[to.partition(":")[0]]: packets for to, packets in zip(dnat.TO, dnat.PACKETS, strict=True)} == dict(
        answers
    )
    assert set(lab.curl("svc1").REMOTE) <= {way.packet.src for way in walk}


def test_lab_apply_unchanged_says_so(open_story: Open) -> None:
    lab = open_story("arp")
    before = performed(lab)
    assert lab.apply(manifests.services).count("unchanged") == 3
    assert performed(lab) == before


def test_lab_delete_then_apply_restores_addresses_and_leaders(open_story: Open) -> None:
    lab = open_story("arp")
    before = {service: (lab.vip(service), lab.leader(service)) for service in SERVICES}
    lab.delete(manifests.services)
    assert not set(SERVICES) & set(lab.services().NAME)
    with lab.observe(capture="arp", seconds=6) as seen:
        lab.apply(manifests.services)
    assert {service: (lab.vip(service), lab.leader(service)) for service in SERVICES} == before
    assert performed(lab) == ["delete-services", "apply-services"]
    shouts = [f for f in seen.frames("arp") if f.arp and f.arp.is_gratuitous and f.arp.sender_ip == lab.vip("svc1")]
    rounds = sorted(seen.seconds(frame.time) for frame in shouts)
    assert len(rounds) >= 10  # five rounds, each asked and answered (MetalLB v0.14.8 internal/layer2/arp.go)
    assert rounds[2] - rounds[0] == pytest.approx(1.1, abs=0.1)


def test_lab_curl_local_policy_shows_client_address(open_story: Open) -> None:
    lab = open_story("etp-local")
    lab.apply(manifests.services_local)
    assert lab.curl("svc1").REMOTE.tolist() == [lab.address(lab.client)]
    assert lab.leader("svc3") in ("myk8s-worker", "myk8s-worker2")


def test_lab_label_exclude_moves_leader_and_back(open_story: Open) -> None:
    lab = open_story("election")
    before = {service: lab.leader(service) for service in SERVICES}
    leader = before["svc1"]
    assert leader
    exclude = "node.kubernetes.io/exclude-from-external-load-balancers"
    lab.label(leader, f"{exclude}=true")
    assert leader not in {lab.leader(service) for service in SERVICES}
    lab.label(leader, f"{exclude}-")
    assert {service: lab.leader(service) for service in SERVICES} == before
    assert performed(lab) == ["exclude-leader", "include-leader"]


def test_lab_kill_node_moves_leader(open_story: Open, world: str) -> None:
    lab = open_story("failover")
    victim, third = lab.leader("svc1"), lab.leader("svc3")
    assert victim
    with lab.observe(probes=["svc1", "svc3"], seconds=5, queries_at=(15,)) as seen:
        lab.kill_node(victim)
    assert lab.leader("svc1") not in (victim, None)
    assert lab.leader("svc3") == third
    nodes = lab.nodes().set_index("NAME").STATUS
    assert nodes[victim] == "NotReady"
    with pytest.raises(NodeDownError, match=f"{victim} is down"):
        lab.run(victim, "ip -j addr")
    if world == "live":  # a twin may lose as many as it likes
        with pytest.raises(KanslibError):
            lab.kill_node("myk8s-worker2")
    assert "already so" in lab.kill_node(victim)
    told = lab.log("speaker", node=lab.control_plane).matching("memberlist: Suspect|NodeLeave", since_action=True)
    assert any("NodeLeave" in line and victim in line for line in told.splitlines())
    dark = seen.timeline().describe()
    assert "svc1" in dark
    assert "dark" in dark
    lab.at("kill-node", after=15)
    both = lab.rules(str(lab.leader("svc1"))).chains("svc1")
    assert sum(both.CHAIN.str.startswith("KUBE-SEP") & (both.TO != "")) == 2
    lab.at("kill-node")
    lab.start_node(victim)
    assert lab.leader("svc1") == victim


def test_lab_capture_path_client_leader_pod(open_story: Open) -> None:
    lab = open_story("iptables")
    trip = lab.capture_path("svc1")
    assert list(trip.columns) == ["SECONDS", "PLACE", "INTERFACE", "FROM", "TO", "FLAGS"]
    first = trip[trip.FLAGS == "S"]
    vip, leader = lab.vip("svc1"), lab.leader("svc1")
    assert first.PLACE.tolist()[:2] == [lab.client, leader]
    assert set(first.TO.head(2)) == {f"{vip}:80"}
    assert first.FROM.tolist()[0].startswith(lab.address(lab.client) + ":")
    last = first.iloc[-1]
    assert last.INTERFACE.startswith("veth")
    assert not last.TO.startswith(vip)
    assert not last.FROM.startswith(lab.address(lab.client) + ":")
    port = first.FROM.tolist()[0].partition(":")[2]
    memory = lab.run(str(leader), "conntrack -L -p tcp --dport 80").matching(f"sport={port} ")
    assert last.TO.partition(":")[0] in memory


def test_lab_routes_next_hop_per_worker(open_story: Open) -> None:
    lab = open_story("bgp")
    lab.delete(manifests.l2advertisement)
    assert lab.leader("svc1") is None
    lab.start_router()
    lab.apply(manifests.bgp)
    routes = lab.routes()
    hops = routes[f"{lab.vip('svc1')}/32" == routes.PREFIX]
    assert sorted(hops.NODE) == ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"]
    assert hops["IN USE"].tolist() == ["yes"] * 3
    lab.route_client()
    shares = lab.curl("svc1", times=100).groupby("HOSTNAME").COUNT.sum()
    assert shares.index.tolist() == ["webpod1", "webpod2"]
    assert shares.between(25, 75).all()


@pytest.mark.parametrize("number", range(1, 10))
def test_open_lab_case_broken_until_fixed(open_story: Open, number: int) -> None:
    lab = open_story(f"case-{number}")
    services = lab.services()
    addresses = services[services.NAME.isin(SERVICES)].set_index("NAME")["EXTERNAL-IP"]
    claimed = [lab.leader(service) for service in SERVICES if addresses[service] != "<pending>"]
    signs = (
        set(addresses) != set(lab.pool()[:3]),  # an address that is missing, or from elsewhere
        None in claimed,  # nobody claims
        "squatter" in set(lab.containers().NAMES),
        not any(lab.pods().NAME.str.startswith("speaker-")),
        any(one["spec"].get("nodeSelectors") for one in lab.objects("l2advertisements")),
        any(not piece.get("endpoints") for piece in lab.objects("endpointslices", "default")),
    )
    assert any(signs)
    lab.at("fix")
    assert performed(lab) == ["fix"]
    assert [lab.vip(service) for service in SERVICES] == lab.pool()[:3]
    assert None not in [lab.leader(service) for service in SERVICES]
    assert sum(lab.pods().NAME.str.startswith("speaker-")) == 4
    assert "squatter" not in set(lab.containers().NAMES)


def test_lab_unknown_names_list_known(open_story: Open) -> None:
    lab = open_story("arp")
    for wrong in (
        lambda: lab.run("myk9s", "ip -j addr"),
        lambda: lab.at("kill-nobody"),
        lambda: lab.object("service", "svc9"),
        lambda: lab.kill_node("myk8s-worker9"),
    ):
        with pytest.raises(UnknownNameError, match="known: "):
            wrong()
