"""Claims of chapter 04: what iptables rules do with a packet."""

from __future__ import annotations

import json
from fractions import Fraction

from kanslib import iptables, nftables
from kanslib.course import dumps
from kanslib.exercises.catalog import CATALOG
from kanslib.iptables.outcome import Outcome
from kanslib.lab.lab import Lab
from kanslib.nftables.explain import WalkedRule
from kanslib.render.outcome_tree import shown_steps
from tests.notebooks.claims import Claims

CLAIMS = Claims()
THIRD_POD = """
apiVersion: v1
kind: Pod
metadata: {name: webpod3, labels: {app: webpod}}
spec:
  nodeName: myk8s-worker3
  containers: [{name: whoami, image: traefik/whoami}]
"""


def leader_of(lab: Lab, service: str = "svc1") -> str:
    leader = lab.leader(service)
    assert leader
    return leader


def chains_of(way: Outcome) -> list[str]:
    """Return the chains whose rules a packet met, in order, without kube-proxy's hashes and without repetitions."""
    return list(dict.fromkeys(rule.short_chain for rule in way.walked))


def counts(lab: Lab) -> list[int]:
    return [int(count) for count in lab.curl("svc1", times=100).COUNT]


# ── one packet ──────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "04-00",
    "no interface of the leader has that address",
    "Without rules for the VIP, the kernel would forward the packet",
    "It would send the packet back to the wire that it came from",
    story="iptables",
)
@CLAIMS.claim("04-07", "The kernel never owns the VIP", story="iptables")
def forwarded_without_rules(lab: Lab) -> None:
    leader, vip = leader_of(lab), lab.vip("svc1")
    own = [entry["local"] for card in json.loads(str(lab.run(leader, "ip -j addr"))) for entry in card["addr_info"]]
    assert vip not in own
    [way] = lab.trace(f"{vip}:81", node=leader)  # no rule of KUBE-SERVICES is for this port
    assert (way.verdict, way.packet.dst) == ("ACCEPT", vip)
    assert way.packet.in_interface == way.packet.out_interface == "eth0"


@CLAIMS.claim("04-00", "as it did with the ping of chapter 03", story="arp", on=("recorded",))
def ping_went_back_to_the_wire(lab: Lab) -> None:
    lab.at("opening")
    leader, vip = lab.address(leader_of(lab)), lab.vip("svc1")
    asked = [frame.arp for frame in lab.observation().frames("arp") if frame.arp]
    assert [one for one in asked if (one.sender_ip, one.target_ip) == (leader, vip)]


CLAIMS.fact("04-00", "nodes have `ip_forward=1`", source="kubeadm v1.31 preflight check of net.ipv4.ip_forward")


@CLAIMS.claim("04-01", "Two Pods are behind svc1", story="iptables")
@CLAIMS.claim(
    "04-07",
    "both ways have the same share here",
    "When it looks for a route, the destination is already a Pod",
    story="iptables",
)
def two_ways_to_two_pods(lab: Lab) -> None:
    ways = lab.trace("svc1")
    pods = set(lab.pods().IP[lab.pods().NAME.isin(["webpod1", "webpod2"])])
    assert {way.packet.dst for way in ways} == pods
    assert [way.probability for way in ways] == [Fraction(1, 2)] * 2


@CLAIMS.claim("04-01", "a packet meets only a few", story="iptables")
def meets_few_rules(lab: Lab) -> None:
    rules = len(list(lab.rules(leader_of(lab)).rules()))
    assert all(len(way.walked) < rules / 4 for way in lab.trace("svc1"))


