"""What MetalLB promises of its election and its addresses, over clusters that nobody has seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanslib.metallb import allocation, bgp, election, memberlist
from kanslib.metallb.config import BGPAdvertisement, L2Advertisement, Pool, pools, ranges

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
NODES = st.sets(NAMES, min_size=1, max_size=12)
IPS = st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=20, unique=True)
MANY = settings(max_examples=200, deadline=None)

# computed with the Go standard library by others, for nodes kind-worker (1), kind-worker2 (2), kind-worker3 (3)
KNOWN_LEADERS = "223112221312313313223323323312132331332323233313112"


def node(name: str, labels: dict[str, str] | None = None, unavailable: bool = False) -> dict[str, Any]:
    conditions = [{"type": "NetworkUnavailable", "status": "True"}] if unavailable else []
    addresses = [{"type": "InternalIP", "address": "172.18.0.2"}]
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "status": {"conditions": conditions, "addresses": addresses},
    }


def piece(*homes: tuple[str, dict[str, bool]]) -> dict[str, Any]:
    entries = [
        {"addresses": [f"10.1.0.{n}"], "nodeName": home, "conditions": said} for n, (home, said) in enumerate(homes)
    ]
    labels = {"kubernetes.io/service-name": "web"}
    return {"metadata": {"name": "web-1", "namespace": "default", "labels": labels}, "endpoints": entries}


READY = {"ready": True}
LOCAL = {
    "metadata": {"name": "web", "namespace": "default", "uid": "1"},
    "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
}
SERVICE = {"metadata": {"name": "web", "namespace": "default", "uid": "1"}, "spec": {"type": "LoadBalancer"}}


def pool(nodes: set[str]) -> Pool:
    return Pool("pool", tuple(ranges("0.0.0.0/0")), layer2=(L2Advertisement("all", frozenset(nodes)),))


def elected(names: set[str], ip: str, **changes: Any) -> election.Election:
    given_ = {"service": SERVICE, "slices": [piece(("somewhere", READY))], "alive": frozenset(names), **changes}
    objects = given_.pop("nodes", [node(name) for name in sorted(names)])
    return election.elect(given_["service"], [ip], pool(names), given_["slices"], objects, given_["alive"])


# ── election ─────────────────────────────────────────────────────────────────────────────────────────────


def test_order_lesson_pool_published_values() -> None:
    workers = ["kind-worker", "kind-worker2", "kind-worker3"]
    found = election.leaders(workers, [f"172.18.255.{n}" for n in range(200, 251)])
    told = "".join(str(1 + workers.index(leader)) for leader in found.values())
    assert told == KNOWN_LEADERS
    assert [told.count(n) for n in "123"] == [12, 16, 23]


@MANY
@given(NODES, IPS)
def test_elect_every_speaker_same_leader(nodes: set[str], ips: list[str]) -> None:
    for ip in ips:
        announcing = [name for name in nodes if elected(nodes, ip).leader == name]
        assert announcing == [election.order(nodes, ip)[0]]
    assert election.leaders(nodes, ips) == {ip: election.order(sorted(nodes), ip)[0] for ip in ips}


@MANY
@given(NODES, IPS, st.data())
def test_elect_leave_moves_only_its_services(nodes: set[str], ips: list[str], data: st.DataObject) -> None:
    leaver = data.draw(st.sampled_from(sorted(nodes)))
    before, after = election.leaders(nodes, ips), election.leaders(nodes - {leaver}, ips)
    moved = {ip: after.get(ip) for ip in ips if before[ip] != after.get(ip)}
    assert moved.keys() == {ip for ip in ips if before[ip] == leaver}
    if len(nodes) > 1:
        assert moved == election.successors_of(leaver, nodes, ips)
        assert all(election.order(nodes, ip)[1] == heir for ip, heir in moved.items())


@MANY
@given(NODES, IPS, NAMES)
def test_elect_join_moves_only_what_it_wins(nodes: set[str], ips: list[str], newcomer: str) -> None:
    nodes.discard(newcomer)
    if not nodes:
        return
    before, after = election.leaders(nodes, ips), election.leaders({*nodes, newcomer}, ips)
    moved = [ip for ip in ips if before[ip] != after[ip]]
    assert moved == election.won_by_new_node(newcomer, nodes, ips)
    assert {after[ip] for ip in moved} <= {newcomer}


@pytest.mark.parametrize(
    ("changes", "rule", "leader"),
    [
        ({"alive": frozenset({"b"})}, "speaker", "b"),
        ({"nodes": [node("a", unavailable=True), node("b")]}, "network", "b"),
        ({"nodes": [node("a", {election.EXCLUDE: ""}), node("b")]}, "exclude label", "b"),
        ({"slices": [piece(("b", READY))], "service": LOCAL}, "local endpoint", "b"),
    ],
)
def test_eligibility_each_rule_named(changes: dict[str, Any], rule: str, leader: str) -> None:
    found = elected({"a", "b"}, "192.0.2.1", **changes)
    assert {one.node: one.rule for one in found.eligibilities}["a"] == rule
    assert found.leader == leader


def test_elect_nobody_reason() -> None:
    nothing = [piece(("a", {"ready": False, "serving": False}))]
    assert elected({"a"}, "192.0.2.1", slices=nothing).why_nobody == "no endpoint can serve"
    leaving = [piece(("a", {"ready": False, "serving": True, "terminating": True}))]
    assert elected({"a"}, "192.0.2.1", slices=leaving).leader == "a"
    assert elected({"a"}, "192.0.2.1", alive=frozenset()).why_nobody == "no node is a candidate"
    nobody = election.elect(SERVICE, ["192.0.2.1"], None, [piece(("a", READY))], [node("a")], frozenset({"a"}))
    assert nobody.why_nobody == "no pool holds its address"


def test_elect_first_address_decides_dual_stack() -> None:
    nodes, both = {"a", "b", "c"}, ["2001:db8::7", "192.0.2.1"]
    one = Pool(
        "pool",
        tuple(ranges("2001:db8::/64") + ranges("192.0.2.0/24")),
        layer2=(L2Advertisement("x", frozenset(nodes)),),
    )
    found = election.elect(
        SERVICE, both, one, [piece(("a", READY))], [node(n) for n in sorted(nodes)], frozenset(nodes)
    )
    assert found.order == tuple(election.order(nodes, "2001:db8::7"))


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────


def service(name: str, port: int = 80, key: str = "", space: str = "default", **more: Any) -> dict[str, Any]:
    notes = {allocation.PREFIX + "allow-shared-ip": key} if key else {}
    notes |= {allocation.PREFIX + k: v for k, v in more.pop("notes", {}).items()}
    spec = {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "ports": [{"port": port, "protocol": "TCP"}], **more}
    labels = spec.pop("labels", {})
    return {
        "metadata": {"name": name, "namespace": space, "annotations": notes, "labels": labels},
        "spec": spec,
        "status": {},
    }


def desk(*found: Pool) -> allocation.Allocator:
    return allocation.Allocator({one.name: one for one in found})


TEN = Pool("ten", tuple(ranges("192.0.2.0-192.0.2.9")))


@MANY
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40))
def test_allocator_converge_lowest_free_address_first(steps: list[tuple[int, bool]]) -> None:
    here, held = desk(TEN), dict[str, str]()
    for number, keep in steps:
        key = f"default/s{number}"
        if not keep:
            here.release(key)
            held.pop(key, None)
            continue
        wanted = service(f"s{number}")
        if key in held:
            wanted["status"] = {"loadBalancer": {"ingress": [{"ip": held[key]}]}}
        decision = here.converge(wanted)
        free = [ip for ip in TEN.addresses() if ip not in held.values()]
        if key in held:
            assert decision == allocation.Decision((held[key],), "ten")
        elif free:
            assert decision.ips == (free[0],)
            held[key] = free[0]
        else:
            assert decision.events[0].message == f'Failed to allocate IP for "{key}": no available IPs'


def test_allocator_converge_avoids_buggy_ips() -> None:
    careful = Pool("careful", tuple(ranges("192.0.2.0/24")), avoid_buggy_ips=True)
    assert desk(careful).converge(service("a")).ips == ("192.0.2.1",)
    assert len(list(careful.addresses())) == 254
    huge = Pool("huge", tuple(ranges("2001:db8::/64")))
    assert desk(huge).converge(service("a", clusterIPs=["fd00::1"])).ips == ("2001:db8::",)


def test_allocator_converge_dual_stack_one_pool() -> None:
    both = Pool("both", tuple(ranges("192.0.2.8/29") + ranges("2001:db8::8/125")))
    found = desk(both, TEN).converge(service("a", clusterIPs=["10.0.0.1", "fd00::1"]))
    assert found.ips == ("192.0.2.8", "2001:db8::8")
    lacking = desk(TEN).converge(service("a", clusterIPs=["10.0.0.1", "fd00::1"]))
    assert "no available IPs" in lacking.events[0].message


def test_allocator_converge_requested_pool_or_address() -> None:
    shy = Pool("shy", tuple(ranges("198.51.100.0/30")), auto_assign=False)
    here = desk(TEN, shy)
    assert here.converge(service("a")).pool == "ten"
    assert here.converge(service("b", notes={"address-pool": "shy"})).ips == ("198.51.100.0",)
    assert here.converge(service("c", loadBalancerIP="198.51.100.2")).pool == "shy"
    assert here.converge(service("d", notes={"loadBalancerIPs": "192.0.2.7"})).ips == ("192.0.2.7",)


def wished(**wish: Any) -> str:
    """What the controller says to a wish that it cannot grant."""
    shy = Pool("shy", tuple(ranges("198.51.100.0/30")), auto_assign=False)
    here = desk(TEN, shy)
    here.converge(service("d", loadBalancerIP="192.0.2.7"))
    (told,) = here.converge(service("x", **wish)).events
    assert (told.type, told.reason) == ("Warning", "AllocationFailed")
    return told.message.removeprefix('Failed to allocate IP for "default/x": ')


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"notes": {"address-pool": "none"}}, 'unknown pool "none"'),
        ({"loadBalancerIP": "203.0.113.1"}, '["203.0.113.1"] is not allowed in config'),
        ({"loadBalancerIP": "here"}, 'invalid spec.loadBalancerIP "here"'),
        (
            {"loadBalancerIP": "192.0.2.7"},
            'can\'t change sharing key for "default/x", address also in use by default/d',
        ),
        (
            {"loadBalancerIP": "192.0.2.8", "notes": {"loadBalancerIPs": "192.0.2.8"}},
            "service can not have both metallb.universe.tf/loadBalancerIPs and svc.Spec.LoadBalancerIP",
        ),
        (
            {"loadBalancerIP": "192.0.2.8", "notes": {"address-pool": "shy"}},
            'requested loadBalancer IP(s) ["192.0.2.8"] is not compatible with requested address pool shy',
        ),
        (
            {"notes": {"loadBalancerIPs": "2001:db8::1"}},
            'requested loadBalancer IP(s) ["2001:db8::1"] does not match the ipFamily of the service',
        ),
        (
            {"notes": {"address-pool": "shy"}, "clusterIPs": ["fd00::1"]},
            'no available IPs in pool "shy" for ipv6 IPFamily',
        ),
    ],
)
def test_allocator_converge_refusal_in_metallb_words(wish: dict[str, Any], words: str) -> None:
    assert wished(**wish) == words


def test_allocator_converge_newer_annotations_ignored() -> None:
    later = service("a")
    later["metadata"]["annotations"]["metallb.io/loadBalancerIPs"] = "192.0.2.9"
    assert desk(TEN).converge(later).ips == ("192.0.2.0",)


def test_allocator_converge_sharing_lowest_address() -> None:
    here = desk(TEN)
    assert here.converge(service("a", 80, "key")).ips == ("192.0.2.0",)
    assert here.converge(service("b", 81, "key")).ips == ("192.0.2.0",)
    assert here.converge(service("c", 80, "key")).ips == ("192.0.2.1",)
    assert here.converge(service("d", 82)).ips == ("192.0.2.2",)
    local = {"externalTrafficPolicy": "Local", "selector": {"app": "web"}}
    assert here.converge(service("e", 83, "key", **local)).ips == ("192.0.2.3",)
    assert here.converge(service("f", 84, "key", **local)).ips == ("192.0.2.3",)


def test_allocator_converge_pinned_pools_by_priority() -> None:
    last = Pool("last", tuple(ranges("198.51.100.0/30")), pinned=True, namespaces=frozenset({"team"}))
    first = Pool("first", tuple(ranges("203.0.113.0/31")), pinned=True, priority=5, namespaces=frozenset({"team"}))
    web = ({"matchLabels": {"tier": "web"}},)
    chosen = Pool("chosen", tuple(ranges("203.0.113.8/31")), pinned=True, priority=1, service_selectors=web)
    here = desk(TEN, last, first, chosen)
    assert here.converge(service("a", space="team")).pool == "first"
    assert here.converge(service("b", space="team", labels={"tier": "web"})).pool == "chosen"
    assert [here.converge(service(n, space="team")).pool for n in ("c", "d")] == ["first", "last"]
    assert here.converge(service("a")).pool == "ten"
    refused = here.converge(service("z", loadBalancerIP="203.0.113.1"))
    assert "pool first not compatible for ip assignment" in refused.events[0].message


def test_allocator_converge_changed_pool_withdraws_address() -> None:
    here = desk(TEN)
    mine = service("a")
    mine["status"] = {"loadBalancer": {"ingress": [{"ip": here.converge(service("a")).ips[0]}]}}
    here.set_pools({"other": Pool("other", tuple(ranges("198.51.100.0/30")))})
    decision = here.converge(mine)
    assert [event.reason for event in decision.events] == ["ClearAssignment", "IPAllocated"]
    assert decision.events[0].message.endswith(
        'will attempt for new IP assignment: ["192.0.2.0"] is not allowed in config'
    )
    here.set_pools({})
    assert here.converge(mine) == allocation.Decision(released=False)


def test_pools_invalid_configuration_refused() -> None:
    def objects(*specs: list[str]) -> Any:
        found = [{"metadata": {"name": f"p{n}"}, "spec": {"addresses": spec}} for n, spec in enumerate(specs)]
        return lambda kind: found if kind == "ipaddresspools" else []

    for specs, words in (
        ((["192.0.2.0/24"], ["192.0.2.128-192.0.2.130"]), "overlaps"),
        ((["192.0.2.9-192.0.2.1"],), "invalid IP range"),
        ((["192.0.2.0/40"],), "invalid CIDR"),
        (([],), "has no addresses"),
    ):
        with pytest.raises(ValueError, match=words):
            pools(objects(*specs))


# ── routes ───────────────────────────────────────────────────────────────────────────────────────────────


def test_advertised_aggregation_peers_nodes_preference() -> None:
    def objects(kind: str) -> list[dict[str, Any]]:
        rack = [{"matchLabels": {"rack": "1"}}]
        wide = {"aggregationLength": 24, "localPref": 50, "communities": ["65000:1"]}
        one = {"localPref": 200, "peers": ["inside"], "nodeSelectors": rack}
        ads = [{"metadata": {"name": "wide"}, "spec": wide}, {"metadata": {"name": "one"}, "spec": one}]
        outside = {"myASN": 65000, "peerASN": 65001, "peerAddress": "172.18.0.200", "holdTime": "1m30s"}
        inside = {"myASN": 65000, "peerASN": 65000, "peerAddress": "172.18.0.201", "nodeSelectors": rack}
        peers = [{"metadata": {"name": "outside"}, "spec": outside}, {"metadata": {"name": "inside"}, "spec": inside}]
        status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}]}}
        found: dict[str, list[dict[str, Any]]] = {
            "nodes": [node("a", {"rack": "1"}), node("b", {"rack": "2"})], "bgppeers": peers, "bgpadvertisements": ads,
            "ipaddresspools": [{"metadata": {"name": "p"}, "spec": {"addresses": ["192.0.2.0/24"]}}],
            "services": [{**SERVICE, "status": status}], "endpointslices": [piece(("a", READY))],
        }  # fmt: skip
        return found.get(kind, [])

    routes = bgp.advertised(objects, ["a", "b"])
    told = [(route.peer, route.prefix, route.node, route.local_pref, route.communities) for route in routes]
    assert told == [
        ("inside", "192.0.2.0/24", "a", 50, ("65000:1",)),
        ("inside", "192.0.2.77/32", "a", 200, ()),
        ("outside", "192.0.2.0/24", "a", 0, ("65000:1",)),
        ("outside", "192.0.2.0/24", "b", 0, ("65000:1",)),
    ]
    assert [peer.hold for peer in bgp.peers(objects)] == [90.0, 90.0]


def test_next_hops_highest_preference_and_path_limit() -> None:
    paths = [
        bgp.BGPRoute("192.0.2.1/32", f"n{n}", f"172.18.0.{n}", "r", 200 if n < 3 else 100, (), ("s",))
        for n in range(1, 6)
    ]
    assert bgp.next_hops(paths, "r") == {"192.0.2.1/32": ("172.18.0.1", "172.18.0.2")}
    equal = [bgp.BGPRoute("192.0.2.1/32", f"n{n}", f"172.18.0.{n}", "r", 0, (), ("s",)) for n in (10, 9, 2)]
    assert bgp.next_hops(equal, "r", most=2) == {"192.0.2.1/32": ("172.18.0.2", "172.18.0.9")}
    assert BGPAdvertisement("x", frozenset(), length=28).prefix("192.0.2.77") == "192.0.2.64/28"


# ── gossip ───────────────────────────────────────────────────────────────────────────────────────────────


@MANY
@given(st.integers(4, 60), st.integers(0, 10_000))
def test_sample_between_earliest_and_latest(members: int, seed: int) -> None:
    drawn = memberlist.sample(members, seed)
    assert memberlist.earliest(members).dead <= drawn.dead <= memberlist.latest(members).dead
    assert drawn.suspect < drawn.dead
