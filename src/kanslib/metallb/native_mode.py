"""What MetalLB refuses with native BGP only (MetalLB v0.14.8 internal/config/validation.go DiscardFRROnly)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject, name_of
from kanslib.metallb.communities import BGPCommunity, parse_community
from kanslib.metallb.go_text import nanoseconds, quoted
from kanslib.metallb.ranges import parse_range
from kanslib.metallb.resources import Resources


def check_native_mode(resources: Resources) -> None:
    """Raise ConfigurationError for what native BGP cannot do: BFD, IPv6, large communities, some fields of peers."""
    for peer in resources.peers:
        _check_peer(peer.get("spec") or {})
    if resources.bfd_profiles:
        raise ConfigurationError("bfd profiles section set")
    if resources.bgp_advertisements:
        _check_pools(resources.pools)
    _check_communities(resources)


def _check_peer(spec: Mapping[str, Any]) -> None:
    found = (
        (spec.get("bfdProfile"), "bfd-profile"),
        (nanoseconds(spec.get("keepaliveTime") or "0s"), "keepalive-time"),
        (spec.get("vrf"), "vrf"),
        (spec.get("connectTime") is not None, "connect time"),
        (spec.get("enableGracefulRestart"), "EnableGracefulRestart flag"),
        (spec.get("disableMP"), "disable MP flag"),
    )
    for is_set, name in found:
        if is_set:
            raise ConfigurationError(f"peer {spec.get('peerAddress') or ''} has {name} set on native bgp mode")


def _check_pools(pools: Iterable[KubeObject]) -> None:
    for pool in pools:
        name = quoted(name_of(pool))
        for entry in (pool.get("spec") or {}).get("addresses") or []:
            try:
                networks = parse_range(entry).networks
            except ConfigurationError as error:
                raise ConfigurationError(f"invalid CIDR {quoted(entry)} in pool {name}: {error}") from None
            network = next((one for one in networks if one.version == 6), None)
            if network:
                raise ConfigurationError(f"pool {name} has ipv6 CIDR {network}, native bgp mode does not support ipv6")


def _check_communities(resources: Resources) -> None:
    words = "native BGP mode only supports legacy communities, BGP"
    for obj in resources.bgp_advertisements:
        for text in (obj.get("spec") or {}).get("communities") or []:
            if _is_large(text):
                raise ConfigurationError(
                    f"{words} advertisement {quoted(name_of(obj))} has non legacy community {quoted(text)}"
                )
    for obj in resources.communities:
        for alias in (obj.get("spec") or {}).get("communities") or []:
            if _is_large(alias.get("value", "")):
                named = f"{{{quoted(alias.get('name', ''))} {quoted(alias.get('value', ''))}}}"
                raise ConfigurationError(
                    f"{words} community CR {quoted(name_of(obj))} has non legacy community {named}"
                )


def _is_large(text: str) -> bool:
    try:
        community: BGPCommunity = parse_community(text)
    except ConfigurationError:  # a name, or an error that is found later
        return False
    return community.is_large