@CLAIMS.claim(
    "04-07",
    "`KUBE-SERVICES` compares the destination of each new connection with the addresses of Services",
    "It calls `KUBE-MARK-MASQ`, which sets a bit on the packet, the mark `0x4000`",
    "`KUBE-SVC` chooses an endpoint with a random match",
    "`KUBE-POSTROUTING` finds the mark just before the packet leaves",
    "rewrites the *source* to an address of the leader",
    "Between 4 and 5, `KUBE-FORWARD` lets the marked packet through",
    story="iptables",
)
@CLAIMS.claim("04-58", "`KUBE-EXT` (mark) → `KUBE-SVC` (random choice) → `KUBE-SEP`", story="iptables")
def stations_in_order(lab: Lab) -> None:
    stations = [
        "KUBE-SERVICES",
        "KUBE-EXT",
        "KUBE-MARK-MASQ",
        "KUBE-SVC",
        "KUBE-SEP",
        "KUBE-FORWARD",
        "KUBE-POSTROUTING",
    ]
    leader = leader_of(lab)
    cards = json.loads(str(lab.run(leader, "ip -j addr")))
    own = {entry["local"] for card in cards for entry in card["addr_info"]}
    for way in lab.trace("svc1"):
        assert [chain for chain in chains_of(way) if chain in stations] == stations
        assert way.packet.src in own
    [mark] = lab.rules(leader).chain("KUBE-MARK-MASQ")
    assert "0x4000" in mark.text


# ── text ────────────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "04-64",
    "`KUBE-SVC-…` of the same port ends with the same letters",
    "No line of svc1 has the target `DROP`",
    story="iptables",
)
@CLAIMS.claim("write-the-vip-rule", "then the VIP with /32, then -p tcp -m tcp --dport", story="iptables")
def lines_of_svc1(lab: Lab) -> None:
    text = str(lab.run(leader_of(lab), "iptables-save -c").matching("svc1"))
    targets = [line.rpartition("-j ")[2] for line in text.splitlines()]
    ends = {target[9:] for target in targets if target.startswith(("KUBE-EXT-", "KUBE-SVC-"))}
    assert len(ends) == 1
    assert "DROP" not in text
    assert f"-A KUBE-SERVICES -d {lab.vip('svc1')}/32 -p tcp -m comment" in text


@CLAIMS.claim(
    "04-68",
    "Both rules are in the table `filter`",
    "The chains of `nat` rewrite and mark; they drop nothing",
    story="iptables",
)
@CLAIMS.claim("which-chain-drops", "Two of them are in the table nat", story="iptables")
def only_filter_drops(lab: Lab) -> None:
    rules = lab.rules(leader_of(lab))
    droppers = {(rule.table, rule.chain) for rule in rules.rules() if rule.target in ("DROP", "REJECT")}
    assert droppers == {("filter", "KUBE-FORWARD"), ("filter", "KUBE-FIREWALL")}
    [forward] = [rule for rule in rules.chain("KUBE-FORWARD", "filter") if rule.target == "DROP"]
    assert "--ctstate INVALID" in forward.text
    assert "KUBE-MARK-MASQ" in rules.names("nat")
    assert any(name.startswith("KUBE-SVC-") for name in rules.names("nat"))


@CLAIMS.claim("04-68", "kube-proxy writes it only for a Service with `loadBalancerSourceRanges`", story="etp-local")
def firewall_chain_for_source_ranges(lab: Lab) -> None:
    assert not [name for name in lab.rules("myk8s-worker").names() if name.startswith("KUBE-FW-")]
    lab.at("apply-source-ranges")
    firewalls = [name for name in lab.rules("myk8s-worker3").names() if name.startswith("KUBE-FW-")]
    with_ranges = [one for one in lab.objects("services") if one["spec"].get("loadBalancerSourceRanges")]
    assert len(firewalls) == len(with_ranges)


# ── chances ─────────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("04-08", "Two endpoints, two rules in `KUBE-SVC`", story="iptables")
@CLAIMS.claim("04-12", "The recorded Services have two endpoints at most", story="iptables", on=("recorded",))
def two_rules_for_two_endpoints(lab: Lab) -> None:
    rules = lab.rules(leader_of(lab))
    chains = [rules.chain(name) for name in rules.names() if name.startswith("KUBE-SVC-")]
    choosing = [[rule for rule in chain if "KUBE-SEP" in rule.text] for chain in chains]
    assert max(map(len, choosing)) == 2
    [svc1] = [found for found in choosing if "default/svc1" in found[0].comment]
    assert [rule.probability for rule in svc1] == [0.5, None]


@CLAIMS.claim("04-10", "Which chances must be on *three* rules, if each endpoint is to get a third",
              story="iptables", on=("simulated",))  # fmt: skip
