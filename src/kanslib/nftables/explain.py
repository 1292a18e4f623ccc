"""Describe rules of nftables in words: the purpose of kube-proxy's chains, and a rule's effect on a packet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from kanslib.i18n import tr, tr_later
from kanslib.iptables.explain import share
from kanslib.iptables.packet import endpoint

# kube-proxy v1.31 to v1.37 pkg/proxy/nftables/proxier.go: `service-ULMVA6XW-ns1/svc1/tcp/p80`, and for an endpoint
# `endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80`
_HASHED = re.compile(r"(?P<kind>service|local|external|endpoint|firewall)-[A-Z2-7]{8}-(?P<rest>.+)")
_MEANINGS = {  # by the chain of a rule and the one to which it leads
    ("nat-prerouting", "services"): tr_later("a new connection: is it for a Service?"),
    ("nat-output", "services"): tr_later("a new connection of this machine's own: is it for a Service?"),
    ("services", "service"): tr_later("it asks for the ClusterIP of {service}"),
    ("services", "local"): tr_later("it asks for the ClusterIP of {service}, which keeps traffic on its node"),
    ("services", "external"): tr_later("it asks for an external address of {service}"),
    ("filter-prerouting-pre-dnat", "firewall-check"): tr_later(
        "a new connection: does its Service let in only some sources?"
    ),
    ("filter-output-pre-dnat", "firewall-check"): tr_later(
        "a new connection: does its Service let in only some sources?"
    ),
    ("firewall-check", "firewall"): tr_later("{service} lets in only some sources"),
    ("firewall", ""): tr_later("its source is not let in: dropped"),
    ("filter-input", "service-endpoints-check"): tr_later("a new connection: has its Service no endpoints?"),
    ("filter-forward", "service-endpoints-check"): tr_later("a new connection: has its Service no endpoints?"),
    ("filter-output", "service-endpoints-check"): tr_later("a new connection: has its Service no endpoints?"),
    ("filter-input", "nodeport-endpoints-check"): tr_later(
        "a new connection: has the Service of its NodePort no endpoints?"
    ),
    ("filter-forward", "cluster-ips-check"): tr_later("a new connection: does it still ask for a ClusterIP?"),
    ("filter-output", "cluster-ips-check"): tr_later("a new connection: does it still ask for a ClusterIP?"),
    ("service-endpoints-check", "reject-chain"): tr_later("{comment} has no endpoints"),
    ("nodeport-endpoints-check", "reject-chain"): tr_later("{comment} has no endpoints"),
    ("service-endpoints-check", ""): tr_later("{comment} has no endpoint on this node: dropped"),
    ("nodeport-endpoints-check", ""): tr_later("{comment} has no endpoint on this node: dropped"),
    ("reject-chain", ""): tr_later("refused"),
    ("external", "mark-for-masquerade"): tr_later("came from outside, so mark for masquerade"),
    ("external", "service"): tr_later("on to all endpoints"),
    ("external", "local"): tr_later("on to the endpoints of this node alone, and no mark: the source stays"),
    ("service", "mark-for-masquerade"): tr_later("came from outside the Pods' network, so mark for masquerade"),
    ("local", "mark-for-masquerade"): tr_later("came from outside the Pods' network, so mark for masquerade"),
    ("endpoint", "mark-for-masquerade"): tr_later("the endpoint asks itself, so mark for masquerade"),
    ("nat-postrouting", "masquerading"): tr_later("does its mark ask for a new source?"),
}
# by kube-proxy's comment
_WHY_MARKED = {
    "masquerade": tr_later("came from outside"),
    "masquerade local traffic": tr_later("came from this machine itself"),
    "masquerade clusterIP traffic from outside cluster": tr_later("came from outside the Pods' network"),
    "masquerade all clusterIP traffic": tr_later("asks for a ClusterIP"),
}
_COMMENTS = {
    "short-circuit pod traffic": tr_later("it comes from a Pod: on to all endpoints"),
    "short-circuit local traffic": tr_later("it comes from this machine: on to all endpoints"),
    "Reject traffic to invalid ports of ClusterIPs": tr_later("no Service with this ClusterIP has this port: refused"),
    "Drop traffic to unallocated ClusterIPs": tr_later("no Service has this ClusterIP: dropped"),
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
        chain, to = _kind(self.chain), _kind(self.to)
        found = self._of_services(chain, to, effect) or effect
        if not found and (meaning := _MEANINGS.get((chain, to))) is not None:
            found = tr(meaning, service=_service(self.to), comment=self.comment or tr("the Service"))
        return found or tr(_COMMENTS.get(self.comment, "")) or self.comment or self.element or self.text

    def _of_services(self, chain: str, to: str, effect: str) -> str:
        """Return what a rule of kube-proxy does to a packet; empty for any other rule."""
        match chain, to:
            case (("service" | "local"), "endpoint"):
                return self._chosen_endpoint(_endpoint(self.to))
            case (("service" | "local"), "") if effect:
                return f"{self._chance()}: {effect}"
            case (("external" | "services"), "") if self.comment in _WHY_MARKED:
                reason = tr(_WHY_MARKED[self.comment])
                return tr("{reason}: {effect}, to be masqueraded when it leaves", reason=reason, effect=effect)
            case "endpoint", "" if "update @affinity-" in self.text:
                where = _endpoint(self.chain)
                return tr("the set of its clients remembers this one, which is sent to {endpoint}", endpoint=where)
            case "masquerading", "" if "@hairpin-connections" in self.text:
                return tr("the endpoint asks itself: {effect}", effect=effect)
            case "masquerading", "" if effect:
                return tr("its mark asks for it: {effect}", effect=effect)
            case "services", "external" if "@service-nodeports" in self.text:
                return tr("it asks for the NodePort of {service}", service=_service(self.to))
            case "external", "service" if self.comment:
                return tr(_COMMENTS.get(self.comment, ""))
        return ""

    def _chosen_endpoint(self, where: str) -> str:
        if self.to and self.chance is None:  # not a map of random numbers, but kube-proxy's set of clients
            return tr("this client was sent to {endpoint} before, so again", endpoint=where)
        return f"{self._chance()}: {where}"

    def _chance(self) -> str:
        if self.chance is None or self.chance == 1:
            return tr("the only endpoint")
        return tr("a random number chooses an endpoint, {share} of what comes here", share=share(self.chance))


def _endpoint(chain: str) -> str:
    """Return address and port of the endpoint in a chain's name; its port stands behind the last slash."""
    address, _, port = chain.rpartition("__")[2].rpartition("/")
    return endpoint(address, int(port)) if port.isdecimal() else address


def _service(chain: str) -> str:
    """Return the Service in a chain's name: namespace and name, and the name of its port where it has one."""
    found = _HASHED.fullmatch(chain)
    namespace, name, _, port = [*(found["rest"] if found else chain).split("/"), "", "", ""][:4]
    return f"{namespace}/{name}{f':{port}' if port else ''}"


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
