"""The test's end of a machine in a namespace, and how well counts fit probabilities."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from kanslib.iptables import Packet, Routing

INSIDE = Path(__file__).with_name("namespace_runner.py")
UNSHARE = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]


@cache
def obstacle() -> str:
    """Why no kernel can be asked here; empty where one can."""
    missing = [name for name in ("unshare", "ip", "iptables-nft-restore") if not shutil.which(name)]
    if missing:
        return f"no {', '.join(missing)} (Debian: apt-get install iptables iproute2 util-linux)"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def needs_kernel() -> None:
    """Skip where no namespace can be made; never in CI."""
    if reason := obstacle():
        if os.environ.get("CI"):
            pytest.fail(f"CI has to ask the kernel: {reason}")
        pytest.skip(reason)


class Machine:
    """Asks the process inside; each method is one of its commands."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _ask(self, *command: object) -> object:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the machine is gone"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    def interfaces(self, routing: Routing) -> None:
        given = [held for held in routing.interfaces if held.scope != "link" and held.address != "::1"]
        addresses = [[held.dev, held.address, held.prefix] for held in given]
        routes = [
            [f"{text_of(route.bits, route.value)}/{route.prefix}", route.gateway or "", route.dev]
            for route in routing.routes
            if route.bits == 32 or route.value >> 118 != 0x3FA  # fe80::/10: each interface has its own
        ]
        self._ask("interfaces", addresses, routes)

    def listen(self, ports: Sequence[int]) -> None:
        self._ask("listen", list(ports))

    def accounts(self, names: Sequence[str]) -> None:
        self._ask("accounts", list(names))

    def sets(self, contents: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Give each ipset just these entries: name → (type, entries)."""
        self._ask("sets", {name: [kind, list(entries)] for name, (kind, entries) in contents.items()})

    def ip(self, *commands: str) -> None:
        """Do commands of ip."""
        self._ask("ip", commands)

    def listen_transparently(self, port: int) -> None:
        self._ask("listen_transparently", port)

    def load(self, dump: str, flavour: str) -> None:
        self._ask("load", dump, flavour)

    def save(self, flavour: str) -> str:
        return str(self._ask("save", flavour))

    def load_nftables(self, script: str) -> None:
        self._ask("load_nftables", script)

    def add_nftables(self, script: str) -> None:
        self._ask("add_nftables", script)

    def list_nftables(self) -> str:
        return str(self._ask("list_nftables"))

    def list_nftables_as_json(self) -> str:
        return str(self._ask("list_nftables_as_json"))

    def send(self, packet: Packet, count: int, sources: Sequence[str] = ()) -> dict[tuple[str, str, str, int], int]:
        """How many left by (interface, src, dst, dport)."""
        seen = self._ask("send", asdict(packet), list(sources) or [packet.src], count)
        assert isinstance(seen, list)
        return {(name, src, dst, dport): number for name, src, dst, dport, number in seen}

    def send_from_socket(
        self, kind: str, source: str | None, dst: str, dport: int
    ) -> dict[tuple[str, str, str, int], int]:
        seen = self._ask("send_from_socket", kind, source, dst, dport)
        assert isinstance(seen, list)
        return {(name, src, to, port): number for name, src, to, port, number in seen}


def text_of(bits: int, value: int) -> str:
    """Return an address as text."""
    return str(IPv4Address(value) if bits == 32 else IPv6Address(value))


@contextmanager
def machine(routing: Routing) -> Iterator[Machine]:
    """A machine with these interfaces and routes, for as long as the block lasts."""
    needs_kernel()
    process = subprocess.Popen(
        [*UNSHARE, sys.executable, str(INSIDE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        made = Machine(process)
        made.interfaces(routing)
        yield made
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(20)


SIGMAS = 6.2  # of one comparison in a thousand million


def fits(seen: int, of: int, probability: Fraction) -> bool:
    """True when a count is what so many throws with this probability give; exact where nothing is left to chance."""
    if probability in (0, 1):
        return seen == of * probability
    expected = float(of * probability)
    spread: float = (expected * float(1 - probability)) ** 0.5
    return abs(seen - expected) <= SIGMAS * spread + 1


def chi_squared(seen: dict[Any, int], wanted: dict[Any, Fraction]) -> tuple[float, float]:
    """The χ² of counts against probabilities, and the bound that chance passes once in a thousand million times."""
    of = sum(seen.values())
    found = sum((seen.get(key, 0) - of * float(p)) ** 2 / (of * float(p)) for key, p in wanted.items() if p)
    freedom = max(1, len([p for p in wanted.values() if p]) - 1)
    spread = 2 / (9 * freedom)  # Wilson and Hilferty's approximation
    return found, float(freedom * (1 - spread + 6 * spread**0.5) ** 3)