@CLAIMS.claim(
    "04-13",
    "the first takes 1/3 of what comes, the second takes 1/2 of what is left, the last takes the rest",
    "each way gets 1/3 of all packets",
    "The last endpoint would get 4/9, twice as much as the second one",
    story="iptables",
    on=("simulated",),
)
@CLAIMS.claim("chances-of-three", "Three endpoints, three rules in KUBE-SVC", "A third of two thirds is 2/9",
              story="iptables", on=("simulated",))  # fmt: skip
def three_endpoints(lab: Lab) -> None:
    lab.apply(THIRD_POD)
    ways = lab.trace("svc1")
    assert [way.probability.limit_denominator(100) for way in ways] == [Fraction(1, 3)] * 3
    chains = lab.rules(leader_of(lab)).chains("svc1")
    chosen = chains[chains.TARGET.str.startswith("KUBE-SEP")]
    assert chosen.CHANCE.tolist() == ["0.33", "0.50", ""]
    equal = iptables.parse(str(lab.run(leader_of(lab), "iptables-save")).replace(" 0.50000000000 ", " 0.33333333349 "))
    packet = iptables.Packet(lab.address(lab.client), lab.vip("svc1"), dport=80, in_interface="eth0")
    shares = [way.probability.limit_denominator(100) for way in equal.trace(packet)]
    assert shares == [Fraction(1, 3), Fraction(2, 9), Fraction(4, 9)]


@CLAIMS.claim("write-kube-svc", "The last one is 1", "The first of n takes 1/n", "1/n, then 1/(n-1) of the rest",
              "1 / (count - place) for each place from 0 on", story="iptables")  # fmt: skip
def chances_of_every_chain(lab: Lab) -> None:
    for (count,), chances in CATALOG["write-kube-svc"].expected_answer(lab).cases:
        assert isinstance(count, int)
        assert isinstance(chances, list)
        assert chances[-1] == 1
        assert all(abs(chance - 1 / (count - place)) < 1e-6 for place, chance in enumerate(chances))


CLAIMS.fact(
    "04-13",
    "The kernel's match has 2³¹ steps, so a third is not exactly a third",
    source="Linux net/netfilter/xt_statistic.c (31 bits of a random number); iptables extensions/libxt_statistic.c",
)
CLAIMS.fact(
    "chances-of-three",
    "Then the first endpoint would get half of all packets, the second a quarter",
    source="arithmetic: a half, then a half of the other half",
)


# ── who wrote which rule ────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("04-73", "there is none", story="iptables")
@CLAIMS.claim(
    "04-73",
    "Three programs wrote them",
    "wrote the jumps from the kernel's own chains (`PREROUTING`, `OUTPUT`, `POSTROUTING`) into its chains",
    "the DNS server that each of its containers has at 127.0.0.11",
    story="iptables",
)
def rules_of_others(lab: Lab) -> None:
    compared = lab.rules(leader_of(lab)).compare()
    assert set(compared.FOUND) == {"both", "node"}
    others = compared[compared.FOUND == "node"]
    assert set(others.WRITER) == {"kube-proxy", "Docker", "kindnet"}
    assert all("127.0.0.11" in rule for rule in others.RULE[others.WRITER == "Docker"])
    jumps = [rule.split()[1] for rule in others.RULE[others.WRITER == "kube-proxy"]]
    assert sorted(jumps) == ["OUTPUT", "POSTROUTING", "PREROUTING"]
    assert set(compared.WRITER[compared.FOUND == "both"]) == {"kube-proxy"}


# ── the witnesses ───────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("04-18", "the two counts are near to half, and they are not equal", story="iptables", on=("recorded",))
@CLAIMS.claim("how-pods-are-chosen", "The recorded counts of this chapter and of chapter 03 are uneven",
              story="iptables", on=("recorded",))  # fmt: skip
def uneven_here(lab: Lab) -> None:
    found = counts(lab)
    assert len(found) == 2
    assert found[0] != found[1]
    assert all(40 <= count <= 60 for count in found)


@CLAIMS.claim("how-pods-are-chosen", "The recorded counts of this chapter and of chapter 03 are uneven",
              story="arp", on=("recorded",))  # fmt: skip
def uneven_in_chapter_03(lab: Lab) -> None:
    lab.at("apply-l2advertisement")
    assert len(set(counts(lab))) == 2


