from __future__ import annotations

from pathlib import Path

import pytest

from kanslib import iptables
from kanslib.exceptions import DumpError, PacketError
from kanslib.iptables import Packet
from kanslib.iptables.names import PORTS, PROTOCOLS


def trace_forward(rule: str, packet: Packet) -> list[str]:
    dump = f"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD {rule}\nCOMMIT\n"
    return [way.verdict for way in iptables.parse(dump).trace(packet)]


@pytest.mark.parametrize(
    ("name", "protocol", "verdict"),
    [
        ("ipv4", "tcp", "ACCEPT"),  # Red Hat's name of 4
        ("ipv4", "4", "DROP"),
        ("ipencap", "ipv4", "DROP"),
        ("TCP", "tcp", "DROP"),
        ("icmpv6", "ipv6-icmp", "DROP"),
        ("89", "ospf", "DROP"),
    ],
)
def test_protocol_name_decides_one_way(name: str, protocol: str, verdict: str) -> None:
    packet = Packet("198.51.100.7", "203.0.113.8", protocol, in_interface="eth0")
    assert trace_forward(f"-p {name} -j DROP", packet) == [verdict]


def test_protocol_name_in_no_table_refused_with_line() -> None:
    with pytest.raises(DumpError, match=r"line 5, column 12: expected a protocol.*IANA"):
        trace_forward("-p warp -j DROP", Packet(None, None))


@pytest.mark.parametrize(("rule", "verdict"), [("--dport https", "DROP"), ("--dport http:https", "DROP")])
def test_port_name_resolved(rule: str, verdict: str) -> None:
    packet = Packet("198.51.100.7", "203.0.113.8", dport=443, in_interface="eth0")
    assert trace_forward(f"-p tcp -m tcp {rule} -j DROP", packet) == [verdict]


@pytest.mark.parametrize(
    "fields",
    [{"tcp_flags": "SYN,FOO"}, {"icmp_type": "nosuch"}, {"ttl": 256}, {"dscp": 64}, {"mark": 1 << 32}, {"uid": -1}],
)
def test_packet_wrong_value_refused(fields: dict[str, object]) -> None:
    with pytest.raises(PacketError, match=next(iter(fields))):
        Packet("198.51.100.7", "203.0.113.8", **fields)  # type: ignore[arg-type]


def test_names_agree_with_this_machine() -> None:
    """/etc/protocols and /etc/services are the tables that this machine's iptables reads."""
    protocols, ports = Path("/etc/protocols"), Path("/etc/services")
    if not (protocols.exists() and ports.exists()):
        pytest.skip("no /etc/protocols and /etc/services (Debian: apt-get install netbase)")
    for line in protocols.read_text().splitlines():
        name, number, *aliases = [*line.partition("#")[0].split(), "", ""]
        if name and int(number) < 256:
            assert {PROTOCOLS[text.lower()] for text in (name, *aliases) if text} == {int(number)}
    known: dict[str, set[int]] = {}
    for line in ports.read_text().splitlines():
        name, place, *aliases = [*line.partition("#")[0].split(), "", ""]
        for text in (name, *aliases):
            known.setdefault(text, set()).add(int(place.partition("/")[0] or 0))
    assert all(port in known[name] for name, port in PORTS.items() if name in known)


@pytest.mark.parametrize(
    ("match", "verdicts"),
    [
        ("-p icmp -m icmp --icmp-type 255/0:255", {"DROP"}),  # as iptables-nft-save prints `any`
        ("-p icmp -m icmp --icmp-type 3/1:4", {"DROP"}),
        ("-p icmp -m icmp --icmp-type 3/5:15", {"ACCEPT"}),
        ("-p icmp -m realm --realm 0x1/0x2a", {"ACCEPT", "DROP"}),
        ("-p icmp -m cpu --cpu 4294967295", {"ACCEPT", "DROP"}),
        ("-p icmp -m mac --mac-source XX:XX:XX:XX:XX:XX", {"ACCEPT", "DROP"}),  # masked before it was published
    ],
)
def test_values_that_iptables_prints(match: str, verdicts: set[str]) -> None:
    packet = Packet("198.51.100.7", "203.0.113.8", "icmp", in_interface="eth0", icmp_type="3/4")
    assert {*trace_forward(f"{match} -j DROP", packet)} == verdicts


@pytest.mark.parametrize(
    ("to", "port"), [("203.0.113.8:ftp-data", 20), ("203.0.113.8:https", 443), (":http", 80), ("203.0.113.8:7-7", 7)]
)
def test_port_name_of_translation(to: str, port: int) -> None:
    dump = f"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j DNAT --to-destination {to}\nCOMMIT\n"
    (way,) = iptables.parse(dump).trace(Packet("198.51.100.7", "192.0.2.50", dport=8000, in_interface="eth0"))
    assert way.packet.dport == port
