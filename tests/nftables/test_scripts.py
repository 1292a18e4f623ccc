"""Scripts for `nft -f`: what people write is read where it is a listing, and else refused with the next step."""

from __future__ import annotations

import pytest

from kanslib import nftables
from kanslib.exceptions import DumpError

HOOK = "type filter hook input priority filter; policy drop;"
NEXT_STEP = "This is a script for `nft -f`, not a listing. `unshare -rn sh -c 'nft -f FILE; nft list ruleset'`"


def table(*lines: str, head: str = "table inet filter {") -> str:
    return "\n".join([head, "\tchain input {", *(f"\t\t{line}" for line in lines), "\t}", "}", ""])


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("#!/usr/sbin/nft -f\n\nflush ruleset\n\n" + table(HOOK), 3, 1),
        ("define lan = 10.0.0.0/24\n" + table(HOOK, "ip saddr $lan accept"), 1, 1),
        (table(HOOK, "ip saddr $lan accept"), 4, 12),
        ('include "/etc/nftables.d/*.nft"\n' + table(HOOK), 1, 1),
        ("add table ip t\nadd chain ip t c { type filter hook input priority 0; }\nadd rule ip t c accept\n", 1, 1),
        ("table ip t\nflush table ip t\n" + table(HOOK), 1, 1),
        ("table ip t { chain c { type filter hook input priority 0; accept; } }\n", 1, 1),
        (table(HOOK, head="table filter {"), 1, 1),
        (table("type filter hook input priority 0", "policy drop"), 3, 3),
        (table(f"{HOOK} tcp dport 22 accept"), 3, 3),
        (table(HOOK, "tcp dport 22 accept; tcp dport 80 drop"), 4, 22),
        (table(HOOK, "tcp dport {", "\t22, 80", "} accept"), 4, 14),
        (table(HOOK, "tcp dport 22 \\", "accept"), 4, 16),
        (table(HOOK, "tcp dport 22 accept;"), 4, 22),
        ("table inet t {\n\tset s {\n\t\ttype ipv4_addr;\n\t}\n}\n", 3, 17),
        ("table ip t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1,\n10.0.0.2 };\n\t}\n}\n", 5, 11),
        ("table inet t {\n\tset s { type ipv4_addr; elements = { 10.0.0.1 }; }\n}\n", 2, 2),
    ],
)
def test_script_is_refused_with_the_way_to_a_listing(text: str, line: int, column: int) -> None:
    with pytest.raises(DumpError) as refused:
        nftables.parse(text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert NEXT_STEP in refused.value.expected
    assert nftables.is_ruleset(text)


def test_listing_from_a_page_of_the_web_is_read() -> None:
    text = table(HOOK, "tcp dport { 22, 80 } accept", "ct state new counter packets 1 bytes 60 drop")
    pasted = text.replace("\t", "\u00a0" * 8)
    ruleset = nftables.parse(pasted)
    assert ruleset.save() == pasted
    assert not nftables.diff(nftables.parse(text), ruleset)


def test_comment_behind_elements_is_passed_over() -> None:
    text = (
        "table ip t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 }  # a printer's\n\t}\n\n"
        "\tset d {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.2,\n\t\t\t     10.0.0.3 } # two\n\t}\n}\n"
    )
    ruleset = nftables.parse(text)
    assert ruleset.save() == text
    sets = ruleset.table("ip", "t").sets
    assert [[str(one.key) for one in sets[name].elements] for name in "sd"] == [["10.0.0.1"], ["10.0.0.2", "10.0.0.3"]]


def test_file_in_the_form_of_a_listing_is_read() -> None:
    text = "#!/usr/sbin/nft -f\n" + table(
        HOOK, "iif lo accept # this machine", "tcp dport { ssh, 80 } accept", 'log prefix "a; b {" counter'
    )
    (chain,) = nftables.parse(text).table("inet", "filter").chains.values()
    assert (len(chain.rules), chain.base and chain.base.policy) == (3, "drop")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (table(HOOK) + table(HOOK), 6),
        ("table ip t {\n\tchain c {\n\t}\n\n\tchain c {\n\t}\n}\n", 5),
        ("table ip t {\n\tset c {\n\t\ttype mark\n\t}\n\n\tset c {\n\t\ttype mark\n\t}\n}\n", 6),
    ],
)
def test_same_name_twice_is_refused(text: str, line: int) -> None:
    with pytest.raises(DumpError, match="once") as refused:
        nftables.parse(text)
    assert refused.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "Operation not permitted (you must be root)\n",
        "chain c {\n\taccept\n}\n",
        "# Notes\nadd to this; then go on\n",
    ],
)
def test_other_text_is_no_script(text: str) -> None:
    with pytest.raises(DumpError) as refused:
        nftables.parse(text)
    assert NEXT_STEP not in refused.value.expected


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("root@node1:~# nft list ruleset\n", "root@node1:~# \n"), ("```\n", "```\n"), ("\ufeff", ""),
        ('Defaulted container "kube-proxy" out of: kube-proxy, init (init)\n', ""), ("$ nft list ruleset\r\n\r\n", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("has_json", [False, True])
def test_prompts_and_messages_around_a_listing_are_passed_over(before: str, behind: str, has_json: bool) -> None:
    listing = '{"nftables": [\n{"table": {"family": "ip", "name": "t", "handle": 1}}]}\n' if has_json else table(HOOK)
    text = before + listing + behind
    assert nftables.is_ruleset(text)
    found = nftables.parse(text)
    assert [one.name for one in found.tables] == ["t" if has_json else "filter"]
    assert found.save() == text
    assert nftables.parse(text.encode("utf-16")).tables == found.tables


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (table(HOOK) + "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n", 6), (table(HOOK) + "}\n", 6), ("table ip t\n", 1),
        ("netlink: Error: cache initialization failed: Operation not permitted\n" + table(HOOK), 1),
        ("\t\ttcp dport 22 accept\n\t}\n}\n" + table(HOOK), 2), ("$ nft list ruleset\n", 1),
    ],
)  # fmt: skip
def test_what_is_no_prompt_is_not_passed_over(text: str, line: int) -> None:
    with pytest.raises(DumpError) as refused:
        nftables.parse(text)
    assert refused.value.line == line


@pytest.mark.parametrize("text", ["*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j ACCEPT\nCOMMIT\n", "", "-A x\n"])
def test_dump_of_iptables_is_no_ruleset(text: str) -> None:
    assert not nftables.is_ruleset(text)


def test_indented_listing_is_read() -> None:
    text = "".join(f"    {line}\n" for line in table(HOOK, "tcp dport 22 accept").split("\n"))
    assert nftables.is_ruleset(text)
    assert nftables.parse(text).table("inet", "filter").chains["input"].rules[0].line == 4