@CLAIMS.claim("how-pods-are-chosen", "One even count, as in chapter 01, can be chance", story="service-types",
              on=("recorded",))  # fmt: skip
def even_in_chapter_01(lab: Lab) -> None:
    lab.at("apply-service-types")
    assert lab.curl("svc-clusterip", times=100, source=lab.control_plane).COUNT.nunique() == 1


CLAIMS.fact(
    "how-pods-are-chosen",
    "Turns would give exactly half and half, for every hundred requests",
    source="arithmetic: two endpoints in turn, an even number of requests",
)


@CLAIMS.claim("04-22", "A hundred connections, a hundred counts in `KUBE-EXT`",
              "Only the *first* packet of a connection meets the rules of `nat`",
              "each counted packet has the size of a SYN", "they are the same numbers", story="iptables")  # fmt: skip
@CLAIMS.claim("04-58", "a counter in `nat` grows once per connection", story="iptables")
def one_count_per_connection(lab: Lab) -> None:
    before = lab.rules(leader_of(lab))
    asked = counts(lab)
    moved = before.diff(lab.rules(leader_of(lab))).table
    moved = moved[moved.COMMENT.str.contains("svc1")]
    assert moved.PACKETS[moved.CHAIN == "KUBE-EXT"].tolist() == [100]
    assert sorted(moved.PACKETS[moved.CHAIN == "KUBE-SEP"]) == sorted(asked)
    assert {size / packets for size, packets in zip(moved.BYTES, moved.PACKETS, strict=True)} == {60}  # a SYN, no data


@CLAIMS.claim("04-27", "`REMOTE` is not the client's address", "It is an address of the leader",
              "Pods on the leader see one address, and Pods on other nodes see another", story="iptables")  # fmt: skip
def remote_is_the_leader(lab: Lab) -> None:
    cards = json.loads(str(lab.run(leader_of(lab), "ip -j addr")))
    own = {entry["local"] for card in cards for entry in card["addr_info"]}
    remotes = set(lab.curl("svc1", times=100).REMOTE)
    assert len(remotes) == 2
    assert remotes <= own
    assert lab.address(lab.client) not in remotes


CLAIMS.fact(
    "04-27",
    "The client's kernel knows no connection to that Pod: it would send a reset",
    source="RFC 9293 section 3.10.7.1: a segment for a connection that does not exist causes a reset",
)


@CLAIMS.claim("04-30", "The packet leaves the client and reaches the leader with the same addresses",
              "Then the leader changes both", story="iptables", on=("recorded",))  # fmt: skip
@CLAIMS.claim("04-32", "The line has both directions", story="iptables", on=("recorded",))
def rewritten_once_by_the_leader(lab: Lab) -> None:
    trip = lab.capture_path("svc1")
    first = trip[trip.FLAGS == "S"]
    assert first.TO.tolist()[:2] == [f"{lab.vip('svc1')}:80"] * 2
    assert first.FROM.nunique() == first.TO.nunique() == 2
    assert first.PLACE.tolist()[1:3] == [leader_of(lab)] * 2
    port = first.FROM.iloc[0].split(":")[1]
    line = str(lab.run(leader_of(lab), "conntrack -L -p tcp --dport 80").matching(f"sport={port} "))
    assert line.count(" src=") == 2


# ── the NodePort, another node ──────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("04-35", "All your requests are in its counter; the others have none", story="iptables")
def only_the_vip_counts(lab: Lab) -> None:
    lab.curl("svc1", times=100)
    rules = [rule for rule in lab.rules(leader_of(lab)).rules() if "svc1" in rule.text and "-j KUBE-EXT" in rule.text]
    counts = {rule.chain: rule.packets or 0 for rule in rules}
    assert counts["KUBE-SERVICES"] >= 100
    assert counts["KUBE-NODEPORTS"] == 0


@CLAIMS.claim("04-35", "From `KUBE-EXT` on, both packets meet the same rules",
              "A packet for the VIP does not go *through* the NodePort", story="iptables")  # fmt: skip
