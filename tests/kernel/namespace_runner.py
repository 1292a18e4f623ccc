"""A machine in a network namespace of its own: interfaces, addresses, routes, rules, and packets that are sent to it.

Runs as `unshare -Urn python inside.py` and takes one JSON command a line. Each interface is one end of a veth pair.
Frames are put in at the other end and caught there when they leave; nothing else is connected to anything.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from pyroute2 import IPSet
from pyroute2.ipset import PortEntry

OUTGOING = 4  # linux/if_packet.h
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58}
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
SETTINGS = {
    "net/ipv4/ip_forward": 1, "net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/all/accept_local": 1, "net/ipv4/conf/all/route_localnet": 1, "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/default/send_redirects": 0, "net/ipv6/conf/all/disable_ipv6": 1,
    "net/ipv6/conf/default/disable_ipv6": 1, "net/ipv4/icmp_echo_ignore_all": 1,
    "net/ipv4/icmp_msgs_per_sec": 0, "net/ipv4/icmp_msgs_burst": 0,  # no answer when a TTL is used up
}  # fmt: skip
# for machines with IPv6 addresses: nothing is sent that no test has sent
SETTINGS_OF_IPV6 = {
    "net/ipv6/conf/all/disable_ipv6": 0, "net/ipv6/conf/default/disable_ipv6": 0, "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/default/accept_dad": 0, "net/ipv6/conf/default/addr_gen_mode": 1,
    "net/ipv6/conf/default/router_solicitations": 0, "net/ipv6/icmp/ratelimit": 1_000_000,
}  # fmt: skip
IPV4, IPV6 = 0x0800, 0x86DD  # linux/if_ether.h


def ran(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Machine:
    def __init__(self) -> None:
        self.far: dict[str, socket.socket] = {}
        self.mac: dict[str, bytes] = {}
        self.sport = 10000
        self.made_sets: set[str] = set()
        self.listening: list[socket.socket] = []
        for name, value in SETTINGS.items():
            Path("/proc/sys", name).write_text(str(value))

    def interfaces(self, addresses: list[list[Any]], routes: list[list[str]]) -> None:
        """`addresses`: [interface, address, prefix]; `routes`: [range, gateway or "", interface]."""
        if any(":" in address for _, address, _ in addresses):
            for name, value in SETTINGS_OF_IPV6.items():
                Path("/proc/sys", name).write_text(str(value))
        names = list(dict.fromkeys(name for name, _, _ in addresses if name != "lo"))
        batch = ["link set lo up"]
        for number, name in enumerate(names):
            batch += [f"link add {name} type veth peer name far{number}", f"link set far{number} up"]
            batch += [f"link set {name} arp off up"]  # no neighbor has to be asked for: frames leave at once
        batch += [
            f"addr add {address}/{prefix} dev {name}" for name, address, prefix in addresses if address != "127.0.0.1"
        ]
        near = [f"route replace {to} dev {dev}" for to, gateway, dev in routes if not gateway]
        batch += near + [f"route replace {to} via {gateway} dev {dev} onlink" for to, gateway, dev in routes if gateway]
        ran("ip", "-batch", "-", text="\n".join(batch))
        macs = {link["ifname"]: link["address"] for link in json.loads(ran("ip", "-j", "link"))}
        for number, name in enumerate(names):
            far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # every protocol
            far.bind((f"far{number}", 0))
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
            far.setblocking(False)
            self.far[name] = far
            self.mac[name] = bytes.fromhex(macs[name].replace(":", ""))
        self.raw = {
            family: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
            for family in (socket.AF_INET, socket.AF_INET6)
        }

    def listen(self, ports: list[int]) -> None:
        """Take UDP packets silently: no ICMP error goes back."""
        self.listening.clear()
        for family in (socket.AF_INET, socket.AF_INET6):
            for port in ports:
                taken = socket.socket(family, socket.SOCK_DGRAM)
                if family == socket.AF_INET6:
                    taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                taken.bind(("", port))
                self.listening.append(taken)

    def accounts(self, names: list[str]) -> None:
        for name in names:
            ran("nfacct", "add", name)

    def sets(self, contents: dict[str, list[Any]]) -> None:
        """Give each ipset just these entries: name → [type, entries]."""
        with IPSet() as ipset:
            for name, (kind, entries) in contents.items():
                if name not in self.made_sets:
                    ipset.create(name, stype=kind)
                    self.made_sets.add(name)
                ipset.flush(name)
                for entry in entries:
                    address, comma, port = entry.partition(",")
                    udp = PortEntry(int(port.removeprefix("udp:") or 0), protocol=socket.IPPROTO_UDP)
                    ipset.add(name, (address, udp) if comma else address, etype=kind.partition(":")[2])

    def ip(self, commands: list[str]) -> None:
        """Do commands of ip, such as `rule add fwmark 0x200 lookup 100`."""
        ran("ip", "-batch", "-", text="\n".join(commands))

    def listen_transparently(self, port: int) -> None:
        """Open a UDP socket that takes packets to any address (IP_TRANSPARENT, linux/in.h)."""
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.setsockopt(socket.SOL_IP, 19, 1)
        taken.bind(("", port))
        self.listening.append(taken)

    def load(self, dump: str, flavour: str) -> None:
        tool = "ip6tables" if dump.startswith("# Generated by ip6tables-save") else "iptables"
        ran(f"{tool}-{flavour}-restore", text=dump)
        forget_connections()

    def save(self, flavour: str) -> str:
        return ran(f"iptables-{flavour}-save", "-c")

    def load_nftables(self, script: str) -> None:
        """Replace the ruleset by the one of a script."""
        ran("nft", "-f", "-", text=f"flush ruleset\n{script}")
        forget_connections()

    def add_nftables(self, script: str) -> None:
        """Add the tables of a script to the ruleset."""
        ran("nft", "-f", "-", text=script)
        forget_connections()

    def list_nftables(self) -> str:
        return ran("nft", "-a", "list", "ruleset")

    def list_nftables_as_json(self) -> str:
        return ran("nft", "-a", "-j", "list", "ruleset")

    def send(self, packet: dict[str, Any], sources: list[str], count: int) -> list[list[Any]]:
        """Send `count` first packets of connections; what left: [interface, src, dst, dport, how many]."""
        seen: Counter[tuple[str, str, str, int]] = Counter()
        self._catch(Counter())
        for number in range(count):
            self.sport = 10000 + (self.sport - 9999) % 50000
            data = ip_packet(packet, sources[number % len(sources)], self.sport)
            if packet["in_interface"] is None:
                family = socket.AF_INET6 if ":" in packet["dst"] else socket.AF_INET
                with suppress(PermissionError):  # an OUTPUT rule dropped it
                    self.raw[family].sendto(data, (packet["dst"], 0))
            else:
                name = packet["in_interface"]
                kind = struct.pack("!H", IPV6 if ":" in packet["dst"] else IPV4)
                self.far[name].send(self.mac[name] + b"\x02\0\0\0\0\x63" + kind + data)
            if number % 32 == 31:
                self._catch(seen)
        self._catch(seen)
        return [[*key, number] for key, number in seen.items()]

    def send_from_socket(self, kind: str, source: str | None, dst: str, dport: int) -> list[list[Any]]:
        """Send one packet as programs do: `kind` is connect (TCP), sendto or connected (UDP); see `send`."""
        seen: Counter[tuple[str, str, str, int]] = Counter()
        self._catch(Counter())
        stream = socket.SOCK_STREAM if kind == "connect" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, stream) as sender, suppress(BlockingIOError, PermissionError):
            sender.setblocking(False)
            if source:
                sender.bind((source, 0))
            if kind != "sendto":
                sender.connect((dst, dport))
            if kind != "connect":
                sender.sendto(b"", (dst, dport)) if kind == "sendto" else sender.send(b"")
        self._catch(seen)
        return [[*key, number] for key, number in seen.items()]

    def _catch(self, seen: Counter[tuple[str, str, str, int]]) -> None:
        for name, far in self.far.items():
            while True:
                try:
                    data, where = far.recvfrom(2048)
                except BlockingIOError:
                    break
                if where[2] == OUTGOING:
                    continue
                if (left := departure(data)) is not None:
                    seen[name, *left] += 1


def departure(frame: bytes) -> tuple[str, str, int] | None:
    """Return source, destination and destination port; None for what IPv6 sends of its own accord."""
    (kind,), packet = struct.unpack_from("!H", frame, 12), frame[14:]
    if kind == IPV4:
        protocol, at = packet[9], (packet[0] & 15) * 4
        ends = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
    elif kind == IPV6 and packet[6] in (6, 17, 58):
        protocol, at = packet[6], 40
        ends = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
        if protocol == 58 and 133 <= packet[40] <= 137:  # neighbors and routers look for each other (RFC 4861)
            return None
    else:
        return None
    return *ends, struct.unpack_from("!H", packet, at + 2)[0] if protocol in (6, 17) else 0


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(packet: dict[str, Any], source: str, sport: int) -> bytes:
    is_six = ":" in packet["dst"]
    kind = IPv6Address if is_six else IPv4Address
    src, dst = kind(source).packed, kind(packet["dst"]).packed
    protocol = PROTOCOLS[packet["protocol"]]
    dport = packet.get("dport") or 0
    if protocol == 6:
        flags = sum(FLAGS[name] for name in (packet.get("tcp_flags") or "SYN").split(","))
        body = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 5 << 4, flags, 64240, 0, 0)
    elif protocol == 17:
        body = struct.pack("!HHHH", sport, dport, 8, 0)
    else:
        body = struct.pack("!BBHHH", int(packet.get("icmp_type") or (128 if is_six else 8)), 0, 0, sport, 1)
    pseudo = b"" if protocol == 1 else src + dst + struct.pack("!BBH", 0, protocol, len(body))
    at = {6: 16, 17: 6, 1: 2, 58: 2}[protocol]
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
    if is_six:
        return struct.pack("!IHBB16s16s", 6 << 28, len(body), protocol, packet.get("ttl") or 64, src, dst) + body
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, packet.get("ttl") or 64, protocol, 0, src, dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def forget_connections() -> None:
    """Empty conntrack's table: a delete without a name (linux/netfilter/nfnetlink_conntrack.h)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.send(struct.pack("=IHHII", 20, 1 << 8 | 2, 5, 1, 0) + b"\0\0\0\0")
        netlink.recv(4096)


def main() -> None:
    os.environ["XTABLES_LOCKFILE"] = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"xtables.{os.getpid()}.lock")
    machine = Machine()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer: Any = {"ok": getattr(machine, name)(*arguments)}
        except Exception as exc:  # noqa: BLE001 (told to the test, which knows what it asked)
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
