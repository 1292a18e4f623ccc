"""The picture of the pools: who has which address, who announces it, who waits."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kanslib import manifests
from kanslib.answer import Provenance
from kanslib.k8s.objects import KubeObject
from kanslib.lab.lab import Lab
from kanslib.metallb.config import Pool
from kanslib.metallb.ranges import ranges
from kanslib.render.figure import WIDTHS
from kanslib.render.pool_diagram import PoolAddresses, WaitingService, pool_use
from tests.figures import faults, texts
from tests.types import OpenLab

HERE = Provenance("recorded", 0.0, "opening", "")
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,40}[a-z0-9]", fullmatch=True)
ENTRIES = (
    "172.18.255.200-172.18.255.250",
    "10.0.0.0/16",
    "192.0.2.7/32",
    "2001:db8::/64",
    "2001:db8:1234:5678:9abc:def0:1234:5600/120",
)


def pools_in(*entries: str) -> Pool:
    networks = tuple(network for entry in entries for network in ranges(entry))
    return Pool("some", networks)


@pytest.fixture
def simulated(open_lab: OpenLab) -> Lab:
    lab = open_lab("metallb", backend="simulated")
    lab.at("apply-services")
    return lab


def spare(kind: str, spec: KubeObject) -> KubeObject:
    metadata = {"name": "spare", "namespace": "metallb-system"}
    return {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": metadata, "spec": spec}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=4, unique=True),
    st.lists(st.tuples(NAMES, st.integers(0, 50)), max_size=5, unique_by=lambda one: one[0]),
)
def test_pool_texts_never_overlap(entries: list[str], wanted: list[tuple[str, int]]) -> None:
    pool = pools_in(*entries)
    addresses = [
        str(network[min(place, network.num_addresses - 1)]) for _, place in wanted for network in pool.networks
    ]
    used = list(zip([name for name, _ in wanted], addresses, strict=False))
    waits = WaitingService("svc9", "")
    figure = PoolAddresses([], [pool_use(pool, used)], [waits], HERE)
    for width in WIDTHS:
        assert faults(figure, width) == []


def test_place_counts_over_all_ranges() -> None:
    use = pool_use(pools_in("192.0.2.0/30", "2001:db8::/126"), [("b", "2001:db8::1"), ("a", "192.0.2.3")])
    assert [use.place(address) for _, address in use.used] == [3, 5]
    assert (use.size, use.free) == (8, 6)
    with pytest.raises(ValueError, match=r"198\.51\.100\.1 is not in some"):
        use.place("198.51.100.1")


def test_shared_address_is_used_once() -> None:
    assert pool_use(pools_in("192.0.2.0/30"), [("a", "192.0.2.1"), ("b", "192.0.2.1")]).free == 3


def test_pool_is_a_list_and_says_who_has_what(simulated: Lab) -> None:
    pool = simulated.pool()
    assert isinstance(pool, list)
    assert str(pool) == str(list(pool))
    row = pool.table.to_dict("records")
    used = ", ".join(f"{name} {simulated.vip(name)}" for name in ("svc1", "svc2", "svc3"))
    assert row == [{"POOL": "my-ippool", "ADDRESSES": len(pool), "FREE": len(pool) - 3, "IN USE": used,
                    "ADVERTISED BY": "my-l2-advertise (layer 2)"}]  # fmt: skip
    assert f"svc2 {simulated.vip('svc2')}" in [one.words for one in texts(pool, 640)]


def test_new_pool_serves_who_waited(simulated: Lab) -> None:
    svc1, *_ = yaml.safe_load_all(manifests.services)
    last = ip_address(simulated.pool()[-1])
    svc1["metadata"]["annotations"] = {"metallb.universe.tf/loadBalancerIPs": str(last + 1)}
    simulated.apply(svc1)
    assert f"svc1 waits for {last + 1}." in simulated.pool().describe()
    simulated.apply(spare("IPAddressPool", {"addresses": [f"{last + 1}-{last + 2}"]}))
    words = simulated.pool().describe()
    assert f"spare: 2 addresses, 1 free; no advertisement: no node announces its addresses; svc1 {last + 1}." in words
    simulated.apply(spare("L2Advertisement", {"ipAddressPools": ["spare"]}))
    assert "spare: 2 addresses, 1 free; advertised by spare (layer 2)" in simulated.pool().describe()


def test_advertisement_that_selects_no_node(open_lab: OpenLab) -> None:
    assert "advertised by my-l2-advertise (layer 2, selects no node)" in open_lab("case-5").pool().describe()


def test_advertisement_by_bgp(open_lab: OpenLab) -> None:
    lab = open_lab("bgp")
    lab.at("apply-bgp")
    assert "advertised by my-bgp-advertise (BGP);" in lab.pool().describe()


def test_no_pool(open_lab: OpenLab) -> None:
    pool = open_lab("metallb").pool()
    assert pool == []
    assert pool.describe() == "no pool: MetalLB has no address to give"
    assert [one.words for one in texts(pool, 320)] == ["no pool: MetalLB has no address to give"]


def test_refused_configuration_keeps_the_list() -> None:
    pool = PoolAddresses(["192.0.2.1"], [], [], HERE, "MetalLB refuses this configuration: overlap")
    assert pool == ["192.0.2.1"]
    assert pool.describe() == "MetalLB refuses this configuration: overlap"
