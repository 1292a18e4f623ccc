"""The table that is written for a node in nftables mode, beside the one that kube-proxy v1.37.2 has written."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import collapse_addresses, ip_network

import pytest

from kanslib import nftables
from kanslib.k8s import kubeproxy_nftables
from kanslib.k8s.kubeproxy import Config
from kanslib.nftables import Rule, Table
from kanslib.nftables.syntax import Match, Reject, SetLiteral, Statement
from tests.nftables.recorded_dumps import RecordedDump, recorded_dumps

NETWORKS = {  # of the Pods and the Services, by cluster and family of the table
    ("course", "ip"): ("10.10.0.0/16", "10.200.0.0/16"),
    ("lesson", "ip"): ("10.10.0.0/16", "10.200.1.0/24"),
    ("ipv4", "ip"): ("10.10.0.0/16", "10.200.1.0/24"),
    ("dual", "ip"): ("10.244.0.0/16", "10.96.0.0/16"),
    ("dual", "ip6"): ("fd00:10:244::/56", "fd00:10:96::/112"),
}
DUMPS = recorded_dumps()
FAMILIES = [(dump, family) for dump in DUMPS for family in ("ip", "ip6") if (dump.cluster, family) in NETWORKS]


def written(dump: RecordedDump, family: str) -> Table:
    pods, services = NETWORKS[dump.cluster, family]
    own = next(
        one.address
        for one in dump.routing.interfaces
        if one.dev == "eth0" and one.scope == "global" and (":" in one.address) == (family == "ip6")
    )
    config = Config(pods, {dump.node: own}, ipv6=family == "ip6", service_cidr=services)
    table = kubeproxy_nftables.write(dump.services, dump.endpointslices, dump.node, config)
    return nftables.parse(str(table)).table(family, "kube-proxy")


def statements(rule: Rule) -> Iterator[Statement | frozenset[str]]:
    """Yield the statements of a rule, and ranges of a set as nft merges and sorts them."""
    for one in rule.statements:
        if isinstance(one, Match) and isinstance(one.right, SetLiteral):
            networks = [ip_network(str(element.key)) for element in one.right.elements]
            yield frozenset(map(str, collapse_addresses(networks)))  # type: ignore[type-var]
        elif isinstance(one, Match) and one.operator == "!=" and "saddr" in str(one.left) and "/" in str(one.right):
            yield frozenset([str(one.right)])  # of a set with one range nft may leave out the braces
        elif isinstance(one, Reject):
            yield Reject()  # the JSON has the default, too
        else:
            yield one


@pytest.mark.parametrize(("dump", "family"), FAMILIES, ids=[f"{dump}-{family}" for dump, family in FAMILIES])
def test_table_is_the_one_that_kube_proxy_wrote(dump: RecordedDump, family: str) -> None:
    ours, theirs = written(dump, family), nftables.parse(dump.text).table(family, "kube-proxy")
    # chains that it needs no more are empty for a while, before it deletes them; their sets stay as long
    stale = {name for name, chain in theirs.chains.items() if name not in ours.chains and not chain.rules}
    assert ours.chains.keys() == theirs.chains.keys() - stale
    for name, chain in ours.chains.items():
        listed = theirs.chains[name]
        assert (chain.base, [rule.comment for rule in chain.rules]) == (
            listed.base, [rule.comment for rule in listed.rules],
        )  # fmt: skip
        assert [[*statements(rule)] for rule in chain.rules] == [[*statements(rule)] for rule in listed.rules]
    assert ours.sets == {name: theirs.sets[name] for name in ours.sets}
    assert all(name.startswith("affinity-") for name in theirs.sets.keys() - ours.sets.keys())
    for name, found in ours.sets.items():
        assert set(found.elements) == set(theirs.sets[name].elements)


@pytest.mark.parametrize("dump", DUMPS, ids=map(str, DUMPS))
def test_text_and_json_of_a_dump_are_the_same_rules(dump: RecordedDump) -> None:
    text, as_json = nftables.parse(dump.text), nftables.parse(dump.as_json)
    assert text.save() == dump.text
    assert not text.unknown
    assert text.managed == as_json.managed
    # iptables-nft's tables: their JSON names the matches of xtables, and the text leaves them out
    assert bool(as_json.unknown) == bool(text.managed)
    assert all(words.startswith("xt ") for _, words in as_json.unknown)
    pairs = zip(text.tables, as_json.tables, strict=True)
    for read, other in [pair for pair in pairs if (pair[0].family, pair[0].name) not in text.managed]:
        assert read.chains.keys() == other.chains.keys()
        for name, chain in read.chains.items():
            for rule, again in zip(chain.rules, other.chains[name].rules, strict=True):
                assert [*statements(rule)] == [*statements(again)]
        for name, found in read.sets.items():
            assert found.elements == other.sets[name].elements


def test_dumps_have_each_kind_of_service_on_each_node() -> None:
    assert len({(dump.cluster, dump.node) for dump in DUMPS if dump.cluster != "course"}) == 10
    assert len({dump.moment for dump in DUMPS if dump.cluster == "ipv4"}) == 12
