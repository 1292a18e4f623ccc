"""docs/nftables-statements.md has every field and statement, and says what a trace does with its examples."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kanslib import nftables
from kanslib.iptables import Outcome, Packet
from kanslib.iptables.names import PROTOCOLS
from kanslib.nftables.names import HEADER_FIELDS, META_KEYS, OPTION_HEADERS
from tests.iptables.rulesets import ROUTING
from tests.kernel.machine import UNSHARE, needs_kernel

PAGE = Path(__file__).parents[2] / "docs" / "nftables-statements.md"
ROW = re.compile(r"^\| ([a-z][^|]*?) \| (`.+?`) \| (modelled|asked|no effect) \|", re.MULTILINE)
OF_IPV6 = {"ip6", "icmpv6", "exthdr", "frag", "hbh", "dst", "mh", "srh"}
NAMES = {"icmpv6": "ipv6-icmp", "comp": "ipcomp"}
HOOKS = {
    "dnat": "type nat hook prerouting priority dstnat", "redirect": "type nat hook prerouting priority dstnat",
    "snat": "type nat hook postrouting priority srcnat", "masquerade": "type nat hook postrouting priority srcnat",
    "tproxy": "type filter hook prerouting priority mangle", "notrack": "type filter hook prerouting priority raw",
    "socket": "type filter hook prerouting priority mangle", "meta skuid": "type filter hook output priority filter",
    "meta skgid": "type filter hook output priority filter",
}  # fmt: skip
FORWARD = "type filter hook forward priority filter"
# what the examples name: sets, objects, another chain
BESIDE = """\tset seen {
\t\ttype ipv4_addr
\t\tsize 65535
\t\tflags dynamic,timeout
\t}
\tcounter c {
\t}
\tquota q {
\t\tover 25 mbytes
\t}
\tlimit l {
\t\trate 5/minute
\t}
\tct helper h {
\t\ttype "ftp" protocol tcp
\t\tl3proto inet
\t}
\tct timeout t {
\t\tprotocol tcp
\t\tl3proto ip
\t\tpolicy = { close : 1 }
\t}
\tchain other {
\t}
"""
NOT_LOADED = (  # this kernel or nft 1.0.6 lacks it, or the table has to be of another family
    "flow", "vlan", "dup", "queue", "gre", "ah nexthdr", "comp nexthdr", "icmpv6 param", "icmpv6 packet",
    "icmpv6 taddr",
    "icmpv6 daddr", "meta ibr", "meta obr", "meta broute", "meta sdifname", "dccp option", "tunnel", "osf",
    "last", "ct event", "ct secmark", "socket cgroupv2", "meta secpath",
)  # fmt: skip


# what ends its rule, or acts
ENDING = re.compile(
    r"(^| )(accept|drop|return|continue|jump|goto|reject|queue|[ds]nat|redirect|masquerade|tproxy|dup|notrack)\b"
)


@dataclass(frozen=True)
class Example:
    """A statement of the page, and what a trace does with it."""

    text: str
    treatment: str

    @property
    def ruleset(self) -> str:
        """A table with the statement, behind which the packet is dropped."""
        hook = next((hook for start, hook in HOOKS.items() if start in self.text), FORWARD)
        is_last = ENDING.search(self.text) or " vmap " in self.text or self.treatment == "no effect"
        rule = self.text if is_last else f"{self.text} drop"
        return f"table inet t {{\n{BESIDE}\tchain c {{\n\t\t{hook}; policy accept;\n\t\t{rule}\n\t}}\n}}\n"

    def packet(self) -> Packet:
        """A packet of which everything is known that a packet can say, with the header that the example wants."""
        first = self.text.split()[0]
        wanted = {"th": "udp", "synproxy": "tcp"}.get(first, NAMES.get(first, first))
        protocol = wanted if wanted in PROTOCOLS and first not in ("ip", "ip6") else "udp"
        sport, dport = (10000, 53) if protocol in ("tcp", "udp", "udplite", "sctp", "dccp") else (None, None)
        packet = Packet(
            "10.0.0.7", "192.0.2.50", protocol, sport, dport, "eth0", tcp_flags="SYN", icmp_type="8", length=60, ttl=64,
            dscp=0, source_mac="02:00:00:00:00:63",
        )  # fmt: skip
        if "hook output" in self.ruleset:
            return replace(packet, src="10.0.1.1", in_interface=None, uid=0, gid=0)
        return replace(packet, src="2001:db8:1::7", dst="2001:db8:1::8") if first in OF_IPV6 else packet

    def ways(self) -> list[Outcome]:
        packet = self.packet()
        return nftables.parse(self.ruleset).trace(packet, ROUTING if packet.family == 4 else None)


ROWS = [
    (name, re.findall(r"`(.+?)`", examples), treatment) for name, examples, treatment in ROW.findall(PAGE.read_text())
]
EXAMPLES = [Example(text, treatment) for _, texts, treatment in ROWS for text in texts]


def test_page_has_every_field_of_every_header() -> None:
    shown = {example.text for example in EXAMPLES}
    for header, fields in HEADER_FIELDS.items():
        if header in ("arp", "vxlan", "geneve"):  # arp: kept; tunnels: what is in them, is asked
            continue
        missing = [field for field in fields if not any(text.startswith(f"{header} {field} ") for text in shown)]
        assert header == "udplite" or not missing, header
    assert {*OPTION_HEADERS} - {"rt0", "rt2"} <= {text.split()[0] for text in shown}
    keys = {word for text in shown for word in text.split()[:2]}
    assert keys >= META_KEYS


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.text for one in EXAMPLES])
def test_example_is_treated_as_the_page_says(example: Example) -> None:
    ruleset = nftables.parse(example.ruleset)
    assert ruleset.unknown == ()
    assert ruleset.save() == example.ruleset
    asked = [one for way in example.ways() for case in way.cases for one in case if one.subject.name != "type"]
    assert bool(asked) == (example.treatment == "asked"), asked
    if example.treatment == "no effect":
        (way,) = example.ways()
        assert (way.verdict, way.packet.mark, way.packet.dst) == ("ACCEPT", 0, example.packet().dst)


@pytest.mark.kernel
@pytest.mark.parametrize("example", EXAMPLES, ids=[one.text for one in EXAMPLES])
def test_example_is_read_by_nft(example: Example) -> None:
    needs_kernel()
    if example.text.startswith(NOT_LOADED):
        assert nftables.parse(example.ruleset).unknown == ()
        return
    ran = subprocess.run(
        [*UNSHARE, "sh", "-c", "ip link add eth0 type veth peer name eth1 2>/dev/null; nft -c -f -"],
        input=example.ruleset, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
