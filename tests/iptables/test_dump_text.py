"""Dumps as people have them: encoded by PowerShell, copied from a terminal, with a prompt and kubectl's words."""

from __future__ import annotations

import re
import textwrap

import pytest

from kanslib import iptables
from kanslib.exceptions import DumpError
from kanslib.iptables import Packet
from kanslib.iptables.dump_text import decode
from tests.iptables.kube_dump import kube_dump, vip

DUMP = kube_dump(3)
TO_VIP = Packet("172.18.0.100", vip(1), dport=80, in_interface="eth0")


def rules(text: str | bytes) -> list[str]:
    return [rule.text for rule in iptables.parse(text).rules()]


@pytest.mark.parametrize(
    "data",
    [
        DUMP.encode("utf-8-sig"),
        DUMP.encode("utf-16"),
        DUMP.encode("utf-16-le"),
        DUMP.encode("utf-16-be"),
        b"\xfe\xff" + DUMP.encode("utf-16-be"),
        DUMP.replace("\n", "\r\n").encode("utf-16"),
    ],
)
def test_decode_every_encoding(data: bytes) -> None:
    assert decode(data).replace("\r", "") == DUMP
    assert rules(data) == rules(DUMP)


def test_decode_other_bytes_kept() -> None:
    data = b'*nat\n:X - [0:0]\n-A X -m comment --comment "caf\xe9" -j ACCEPT\nCOMMIT\n'
    assert iptables.parse(data).save().encode(errors="surrogateescape") == data


def test_parse_byte_order_mark_in_text() -> None:
    assert rules("\ufeff" + DUMP) == rules(DUMP)
    assert rules("\ufeff*nat\n:X - [0:0]\n-A X -j ACCEPT\nCOMMIT\n") == ["-A X -j ACCEPT"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("root@node1:~# iptables-save\n", "root@node1:~#\n"),
        ("[ops@node1 ~]$ sudo iptables-save -c\n[sudo] password for ops: \n", "[ops@node1 ~]$ exit\nlogout\n"),
        ('Defaulted container "kube-proxy" out of: kube-proxy, init (init)\n', ""),
        (
            (
                "Creating debugging pod node-debugger-node1-x7k2p with container debugger on node node1.\n"
                "If you don't see a command prompt, try pressing enter.\n"
            ),
            "command terminated with exit code 1\n",
        ),
        ("```\n", "```\n"),
    ],
)
def test_parse_text_around_dump_passed_over(before: str, after: str) -> None:
    text = before + DUMP + after
    ruleset = iptables.parse(text)
    assert [rule.text for rule in ruleset.rules()] == rules(DUMP)
    assert ruleset.save() == text
    first = next(iter(ruleset.rules()))
    assert text.split("\n")[first.line - 1] == first.raw


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Chain INPUT (policy ACCEPT)\ntarget prot opt source destination\n", "line 1.*looks like `iptables -L`"),
        ("table ip nat {\n\tchain PREROUTING {\n\t}\n}\n", "line 1.*looks like `nft list ruleset`"),
        ("-P INPUT ACCEPT\n-A INPUT -j DROP\n", "line 1.*looks like `iptables -S`"),
        ("-A KUBE-SVC-X -j KUBE-SEP-X\nCOMMIT\n*filter\nCOMMIT\n", "line 1"),
        (":PREROUTING ACCEPT [0:0]\nCOMMIT\n", "line 1.*the beginning of the dump is cut off"),
        ("apiVersion: v1\nkind: Service\n", "line 1.*a table first"),
        ("error: unable to upgrade connection: container not found\n", "line 1.*a table first"),
    ],
)
def test_parse_other_text_refused(text: str, words: str) -> None:
    with pytest.raises(DumpError, match=words):
        iptables.parse(text)


def test_parse_binary_refused_printable() -> None:
    with pytest.raises(DumpError) as caught:
        iptables.parse(b"\x1f\x8b\x08\0\x1b[31m\x07" + bytes(range(256)) * 20)
    assert all(sign.isprintable() or sign == "\n" for sign in str(caught.value))
    assert len(str(caught.value)) < 400


def terminal(text: str, width: int, keeps_blanks: bool = True) -> str:
    """The text as it is copied from a terminal of this width."""
    pieces = [line[at : at + width] for line in text.split("\n") for at in range(0, len(line) or 1, width)]
    return "\n".join(piece if keeps_blanks else piece.rstrip() for piece in pieces)


@pytest.mark.parametrize("width", [60, 80, 100, 132])
@pytest.mark.parametrize("keeps_blanks", [True, False])
def test_parse_dump_wrapped_by_terminal(width: int, keeps_blanks: bool) -> None:
    text = terminal(DUMP, width, keeps_blanks)
    ruleset = iptables.parse(text)
    assert [rule.text for rule in ruleset.rules()] == rules(DUMP)
    assert ruleset.trace(TO_VIP)[0].packet == iptables.parse(DUMP).trace(TO_VIP)[0].packet
    lines = text.split("\n")
    assert all(rule.raw.startswith(lines[rule.line - 1]) for rule in ruleset.rules())
    assert iptables.parse(ruleset.save()).save() == ruleset.save()


def test_parse_dump_wrapped_by_editor() -> None:
    wrapped = "\n".join(
        line
        for long in DUMP.split("\n")
        for line in textwrap.wrap(long, 90, break_long_words=False, break_on_hyphens=False) or [""]
    )
    assert rules(wrapped) == [re.sub(" +", " ", rule) for rule in rules(DUMP)]


def test_parse_line_that_nothing_wrapped_refused() -> None:
    text = DUMP.replace(" -j KUBE-SERVICES", "\n-j KUBE-SERVICES", 1)
    with pytest.raises(DumpError, match="expected a rule"):
        iptables.parse(text)


FOUR = (
    "# Generated by iptables-save v1.8.9 on Mon\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1 -j DROP\nCOMMIT\n"
)
SIX = FOUR.replace("iptables-save", "ip6tables-save").replace("192.0.2.1", "2001:db8::1")


def test_parse_dumps_both_families() -> None:
    four, six = iptables.parse_dumps(FOUR + SIX)
    assert (four.family, six.family) == (4, 6)
    assert four.save() + "\n" + six.save() == FOUR + SIX
    (rule,) = six.rules()
    assert (rule.line, rule.text) == (9, "-A INPUT -s 2001:db8::1 -j DROP")


def test_parse_dumps_other_tables_of_other_family() -> None:
    """Nothing comes twice: only the comments tell the dumps apart."""
    four, six = iptables.parse_dumps(FOUR + SIX.replace("*filter", "*mangle"))
    assert ([*four.tables], [*six.tables]) == (["filter"], ["mangle"])


def test_parse_second_dump_refused_with_line() -> None:
    with pytest.raises(DumpError, match=r"line 6.*'filter' of a second dump begins here \(iptables.parse_dumps"):
        iptables.parse(FOUR + SIX)
    with pytest.raises(DumpError, match=r"line 9, column 33: expected one target"):
        iptables.parse_dumps(FOUR + SIX.replace("-j DROP", "-j DROP -j ACCEPT"))
