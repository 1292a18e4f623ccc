"""Read the BGPPeers, and the BFDProfiles and Secrets that they name.

MetalLB v0.14.8 internal/config/config.go.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kanslib.exceptions import ConfigurationError
from kanslib.k8s.objects import KubeObject, labels_of, name_of
from kanslib.metallb.go_text import duration_text, nanoseconds, quoted
from kanslib.metallb.ranges import parse_ip
from kanslib.metallb.selectors import check_syntax, distinct_selectors, selected

_SECOND = 10**9  # nanoseconds
_BFD_FIELDS = (  # a field, its name in a message, the lowest and the highest value
    ("detectMultiplier", "detect multiplier", 2, 255),
    ("receiveInterval", "receive interval", 10, 60000),
    ("transmitInterval", "transmit interval", 10, 60000),
    ("minimumTtl", "minimum ttl", 1, 254),
    ("echoInterval", "echo interval", 10, 60000),
)


@dataclass(frozen=True)
class Peer:
    """A BGPPeer: the router's address and port, both AS numbers, the hold time (seconds), the nodes that connect to it.

    `source`, `router_id`, `password`: empty where the BGPPeer has none.
    """

    name: str
    address: str
    asn: int
    my_asn: int
    hold: float = 90.0
    nodes: frozenset[str] = frozenset()
    port: int = 179
    source: str = ""
    router_id: str = ""
    password: str = ""
    ebgp_multi_hop: bool = False

    @property
    def is_internal(self) -> bool:
        """True for iBGP: both sides are in one AS. Only then LOCAL_PREF is sent."""
        return self.asn == self.my_asn


def check_bfd_profiles(profiles: Iterable[KubeObject]) -> dict[str, KubeObject]:
    """Return the BFDProfiles by name. Raises ConfigurationError for one with a value out of range."""
    found: dict[str, KubeObject] = {}
    for place, profile in enumerate(profiles, 1):
        name, spec = name_of(profile), profile.get("spec") or {}
        if not name:
            raise ConfigurationError(f"parsing bfd profile #{place}: missing bfd profile name")
        for field, words, lowest, highest in _BFD_FIELDS:
            value = spec.get(field)
            if value is not None and not lowest <= value <= highest:
                problem = f"invalid value {value}, must be in {lowest}-{highest} range\ninvalid {words} value"
                raise ConfigurationError(f"parsing bfd profile #{place}: {problem}")
        if name in found:
            raise ConfigurationError(f"found duplicate bfd profile name {name}")
        found[name] = profile
    return found


def check_durations(peers: Iterable[KubeObject]) -> None:
    """Raise ConfigurationError for a time that Go cannot decode: no component of MetalLB can read it."""
    for peer in peers:
        for field in ("holdTime", "keepaliveTime", "connectTime"):
            value = (peer.get("spec") or {}).get(field)
            if value is not None:
                nanoseconds(value)


def read_peers(
    peers: Iterable[KubeObject],
    nodes: Sequence[KubeObject],
    secrets: Mapping[str, KubeObject],
    bfd_profiles: Mapping[str, KubeObject],
) -> dict[str, Peer]:
    """Return the peers by name, each with the nodes whose speakers connect to it. Raises ConfigurationError."""
    found: dict[str, Peer] = {}
    for obj in peers:
        name = name_of(obj)
        try:
            peer = _peer(obj, nodes, secrets)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}\nparsing peer {name}") from None
        profile = (obj.get("spec") or {}).get("bfdProfile")
        if profile and profile not in bfd_profiles:
            raise ConfigurationError(f"peer {name} referencing non existing bfd profile {profile}")
        if peer in found.values():
            raise ConfigurationError(f"peer {name} already exists")
        found[name] = peer
    return found


def _peer(obj: KubeObject, nodes: Sequence[KubeObject], secrets: Mapping[str, KubeObject]) -> Peer:
    spec: Mapping[str, Any] = obj.get("spec") or {}
    my_asn, asn, address = spec.get("myASN") or 0, spec.get("peerASN") or 0, spec.get("peerAddress") or ""
    multi_hop = bool(spec.get("ebgpMultiHop"))
    if not my_asn:
        raise ConfigurationError("missing local ASN")
    if not asn:
        raise ConfigurationError("missing peer ASN")
    if asn == my_asn and multi_hop:
        raise ConfigurationError("invalid ebgp-multihop parameter set for an ibgp peer")
    ip = parse_ip(address)
    if ip is None:
        raise ConfigurationError(f"invalid BGPPeer address {quoted(address)}")
    hold = _hold_time(spec)
    router_id = _optional_ip(spec.get("routerID"), "router ID")
    source = _optional_ip(spec.get("sourceAddress"), "source IP")
    selectors = distinct_selectors(spec, "nodeSelectors")
    check_syntax(selectors, lambda _: f"failed to convert peer {name_of(obj)} node selector")
    chosen = frozenset(name_of(node) for node in nodes if selected(labels_of(node), selectors or [{}]))
    password = _password(obj, spec, secrets)
    port = spec.get("peerPort")
    return Peer(
        name_of(obj),
        str(ip),
        asn,
        my_asn,
        hold / _SECOND,
        chosen,
        179 if port is None else port,
        source,
        router_id,
        password,
        multi_hop,
    )


def _hold_time(spec: Mapping[str, Any]) -> int:
    """Return the hold time in nanoseconds: 90 s where none is given."""
    hold = nanoseconds(spec.get("holdTime") or "0s") or 90 * _SECOND
    keepalive = nanoseconds(spec.get("keepaliveTime") or "0s") or _divided(hold, 3)
    seconds = _divided(hold, _SECOND)
    if seconds != 0 and seconds < 3:
        raise ConfigurationError(f"invalid hold time {quoted(duration_text(hold))}: must be 0 or >=3s")
    if keepalive > hold:
        times = f"{quoted(duration_text(keepalive))} must be smaller than holdtime {quoted(duration_text(hold))}"
        raise ConfigurationError(f"invalid keepaliveTime {times}")
    return hold


def _divided(number: int, by: int) -> int:
    """Return a quotient rounded towards zero, as Go's."""
    return -(-number // by) if number < 0 else number // by


def _optional_ip(text: str | None, name: str) -> str:
    ip = parse_ip(text or "")
    if text and ip is None:
        raise ConfigurationError(f"invalid {name} {quoted(text)}")
    return str(ip) if ip else ""


def _password(obj: KubeObject, spec: Mapping[str, Any], secrets: Mapping[str, KubeObject]) -> str:
    name, password = (spec.get("passwordSecret") or {}).get("name"), str(spec.get("password") or "")
    if not name:
        return password
    peer = f"{quoted(obj['metadata'].get('namespace', ''))}/{quoted(name_of(obj))}"
    if password:
        raise ConfigurationError(f"can not have both password and secret ref set in peer config {peer}")
    try:
        return _secret_password(peer, secrets.get(name))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}\nfailed to parse peer {name_of(obj)} password secret") from None


def _secret_password(peer: str, secret: KubeObject | None) -> str:
    if secret is None:
        raise ConfigurationError(f"secret ref not found for peer config {peer}")
    named = f"{quoted(secret['metadata'].get('namespace', ''))}/{quoted(name_of(secret))}"
    if secret.get("type") != "kubernetes.io/basic-auth":
        raise ConfigurationError(f'secret type mismatch on {named}, type "kubernetes.io/basic-auth" is expected ')
    encoded = (secret.get("data") or {}).get("password")
    if encoded is None:
        raise ConfigurationError(f"password not specified in the secret {named}")
    return base64.b64decode(encoded).decode(errors="replace")
