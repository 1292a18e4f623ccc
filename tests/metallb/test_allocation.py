"""What MetalLB's controller gives, refuses and takes away (v0.14.8 internal/allocator)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanslib.metallb import allocation
from kanslib.metallb.config import Pool
from kanslib.metallb.ranges import ranges
from tests.metallb.objects import MANY, service


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


def test_allocator_converge_addresses_of_no_family_are_said_and_replaced() -> None:
    """controller/service.go convergeBalancer: three addresses are neither IPv4, IPv6 nor dual-stack."""
    given = service("a")
    given["status"] = {"loadBalancer": {"ingress": [{"ip": f"192.0.2.{n}"} for n in range(3)]}}
    found = desk(TEN).converge(given)
    assert found.ips == ("192.0.2.0",)
    assert (found.events[0].reason, found.events[0].type) == ("nolbIPsIPFamily", "Warning")
    listed = '["192.0.2.0" "192.0.2.1" "192.0.2.2"]'
    words = f"Failed to retrieve LBIPs IPFamily for {listed}: IPFamilyForAddresses: invalid ips length 3 {listed}"
    assert found.events[0].message == words


def test_allocator_converge_requested_pool_or_address() -> None:
    shy = Pool("shy", tuple(ranges("198.51.100.0/30")), auto_assign=False)
    here = desk(TEN, shy)
    assert here.converge(service("a")).pool == "ten"
    assert here.converge(service("b", notes={"address-pool": "shy"})).ips == ("198.51.100.0",)
    assert here.converge(service("c", loadBalancerIP="198.51.100.2")).pool == "shy"
    assert here.converge(service("d", notes={"loadBalancerIPs": "192.0.2.7"})).ips == ("192.0.2.7",)


def wished(wish: dict[str, Any]) -> str:
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
    assert wished(wish) == words


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
    local: dict[str, Any] = {"externalTrafficPolicy": "Local", "selector": {"app": "web"}}
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
