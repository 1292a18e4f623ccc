"""Describe rules of kube-proxy in words: the purpose of the chain, and the rule's effect on a packet."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from kanslib.i18n import numeral, tr, tr_later

if TYPE_CHECKING:
    from kanslib.iptables.dump import Rule

_HASHED = re.compile(r"^(KUBE-(?:SVC|SVL|EXT|SEP|FW|XLB))-\w+$")
_SERVICE = re.compile(r"[\w.-]+/[\w.-]+(?::[\w.-]+)?")
# by the chain of a rule and its target: kube-proxy v1.20 to v1.31 pkg/proxy/iptables/proxier.go
_MEANINGS = {
    ("PREROUTING", "KUBE-SERVICES"): tr_later("a new connection: is it for a Service?"),
    ("OUTPUT", "KUBE-SERVICES"): tr_later("a new connection of this machine's own: is it for a Service?"),
    ("KUBE-SERVICES", "KUBE-SVC"): tr_later("it asks for the ClusterIP of {service}"),
    ("KUBE-SERVICES", "KUBE-SVL"): tr_later("it asks for the ClusterIP of {service}, which keeps traffic on its node"),
    ("KUBE-SERVICES", "KUBE-EXT"): tr_later("it asks for the external address of {service}"),
    ("KUBE-SERVICES", "KUBE-FW"): tr_later("it asks for the external address of {service}"),
    ("KUBE-SERVICES", "KUBE-NODEPORTS"): tr_later("it asks for an address of this machine: is it a NodePort?"),
    ("KUBE-SERVICES", "REJECT"): tr_later("{service} has no endpoints"),
    ("KUBE-NODEPORTS", "KUBE-EXT"): tr_later("it asks for the NodePort of {service}"),
    ("KUBE-FW", ""): tr_later("its source is not let in; KUBE-PROXY-FIREWALL will drop it"),
    # until v1.23: each LoadBalancer has a KUBE-FW, and with externalTrafficPolicy Local a KUBE-XLB
    ("KUBE-FW", "KUBE-MARK-MASQ"): tr_later("came from outside, so mark for masquerade"),
    ("KUBE-FW", "KUBE-MARK-DROP"): tr_later("no rule above took it: its source is not let in, or no endpoint is here"),
    ("KUBE-XLB", "KUBE-MARK-MASQ"): tr_later("this machine itself asks, so mark for masquerade"),
    ("KUBE-XLB", "KUBE-SVC"): tr_later("it comes from a Pod or from this machine: on to all endpoints"),
    ("KUBE-XLB", "KUBE-MARK-DROP"): tr_later("{service} has no endpoint on this node"),
    ("KUBE-EXT", "KUBE-MARK-MASQ"): tr_later("came from outside, so mark for masquerade"),
    ("KUBE-EXT", "KUBE-SVC"): tr_later("on to all endpoints"),
    ("KUBE-EXT", "KUBE-SVL"): tr_later("on to the endpoints of this node alone, and no mark: the source stays"),
    ("KUBE-SVC", "KUBE-MARK-MASQ"): tr_later("came from outside the Pods' network, so mark for masquerade"),
    ("KUBE-SVL", "KUBE-MARK-MASQ"): tr_later("came from outside the Pods' network, so mark for masquerade"),
    ("KUBE-SEP", "KUBE-MARK-MASQ"): tr_later("the endpoint asks itself, so mark for masquerade"),
    ("KUBE-POSTROUTING", "RETURN"): tr_later("no mark: the source stays"),
    ("KUBE-FORWARD", "ACCEPT"): tr_later("let through: {comment}"),
    ("KUBE-EXTERNAL-SERVICES", "DROP"): tr_later("{comment}: dropped"),
    ("KUBE-EXTERNAL-SERVICES", "REJECT"): tr_later("{comment}: refused"),
    ("KUBE-PROXY-FIREWALL", "DROP"): tr_later("{comment}: dropped"),
}

_SERVICE_CHAINS = ("KUBE-SVC", "KUBE-SVL", "KUBE-EXT", "KUBE-XLB")
_MARKS = {
    "KUBE-MARK-DROP": tr_later("the mark 0x8000, which KUBE-FIREWALL drops in INPUT and OUTPUT"),
    "KUBE-MARK-MASQ": tr_later("the mark 0x4000: to be masqueraded when it leaves"),
    "KUBE-POSTROUTING": tr_later("the mark is taken off again"),
}


def short(chain: str) -> str:
    """Return a chain's name without kube-proxy's hash.

    >>> short("KUBE-EXT-DLGPAL4ZCYSJ7UPR"), short("KUBE-MARK-MASQ")
    ('KUBE-EXT', 'KUBE-MARK-MASQ')
    """
    found = _HASHED.match(chain)
    return found[1] if found else chain


def describe_rule(rule: Rule, effect: str, chance: Fraction) -> str:
    """Return what a rule did to a packet, in words for readers without iptables.

    `effect` is the change by its target (empty for none), `chance` the probability that the rule matches.
    """
    chain, target, comment = short(rule.chain), short(rule.target or ""), rule.comment
    if target == "MARK" and chain in _MARKS:
        return tr(_MARKS[chain])
    if effect:
        return effect
    if chain in ("KUBE-SVC", "KUBE-SVL", "KUBE-XLB") and target == "KUBE-SEP":
        return _chosen_endpoint(rule, chance)
    if chain == "KUBE-FW" and target in _SERVICE_CHAINS:
        return tr("its source is let in") if rule.option("-s") else tr("from any source: on to the endpoints")
    meaning = _MEANINGS.get((chain, target))
    if meaning is not None:
        service = _SERVICE.search(comment)
        return tr(meaning, service=service[0] if service else tr("a Service"), comment=comment or tr("no reason given"))
    condition = comment or _condition(rule)
    return f"{condition} → {rule.target}".lstrip() if rule.target else condition


def _chosen_endpoint(rule: Rule, chance: Fraction) -> str:
    endpoint_name = rule.comment.partition(" -> ")[2] or tr("this endpoint")
    if "recent" in rule.words:
        return tr("this client was sent to {endpoint} before, so again", endpoint=endpoint_name)
    if chance == 1:
        return tr("{endpoint}: it takes all that comes here, without a random match", endpoint=endpoint_name)
    return tr(
        "a random match chooses {endpoint}, {share} of what comes here",
        endpoint=endpoint_name,
        share=share(chance),
    )


def _condition(rule: Rule) -> str:
    """Return the rule's matches as text: the words between its chain and its target."""
    words = rule.text.split(maxsplit=2)
    return re.sub(r"(?:^| )-[jg] .*$", "", words[2]).strip() if len(words) > 2 else ""


def share(chance: Fraction) -> str:
    """Return a probability as a simple fraction (`1/3` for 715827883/2147483648), else in percent (`12.5 %`).

    >>> share(Fraction(715827883, 2**31)), share(Fraction(1, 2)), share(Fraction(271, 1000))
    ('1/3', '1/2', '27.1 %')
    """
    simple = simple_fraction(chance)
    return f"{numeral(float(chance) * 100, '.4g')} %" if simple is None else str(simple)


def simple_fraction(chance: Fraction) -> Fraction | None:
    """Return a probability as 0 or as 1/n (n up to 1000) where iptables rounds one of these to it; None for any other.

    >>> simple_fraction(Fraction(715827883, 2**31)), simple_fraction(Fraction(2, 3))
    (Fraction(1, 3), None)
    """
    simple = chance.limit_denominator(1000)
    return simple if simple.numerator in (0, 1) and abs(simple - chance) < Fraction(1, 10**6) else None
