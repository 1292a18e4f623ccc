"""Describe rules of nftables in words: the purpose of kube-proxy's chains, and a rule's effect on a packet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from kanslib.iptables.explain import share

# kube-proxy v1.31 to v1.37 pkg/proxy/nftables/proxier.go: `service-ULMVA6XW-ns1/svc1/tcp/p80`, and for an endpoint
# `endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80`
_HASHED = re.compile(r"(?P<kind>service|local|external|endpoint|firewall)-[A-Z2-7]{8}-(?P<rest>.+)")
_MEANINGS = {
    ("nat-prerouting", "services"): "a new connection: is it for a Service?",
    ("nat-output", "services"): "a new connection of this machine's own: is it for a Service?",
    ("services", "service"): "it asks for the ClusterIP of {name}",
    ("services", "local"): "it asks for the ClusterIP of {name}, which keeps traffic on its node",
    ("services", "external"): "it asks for an external address of {name}",
    ("service-endpoints-check", "reject-chain"): "the Service has no endpoints",
    ("external", "mark-for-masquerade"): "came from outside, so mark for masquerade",
    ("external", "service"): "on to all endpoints",
    ("external", "local"): "on to the endpoints of this node alone, and no mark: the source stays",
    ("service", "mark-for-masquerade"): "came from outside the Pods' network, so mark for masquerade",
    ("local", "mark-for-masquerade"): "came from outside the Pods' network, so mark for masquerade",
    ("endpoint", "mark-for-masquerade"): "the endpoint asks itself, so mark for masquerade",
    ("nat-postrouting", "masquerading"): "does its mark ask for a new source?",
}


@dataclass(frozen=True, slots=True)
class WalkedRule:
    """A rule as an outcome lists it.

    `element`: which element of its map the packet has met, empty without a map. `chance`: how probably a random number
    leads to that element; None where the packet itself decides. `to`: the chain to which the rule leads.
    """

    table: str
    chain: str
    line: int
    raw: str
    text: str
    packets: int | None = None
    comment: str = ""
    element: str = ""
    chance: Fraction | None = None
    to: str = ""

    @property
    def short_chain(self) -> str:
        """The name of its chain without kube-proxy's hash."""
        return short(self.chain)

    def describe(self, effect: str, chance: Fraction) -> str:  # noqa: ARG002 (an element has its own)
        """Return what the rule did to a packet, in words; `effect`: its change, `chance`: the match's probability."""
        if effect:
            return effect
        chain, to = _kind(self.chain), _kind(self.to)
        if chain in ("service", "local") and to == "endpoint":
            return self._chosen_endpoint()
        meaning = _MEANINGS.get((chain, to))
        if meaning is not None:
            return meaning.format(name=short(self.to).partition(" ")[2])
        return self.comment or self.element or self.text

    def _chosen_endpoint(self) -> str:
        where = short(self.to).rpartition("__")[2].replace("/", ":")
        if self.chance is None:  # not a map of random numbers, but kube-proxy's set of clients with an affinity
            return f"this client was sent to {where} before, so again"
        if self.chance == 1:
            return f"{where}: the only endpoint"
        return f"a random number chooses {where}, {share(self.chance)} of what comes here"


def short(chain: str) -> str:
    """Return a chain's name without kube-proxy's hash.

    >>> short("service-ULMVA6XW-ns1/svc1/tcp/p80"), short("nat-prerouting")
    ('service ns1/svc1/tcp/p80', 'nat-prerouting')
    """
    found = _HASHED.fullmatch(chain)
    return f"{found['kind']} {found['rest']}" if found else chain


def _kind(chain: str) -> str:
    found = _HASHED.fullmatch(chain)
    return found["kind"] if found else chain