def entrances(lab: Lab) -> None:
    leader = leader_of(lab)
    port = lab.object("service", "svc1")["spec"]["ports"][0]["nodePort"]
    vip, node_port = lab.trace("svc1")[0], lab.trace(f"{leader}:{port}")[0]
    texts = [[rule.text for rule in way.walked if rule.table == "nat"] for way in (vip, node_port)]
    assert "KUBE-NODEPORTS" not in chains_of(vip)
    assert "KUBE-NODEPORTS" in chains_of(node_port)
    vip_from_ext, node_port_from_ext = (
        found[next(place for place, text in enumerate(found) if text.startswith("-A KUBE-EXT")) :] for found in texts
    )
    assert vip_from_ext == node_port_from_ext


@CLAIMS.claim("04-39", "with the same endpoints and the same chances", "Every node *could* take the packets of the VIP",
              story="iptables")  # fmt: skip
@CLAIMS.claim("packet-at-another-node", "No rule does", "Every node could serve it", story="iptables")
def every_node_serves(lab: Lab) -> None:
    expected = [(way.probability, way.packet.dst) for way in lab.trace("svc1")]
    for node in lab.nodes().NAME:
        assert [(way.probability, way.packet.dst) for way in lab.trace("svc1", node=node)] == expected
    texts = [sorted(rule.text for rule in lab.rules(node).rules() if "svc1" in rule.text) for node in lab.nodes().NAME]
    assert all(text == texts[0] for text in texts)


# ── Local ───────────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("04-40", "Until now, a node without a Pod led svc3", story="iptables")
def svc3_led_without_pod(lab: Lab) -> None:
    pods = lab.pods()
    assert leader_of(lab, "svc3") not in set(pods.NODE[pods.NAME.isin(["webpod1", "webpod2"])])


@CLAIMS.claim(
    "04-46",
    "the speakers elect among the nodes that have a ready endpoint of the Service",
    "svc3 had to move",
    story="etp-local",
)
def local_candidates(lab: Lab) -> None:
    before = leader_of(lab, "svc3")
    lab.at("apply-etp-local")
    assert set(lab.election("svc3").candidates) == {"myk8s-worker", "myk8s-worker2"}
    assert leader_of(lab, "svc3") != before


@CLAIMS.claim("04-46", "The packet for svc1 has one way instead of two, and no mark",
              "It holds the endpoints of this node and no others",
              "Without the mark, no rule rewrites the source", story="etp-local")  # fmt: skip
@CLAIMS.claim("04-48", "The Pod sees the client's own address, and every request got an answer",
              "the other Pod gets nothing", story="etp-local")  # fmt: skip
def local_path(lab: Lab) -> None:
    lab.at("apply-etp-local")
    [way] = lab.trace("svc1")
    assert "KUBE-SVL" in chains_of(way)
    assert "KUBE-MARK-MASQ" not in chains_of(way)
    assert way.packet.src == lab.address(lab.client)
    answers = lab.curl("svc1", times=100)
    assert answers.COUNT.tolist() == [100]
    assert answers.REMOTE.tolist() == [lab.address(lab.client)]


@CLAIMS.claim("04-50", "One box, and it ends with `DROP`", "That node drops the packet", story="etp-local")
def dropped_without_local_pod(lab: Lab) -> None:
    lab.at("apply-etp-local")
    [way] = lab.trace("svc1", node="myk8s-worker3")
    assert way.verdict == "DROP"


@CLAIMS.claim("04-77", "Nodes with a Pod say 200, the others say 503", story="etp-local", on=("simulated",))
def health_port(lab: Lab) -> None:
    lab.at("apply-etp-local")
    port = lab.object("service", "svc1")["spec"]["healthCheckNodePort"]
    pods = lab.pods()
    with_pod = set(pods.NODE[pods.NAME.isin(["webpod1", "webpod2"])])
    for node in lab.nodes().NAME:
        assert lab.curl(f"{node}:{port}").HOSTNAME[0] == f"HTTP {200 if node in with_pod else 503}"


CLAIMS.fact("04-50", "MetalLB does not: its speakers read the EndpointSlices",
            source="MetalLB v0.14.8 speaker/layer2_controller.go (nodesWithEndpoint)")  # fmt: skip

# ── modes ───────────────────────────────────────────────────────────────────────────────────────────────────

