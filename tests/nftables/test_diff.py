"""Two rulesets of one machine."""

from __future__ import annotations

import json

import pytest

from kanslib import nftables

BEFORE = """table ip kube-proxy {
	comment "rules for kube-proxy"
	counter dropped {
		packets 1 bytes 60
	}
	set clients {
		type ipv4_addr
		size 65535
		flags dynamic,timeout
		timeout 3h
		elements = { 10.0.0.7 expires 2h counter packets 1 bytes 60, 10.0.0.8 expires 5m }
	}
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.10 . tcp . 80 : goto service }
	}
	chain service {
		meta l4proto tcp dnat to 10.244.1.2:80
	}
	chain input {
		type filter hook input priority filter; policy accept;
		ct state invalid counter packets 5 bytes 300 drop
		limit rate 10/minute accept
		accept
	}
}
"""


FILTER = "filter input priority 0, policy"


def described(*changes: tuple[str, str]) -> list[str]:
    after = BEFORE
    for old, new in changes:
        assert after.count(old) == 1
        after = after.replace(old, new)
    found = nftables.diff(nftables.parse(BEFORE), nftables.parse(after))
    assert bool(found) == bool(found.describe())
    return found.describe().splitlines()


def test_no_difference() -> None:
    assert described() == []


def test_time_that_passes_is_no_difference() -> None:
    assert described(("expires 2h", "expires 1h"), ("expires 5m", "expires 4m")) == []


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            "goto service }", "goto service, 10.96.0.11 . tcp . 80 : drop }",
            ["+ ip kube-proxy @service-ips: 10.96.0.11 . tcp . 80 : drop"],
        ),
        (
            "goto service }", "drop }",
            [
                "- ip kube-proxy @service-ips: 10.96.0.10 . tcp . 80 : goto service",
                "+ ip kube-proxy @service-ips: 10.96.0.10 . tcp . 80 : drop",
            ],
        ),
        (", 10.0.0.8 expires 5m", "", ["- ip kube-proxy @clients: 10.0.0.8"]),
        (
            "dnat to 10.244.1.2:80", "dnat to 10.244.1.3:80",
            [
                "- ip kube-proxy service: meta l4proto tcp dnat to 10.244.1.2:80",
                "+ ip kube-proxy service: meta l4proto tcp dnat to 10.244.1.3:80",
            ],
        ),
        (
            "packets 5 bytes 300", "packets 7 bytes 420",
            ["# ip kube-proxy input: ct state invalid counter packets 7 bytes 420 drop: +2 packets, +120 bytes"],
        ),
        (
            "counter packets 1 bytes 60", "counter packets 4 bytes 240",
            ["# ip kube-proxy @clients: 10.0.0.7: +3 packets, +180 bytes"],
        ),
        (
            "\t\tpackets 1 bytes 60", "\t\tpackets 2 bytes 120",
            ["# ip kube-proxy: counter dropped: +1 packets, +60 bytes"],
        ),
        (
            "limit rate 10/minute accept\n\t\taccept", "accept\n\t\tlimit rate 10/minute accept",
            ["ip kube-proxy input: the rules have another order"],
        ),
        (
            "policy accept", "policy drop",
            [f"chain ip kube-proxy input: {FILTER} accept → {FILTER} drop"],
        ),
        ("timeout 3h", "timeout 1h", ["set ip kube-proxy clients: it has another type, flags, timeout or size"]),
    ],
)  # fmt: skip
def test_each_kind_of_difference(old: str, new: str, lines: list[str]) -> None:
    assert described((old, new)) == lines


def test_chains_and_tables_that_come_and_go() -> None:
    more = BEFORE.replace("\tchain service {", "\tchain endpoint {\n\t}\n\tchain service {") + "table ip6 t {\n}\n"
    before, after = nftables.parse(BEFORE), nftables.parse(more)
    new = ("table ip6 t: it is new", "chain ip kube-proxy endpoint: it is new")
    assert nftables.diff(before, after).structure == new
    assert nftables.diff(after, before).structure == tuple(one.replace("new", "gone") for one in new)


def test_one_of_two_rules_with_the_same_text_is_gone() -> None:
    twice = "table ip t {\n\tchain c {\n\t\taccept\n\t\taccept\n\t}\n}\n"
    found = nftables.diff(nftables.parse(twice), nftables.parse(twice.replace("\t\taccept\n", "", 1)))
    assert [str(one) for one in found.removed] == ["ip t c: accept"]
    assert not found.added


def test_counters_in_the_json() -> None:
    def ruleset(packets: int) -> nftables.Ruleset:
        place = {"family": "ip", "table": "t"}
        rule = {**place, "chain": "c", "expr": [{"counter": {"packets": packets, "bytes": 60 * packets}}]}
        named = {**place, "name": "n", "packets": packets, "bytes": 60 * packets}
        table, chain = {"family": "ip", "name": "t"}, {**place, "name": "c"}
        entries = [{"table": table}, {"chain": chain}, {"counter": named}, {"rule": rule}]
        return nftables.parse(json.dumps({"nftables": entries}))

    counted = nftables.diff(ruleset(1), ruleset(3)).counters
    assert [(type(one.counted).__name__, one.packets, one.bytes) for one in counted] == [
        ("PlacedRule", 2, 120), ("PlacedCounter", 2, 120),
    ]  # fmt: skip
