"""Compare traces with the kernel for rulesets of nftables in files: firewalld's, Docker's, your own.

    python bench/kernel_files.py FILE…

Each ruleset is loaded in a namespace with two interfaces, eth0 and eth1, and gets packets from outside and from the
machine itself. Packets of which a trace asks something are left out. Prints every difference, and what was done.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from kanslib import nftables
from kanslib.exceptions import KanslibError
from kanslib.iptables import Outcome, Packet
from tests.iptables.rulesets import HERE, PORTS, ROUTING, SOURCES, THERE
from tests.kernel.machine import Machine, fits, machine

EACH = 6  # packets of a kind
_COMING = Packet(
    SOURCES[0], HERE[0], "udp", 10000, 53, "eth0", ttl=64, length=28, dscp=0, source_mac="02:00:00:00:00:63",
    physdev_in="", physdev_out="",
)  # fmt: skip
_SENT = Packet(HERE[0], THERE[0], "udp", 10000, 53, ttl=64, length=28, dscp=0, uid=0, gid=0, physdev_out="")


def packets() -> Iterator[Packet]:
    """Yield packets to this machine, through it and from it, by UDP and TCP."""
    for dst in (HERE[0], THERE[0], THERE[2]):
        for one in (_COMING, _SENT):
            for port in (*PORTS, 5353):
                yield replace(one, dst=dst, dport=port)
            for port in (22, 80, 443, 8080):
                yield replace(one, dst=dst, dport=port, protocol="tcp", tcp_flags="SYN", length=40)


def compare(made: Machine, packet: Packet, outcomes: Sequence[Outcome]) -> str:
    """Send a packet some times, and return what differs; empty where nothing does."""
    answers = any(way.hook == "INPUT" or way.verdict == "REJECT" for way in outcomes)
    wanted: dict[object, Fraction] = defaultdict(Fraction)
    for way in outcomes:
        if way.verdict == "ACCEPT" and way.hook == "POSTROUTING":
            wanted[way.packet.out_interface, way.packet.src, way.packet.dst, way.packet.dport] += way.probability
    seen = made.send(packet, EACH)
    if answers:  # what the machine answers leaves it, too
        seen = {key: number for key, number in seen.items() if key in wanted or key[2] == packet.dst}
    counted: dict[object, int] = {key: number for key, number in seen.items()}  # noqa: C416 (its keys are any object)
    if set(counted) <= set(wanted) and all(fits(counted.get(key, 0), EACH, share) for key, share in wanted.items()):
        return ""
    return f"seen {seen}, wanted {dict(wanted)}"


def check(made: Machine, file: str, done: Counter[str]) -> None:
    """Compare one file."""
    try:
        made.load_nftables(Path(file).read_text(errors="replace"))
        ruleset = nftables.parse(made.list_nftables())
    except (RuntimeError, KanslibError) as error:
        done["rulesets that nft or kanslib refuses"] += 1
        print(f"{file}: {error}")
        return
    done["rulesets"] += 1
    for packet in packets():
        try:
            outcomes = ruleset.trace(packet, ROUTING)
        except KanslibError:
            done["packets that are refused"] += 1
            continue
        if any(way.assumes for way in outcomes):
            done["packets of which a trace asks"] += 1
            continue
        done["kinds of packets"] += 1
        if difference := compare(made, packet, outcomes):
            done["different"] += 1
            print(f"{file}: {packet}/{packet.protocol}: {difference}", flush=True)


def main(files: Sequence[str]) -> int:
    """Compare all files, and return how many kinds of packets differ."""
    done: Counter[str] = Counter()
    with machine(ROUTING) as made:
        made.listen(PORTS)
        for file in files:
            check(made, file, done)
    print(", ".join(f"{number:,} {what}" for what, number in done.items()))
    return done["different"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