CLAIMS.fact("04-78", "On Linux, kube-proxy has three modes", source="Kubernetes v1.31 pkg/proxy/apis/config/types.go")
CLAIMS.fact(
    "04-78",
    "is the default, in this course's Kubernetes v1.31 and still in v1.37",
    source="Kubernetes v1.37.2 cmd/kube-proxy/app/server_linux.go line 140",
)
CLAIMS.fact(
    "04-78",
    "It adds the addresses of Services, VIPs included, to the interface `kube-ipvs0` of every node",
    "To prevent this, MetalLB needs",
    source="Kubernetes pkg/proxy/ipvs/proxier.go (defaultDummyDevice); MetalLB docs, installation; MetalLB issue #153",
)
CLAIMS.fact("04-78", "Kubernetes v1.35 deprecated this mode", source="KEP-5495; MetalLB issue #2919")
CLAIMS.fact("04-78", "It became stable in Kubernetes v1.33", source="KEP-3866; KEP-5343")
CLAIMS.fact(
    "04-78",
    "kube-proxy v1.37 logs that nftables will be the default in v1.40",
    "From v1.40 on, ipvs is off by default, and v1.43 removes it",
    "In the mode nftables, NodePorts by default answer only on the node's primary addresses",
    source="Kubernetes v1.37.2 cmd/kube-proxy/app/server_linux.go lines 55, 140 and 192; KEP-5343, KEP-5495",
)

# ── appendix ────────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("04-51", "So a hundred requests from one client should end at one Pod", story="etp-local")
@CLAIMS.claim("04-55", "One Pod answered all of them", "the recording set svc3 back to `Cluster`", story="etp-local")
def affinity_keeps_the_pod(lab: Lab) -> None:
    lab.at("apply-session-affinity")
    answers = lab.curl("svc3", times=100)
    assert answers.HOSTNAME.nunique() == 1
    assert lab.object("service", "svc3")["spec"]["externalTrafficPolicy"] == "Cluster"


@CLAIMS.claim("04-55", "So `REMOTE` shows an address of the leader", story="etp-local", on=("recorded",))
def leader_is_the_remote(lab: Lab) -> None:
    lab.at("apply-session-affinity")
    assert set(lab.curl("svc3", times=100).REMOTE) == {lab.address(str(lab.leader("svc3")))}


@CLAIMS.claim("04-57", "Then `KUBE-PROXY-FIREWALL` in the table `filter` drops it", story="etp-local")
def dropped_by_source_ranges(lab: Lab) -> None:
    lab.at("apply-source-ranges")
    [way] = lab.trace("svc2", source="myk8s-worker3")
    assert (way.verdict, way.packet.dst) == ("DROP", lab.vip("svc2"))
    assert (way.walked[-1].table, way.walked[-1].chain) == ("filter", "KUBE-PROXY-FIREWALL")


# ── nftables ────────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim("04-79", "it has one rule for each address and port",
              "A cluster with 5,000 Services has more than 5,000 such rules", story="iptables")  # fmt: skip
@CLAIMS.claim("rules-that-find-a-service", "KUBE-SERVICES has one rule for each address and port of a Service",
              story="iptables")  # fmt: skip
def one_rule_for_each_address(lab: Lab) -> None:
    found = [rule for rule in lab.rules(leader_of(lab)).chain("KUBE-SERVICES") if "-d " in rule.text]
    ports = [(one, port) for one in lab.objects("services") for port in one["spec"]["ports"]]
    vips = [one for one, _ in ports if one["status"]["loadBalancer"].get("ingress")]
    assert len(found) == len(ports) + len(vips)  # a ClusterIP each, and a VIP


@CLAIMS.claim(
    "04-83",
    "There are the same two ways, with the same shares, to the same Pods, from the same addresses of the leader",
    story="iptables",
    on=("recorded",),
)
@CLAIMS.claim("04-85", "`iptables-save` shows no rule of a Service", "one random choice per connection",
              story="iptables", on=("recorded",))  # fmt: skip
