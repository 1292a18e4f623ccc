"""docs/iptables-extensions.md has every match and target, and says what a trace does with its example."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kanslib import iptables
from kanslib.iptables import Outcome, Packet
from kanslib.iptables.dump import BUILT_IN
from kanslib.iptables.syntax import MATCHES, TARGETS
from tests.kernel.machine import UNSHARE, needs_kernel

from .rulesets import ROUTING

PAGE = Path(__file__).parents[2] / "docs" / "iptables-extensions.md"
ROW = re.compile(r"^\| ([A-Za-z0-9]+) \| `(.+)` \| (modelled|asked|no effect) \|", re.MULTILINE)
SIX = {"hl", "HL", "SNPT", "DNPT", "dst", "eui64", "frag", "hbh", "icmp6", "ipv6header", "mh", "rt", "srh"}


@dataclass(frozen=True)
class Row:
    """A row of the page: an extension, the words of a rule, and what a trace does with it."""

    name: str
    example: str
    treatment: str

    @property
    def table(self) -> str:
        """The table of the rule: that of a match is filter, or mangle in PREROUTING."""
        first = self.example.partition(" ")[0]
        return first if first in BUILT_IN else "mangle" if first == "PREROUTING" else "filter"

    @property
    def rule(self) -> str:
        """The words from the chain on."""
        return self.example.removeprefix(self.table + " ")

    def dump(self, *more: str) -> str:
        chains = "".join(f":{name} ACCEPT [0:0]\n" for name in BUILT_IN[self.table])
        return f"*{self.table}\n{chains}{''.join(f'-A {rule}{chr(10)}' for rule in (*more, self.rule))}COMMIT\n"

    def packet(self) -> Packet:
        """A packet of which everything is known that a packet can say, of the protocol that the rule wants."""
        found = re.search(r"-p (\S+)", self.rule)
        protocol = found[1] if found else "udp"
        dst = "10.0.0.1" if self.rule.startswith("INPUT") else "192.0.2.50"
        packet = Packet(
            "10.0.0.7", dst, protocol, 10000, 53, "eth0", tcp_flags="SYN", icmp_type="8", length=60, ttl=64, dscp=0,
            source_mac="02:00:00:00:00:63", physdev_in="", physdev_out="",
        )  # fmt: skip
        if self.rule.startswith("OUTPUT"):
            return replace(packet, src="10.0.1.1", in_interface=None, uid=0, gid=0)
        return replace(packet, src="2001:db8:1::7", dst="2001:db8:1::8") if self.name in SIX else packet

    def ways(self, text: str) -> list[Outcome]:
        return iptables.parse(text).trace(self.packet(), None if self.name in SIX else ROUTING)


ROWS = [Row(*found) for found in ROW.findall(PAGE.read_text())]


def test_extensions_page_has_every_match_and_target() -> None:
    names = [row.name for row in ROWS]
    assert len({*names}) == len(names)
    assert {*names} == {*MATCHES, *TARGETS}


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_extension_treated_as_page_says(row: Row) -> None:
    target = "" if row.name in TARGETS else " -j DROP" if row.table != "nat" else " -j ACCEPT"
    rules = row.dump().replace(row.rule, row.rule + target)
    assert iptables.parse(rules).unknown == ()
    found = row.ways(rules)
    asked = [one for way in found for case in way.cases for one in case if one.subject.name != "type"]
    assert bool(asked) == (row.treatment == "asked"), asked
    if row.treatment == "no effect":
        (way,) = found
        assert (way.verdict, way.packet.mark, way.packet.dst) == ("ACCEPT", 0, row.packet().dst)
        assert way.steps[0].effect, "it says what happens besides"


@pytest.mark.kernel
def test_extensions_are_those_of_iptables() -> None:
    """Each library of iptables is a row; `standard` has the verdicts and `NAT` is a part of others."""
    needs_kernel()
    files = [path for folder in Path("/usr/lib").glob("*/xtables") for path in folder.iterdir()]
    found = {re.sub(r"^lib(xt|ipt|ip6t)_|\.so$", "", path.name) for path in files if "ebt" not in path.name}
    assert len(found) > 90
    assert found - {"standard", "NAT", "libarpt_mangle"} <= {row.name for row in ROWS}


@pytest.mark.kernel
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_example_of_extension_is_read_by_iptables(row: Row) -> None:
    """What iptables-restore takes is what the page shows; `ULOG`, `CLUSTERIP` and others are gone from kernels."""
    needs_kernel()
    command = "ip6tables-legacy-restore" if row.name in SIX else "iptables-legacy-restore"
    ran = subprocess.run([*UNSHARE, command, "--test"], input=row.dump(), capture_output=True, text=True, check=False)
    refused = re.search(r"unknown option|Bad argument|invalid|must be|Unknown arg", ran.stderr)
    assert not refused, ran.stderr
