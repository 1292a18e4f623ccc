"""Configurations that MetalLB reads, and those that it refuses, in its words."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject
from kanslib.metallb.config import Configuration, pools, read_config
from kanslib.metallb.resources import resources_of

POOL = {"addresses": ["192.0.2.0/28"]}
PEER = {"myASN": 64500, "peerASN": 64501, "peerAddress": "192.0.2.200"}
NODES = [{"metadata": {"name": name, "labels": {"rack": name}}} for name in ("a", "b")]


def config(**specs: Mapping[str, Any] | list[Mapping[str, Any]]) -> Configuration:
    """Read a configuration: for each kind one spec or several. The objects are named after their kind."""
    return read_config(resources_of(objects(specs)))


def objects(specs: Mapping[str, Any]) -> Callable[[str], list[KubeObject]]:
    found: dict[str, list[KubeObject]] = {"nodes": NODES}
    for kind, value in specs.items():
        values = value if isinstance(value, list) else [value]
        metas = [{"name": f"{kind}{n}", "namespace": "metallb-system"} for n in range(len(values))]
        found[kind] = [{"metadata": meta, "spec": spec} for meta, spec in zip(metas, values, strict=True)]
    return lambda kind: found.get(kind, [])


def refusal(**specs: Mapping[str, Any] | list[Mapping[str, Any]]) -> str:
    with pytest.raises(ConfigurationError) as raised:
        config(**specs)
    return str(raised.value)


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        (["192.0.2.5"], 'invalid CIDR "192.0.2.5" in pool "ipaddresspools0": invalid CIDR "192.0.2.5"'),
        ([" 192.0.2.0/24"], 'invalid CIDR " 192.0.2.0/24"'),
        (["192.0.2.0/33"], 'invalid CIDR "192.0.2.0/33"'),
        (["192.0.2.9-192.0.2.1"], 'start IP "192.0.2.9" is after the end IP "192.0.2.1"'),
        (["192.0.2.9-"], 'invalid end IP ""'),
        (["192.0.2.0/28", "192.0.2.8-192.0.2.12"], 'overlaps with already defined CIDR "192.0.2.0/28"'),
        ([], "pool has no prefixes defined"),
    ],
)
def test_read_config_addresses_refused(addresses: list[str], words: str) -> None:
    assert words in refusal(ipaddresspools={"addresses": addresses})


def test_read_config_addresses_spellings() -> None:
    spelled = ["192.0.2.130/024", "::ffff:198.51.100.0/120", "203.0.113.1 - 203.0.113.2", "10.0.0.1-2001:db8::1"]
    networks = config(ipaddresspools={"addresses": spelled}).pools["ipaddresspools0"].networks
    expected = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.1/32", "203.0.113.2/32"]
    assert [str(network) for network in networks] == expected


def test_read_config_overlap_between_pools_refused() -> None:
    other = {"addresses": ["192.0.2.8-192.0.2.9"]}
    assert 'in pool "ipaddresspools1" overlaps' in refusal(ipaddresspools=[POOL, other])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"aggregationLength": 24}, "prefix 28 in this pool is more specific than the aggregation length"),
        ({"aggregationLength": 33}, "invalid aggregation length '!' for IPv4"),
        ({"communities": ["slow"]}, 'invalid community format: slow\ninvalid community "slow" in BGP advertisement'),
        ({"communities": ["64500:70000"]}, "value out of range"),
        ({"communities": ["64500:1", "64500:1"]}, 'duplicate definition of community "64500:1"'),
        ({"communities": ["large:1:2:3"]}, "native BGP mode only supports legacy communities"),
        ({"peers": ["x", "x"]}, 'duplicate definition of peers "x"'),
        ({"nodeSelectors": [{"matchLabels": {"rack": "a b"}}]}, "failed to parse node selector for bgpadvertisements0"),
        ({"nodeSelectors": [{"matchLabels": {"rack": "a"}}] * 2}, 'duplicate definition of nodeSelectors {map["rack":'),
    ],
)
def test_read_config_advertisement_refused(spec: dict[str, Any], words: str) -> None:
    assert words in refusal(ipaddresspools=POOL, bgpadvertisements=spec)


def test_read_config_local_preferences_conflict() -> None:
    wide, narrow = {"localPref": 100, "aggregationLength": 28}, {"localPref": 200}
    assert "invalid local preference 200" in refusal(ipaddresspools=POOL, bgpadvertisements=[wide, narrow])
    on_a, on_b = ({"nodeSelectors": [{"matchLabels": {"rack": rack}}]} for rack in "ab")
    found = config(ipaddresspools=POOL, bgpadvertisements=[{**wide, **on_a}, {**narrow, **on_b}])
    assert [ad.local_pref for ad in found.pools["ipaddresspools0"].bgp] == [100, 200]


def test_read_config_community_alias() -> None:
    names = {"communities": [{"name": "slow", "value": "64500:010"}]}
    found = config(ipaddresspools=POOL, bgpadvertisements={"communities": ["slow", "100:1"]}, communities=names)
    assert found.pools["ipaddresspools0"].bgp[0].communities == ("100:1", "64500:10")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"myASN": 0}, "missing local ASN\nparsing peer bgppeers0"),
        ({"peerASN": 64500, "ebgpMultiHop": True}, "invalid ebgp-multihop parameter set for an ibgp peer"),
        ({"peerAddress": "router"}, 'invalid BGPPeer address "router"'),
        ({"holdTime": "2s"}, 'invalid hold time "2s": must be 0 or >=3s'),
        ({"holdTime": "1d"}, 'time: unknown unit "d" in duration "1d"'),
        ({"keepaliveTime": "1s"}, "peer 192.0.2.200 has keepalive-time set on native bgp mode"),
        ({"bfdProfile": "fast"}, "peer 192.0.2.200 has bfd-profile set on native bgp mode"),
        ({"routerID": "x"}, 'invalid router ID "x"'),
        ({"sourceAddress": "x"}, 'invalid source IP "x"'),
        ({"passwordSecret": {"name": "x"}}, 'secret ref not found for peer config "metallb-system"/"bgppeers0"'),
        ({"password": "p", "passwordSecret": {"name": "x"}}, "can not have both password and secret ref set"),
    ],
)
def test_read_config_peer_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refusal(bgppeers={**PEER, **changes})


@pytest.mark.parametrize(("written", "hold"), [("0s", 90.0), ("4500ms", 4.5), ("1m30s", 90.0), ("3.9s", 3.9)])
def test_read_config_peer_hold_time(written: str, hold: float) -> None:
    assert config(bgppeers={**PEER, "holdTime": written}).peers["bgppeers0"].hold == hold


def test_read_config_password_of_a_secret() -> None:
    secret = {"metadata": {"name": "s"}, "type": "kubernetes.io/basic-auth"}
    found = {**secret, "data": {"password": base64.b64encode(b"hidden").decode()}}
    given = objects({"bgppeers": {**PEER, "passwordSecret": {"name": "s"}}})
    read = read_config(resources_of(lambda kind: [found] if kind == "secrets" else given(kind)))
    assert read.peers["bgppeers0"].password == "hidden"


def test_read_config_native_mode_refuses_bfd_profiles_and_ipv6() -> None:
    assert refusal(bfdprofiles={}) == "bfd profiles section set"
    v6 = {"addresses": ["2001:db8::/120"]}
    assert "native bgp mode does not support ipv6" in refusal(ipaddresspools=v6, bgpadvertisements={})
    assert config(ipaddresspools=v6, l2advertisements={}).pools["ipaddresspools0"].layer2


def test_read_config_other_namespaces_not_read() -> None:
    elsewhere = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"addresses": ["wrong"]}}
    assert not read_config(resources_of(lambda kind: [elsewhere] if kind == "ipaddresspools" else [])).pools


def test_pools_peers_not_read() -> None:
    assert list(pools(objects({"ipaddresspools": POOL, "bgppeers": {}}))) == ["ipaddresspools0"]