def same_ways_in_nftables(lab: Lab) -> None:
    rules = nftables.parse(dumps.nftables_leader())
    assert not rules.managed  # no table that iptables-save would print
    ends = [
        [(way.probability, way.verdict, way.packet.src, way.packet.dst, way.packet.dport) for way in ways]
        for ways in (lab.trace("svc1"), lab.trace("svc1", rules=rules))
    ]
    assert ends[0] == ends[1]
    again = iptables.Packet(
        lab.address(lab.client), lab.vip("svc1"), dport=80, in_interface="eth0", ctstate="ESTABLISHED"
    )
    assert not [rule for way in rules.trace(again) for rule in way.walked if "numgen" in rule.text]


@CLAIMS.claim("04-83", "jump to a check, which lets this packet go on; the picture leaves them out",
              story="iptables", on=("recorded",))  # fmt: skip
def checks_let_the_packet_go_on(lab: Lab) -> None:
    ways = lab.trace("svc1", rules=nftables.parse(dumps.nftables_leader()))
    checks = {"firewall-check", "service-endpoints-check", "cluster-ips-check"}
    for way in ways:
        assert {rule.to for rule in way.walked if isinstance(rule, WalkedRule) and rule.to.endswith("-check")} == checks
        assert not checks & {rule.chain for rule in way.walked}
        assert not checks & {step.to for step in shown_steps(way)}
        assert way.accepted


@CLAIMS.claim(
    "04-83",
    "one look-up in the map `service-ips`",
    "`KUBE-SEP` and `KUBE-FORWARD` have no counterpart",
    "In `service-ips` a key is an address, a protocol and a port, and its value is the chain to go to",
    "`numgen random mod 2` is a random number, 0 or 1",
    story="iptables",
)
@CLAIMS.claim("rules-that-find-a-service", "One rule names a map that holds the addresses and ports of all Services",
              "A Service has a chain of its own there, too", story="iptables")  # fmt: skip
@CLAIMS.claim("04-85", "the rules that kube-proxy writes in nftables mode have no counters", story="iptables")
@CLAIMS.claim("04-83", "`dnat ip to numgen random mod 2 map { 0 : … , 1 : … }`", story="iptables")
@CLAIMS.claim("write-the-numbered-endpoints", "mod 2 stands there because svc1 has two endpoints",
              story="iptables")  # fmt: skip
def nftables_of_svc1(lab: Lab) -> None:
    table = nftables.parse(dumps.nftables_leader()).table("ip", "kube-proxy")
    asking = [rule for chain in table.chains.values() for rule in chain.rules if "@service-ips" in rule.text]
    assert [rule.text for rule in asking] == ["ip daddr . meta l4proto . th dport vmap @service-ips"]
    keys = dumps.nftables_leader().matching(r"goto (service|external)-").splitlines()
    assert len([line for line in keys if f"{lab.vip('svc1')} . tcp . 80 : goto external-" in line]) == 1
    assert not [rule for chain in table.chains.values() for rule in chain.rules if "counter" in rule.text]
    assert not [name for name in table.chains if name.startswith("endpoint-")]
    [chain] = [one for name, one in table.chains.items() if name.startswith("service-") and "/svc1/" in name]
    pods = lab.pods().set_index("NAME").IP
    choice = f"{{ 0 : {pods['webpod1']} . 80, 1 : {pods['webpod2']} . 80 }}"
    assert [rule.text for rule in chain.rules] == [f"meta l4proto tcp dnat ip to numgen random mod 2 map {choice}"]


CLAIMS.fact(
    "04-83",
    "Older versions of kube-proxy write it otherwise, with chains `endpoint-…`",
    "So does v1.37 for a Service with session affinity",
    source="Kubernetes v1.37.2 pkg/proxy/nftables/proxier.go writeServiceToEndpointDNATs, writeServiceToEndpointJumps; "
    "v1.31.0 there writeServiceToEndpointRules",
)
CLAIMS.fact(
    "04-85",
    "today's `iptables` often writes into nftables as well",
    source="iptables-nft(8); the recorded dumps begin with “Generated by iptables-save v1.8.9 (nf_tables)”",
)
CLAIMS.fact(
    "write-the-numbered-endpoints",
    "mod n gives the numbers from 0 to n-1",
    "With numbers from 1 on, the number 0 finds no endpoint, and the last endpoint gets no packet",
    source="nft(8), NUMGEN EXPRESSION; tests/nftables/test_trace.py",
)
