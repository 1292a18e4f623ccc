"""Our ARP sweep beside arp-scan, on the same range of the course's own network, in one run.

    kans up --metallb && python bench/arp_sweep.py          (root or CAP_NET_RAW; Linux, where Docker's bridge is)

Prints seconds for each and their ratio, and whether both heard the same answers; one address is held twice.
"""

from __future__ import annotations

import re
import sys
import time
from ipaddress import IPv4Address, IPv4Network

from rich.console import Console
from rich.table import Table

import kanslib
from kanslib.cluster import actions, docker, probes

RUNS = 3


def arp_scan(first: str, last: str, bridge: str) -> tuple[float, set[tuple[str, str]]]:
    """Run arp-scan on the bridge; return the seconds that it says it took, and (address, MAC) of every answer."""
    said = docker.check_output(
        docker.docker(
            "run", "--rm", "--label", docker.OWNED, "--network", "host", "--cap-add", "NET_RAW", docker.CLIENT_IMAGE,
            "arp-scan", f"--interface={bridge}", f"{first}-{last}",
        )
    )  # fmt: skip
    seconds = float(re.search(r"scanned in ([\d.]+) seconds", said)[1])  # type: ignore[index]
    return seconds, set(re.findall(r"(?m)^([\d.]+)\t((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\t", said))


def sweep(first: str, last: str, bridge: str) -> tuple[float, set[tuple[str, str]]]:
    """Run our sweep, with scapy; return its seconds and its answers."""
    addresses = [str(IPv4Address(number)) for number in range(int(IPv4Address(first)), int(IPv4Address(last)) + 1)]
    began = time.perf_counter()
    found = probes.arp_sweep(addresses, bridge)
    return time.perf_counter() - began, set(found)


def main() -> int:
    """Sweep ranges of three sizes with both; return 1 when they heard different answers."""
    kanslib.open_lab(story="arp", backend="live")
    network = docker.network()
    assert network is not None
    top = IPv4Network(network.subnet).broadcast_address
    ranges = [(f"{size} addresses", str(top - size + 1), str(top)) for size in (56, 256, 1024)]
    table = Table("range", "arp-scan s", "sweep s", "sweep / arp-scan", "answers", "the same")
    good = True
    actions.add_conflicting_host(str(top - 55))
    try:
        for name, first, last in ranges:
            theirs = [arp_scan(first, last, network.bridge) for _ in range(RUNS)]
            ours = [sweep(first, last, network.bridge) for _ in range(RUNS)]
            seconds = min(s for s, _ in theirs), min(s for s, _ in ours)
            heard = theirs[0][1], ours[0][1]
            good &= heard[0] == heard[1] and len(heard[1]) > len({address for address, _ in heard[1]})
            table.add_row(
                name, f"{seconds[0]:.2f}", f"{seconds[1]:.2f}",
                f"{seconds[1] / seconds[0]:.2f}", str(len(heard[1])), "yes" if heard[0] == heard[1] else "NO",
            )  # fmt: skip
    finally:
        actions.remove_conflicting_host()
    Console().print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
