"""Send traffic on the course's own network, and nowhere else: requests, ARP scans, probes."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import IO

from kanslib.analysis.attempts import Probe
from kanslib.cluster import docker
from kanslib.cluster.docker import CLIENT, CLIENT_IMAGE
from kanslib.exceptions import ClusterError, UnsupportedError
from kanslib.i18n import tr
from kanslib.installation import pip_install

_LOG = logging.getLogger(__name__)
_PROBE = """
while :; do
  began=$EPOCHREALTIME
  answer=$(curl -s -m 0.5 -w '\\n%{{http_code}};%{{time_total}};%{{errormsg}}' http://{vip}/)
  echo "$began|{vip}|${{answer//$'\\n'/;}}"
  read -rt 0.04; [ $? -gt 128 ] || exit
done
"""  # the loop ends with its standard input: nobody reads any more


def curl_command(target: str, times: int) -> str:
    """Return the shell command of `times` requests; it prints Pod and client of each answer, or curl's exit status.

    The recorded backend finds recorded requests by this command.
    """
    return (
        f"for i in $(seq {times}); do said=$(curl -s -m 2 {target}) "
        '&& echo "$said" | grep -E "^(Hostname|RemoteAddr)" || echo curl exit $?; done'
    )


# ── ARP ──────────────────────────────────────────────────────────────────────────────────────────────────


def addresses_within(addresses: Iterable[str], network: str) -> list[str]:
    """Return the addresses inside kind's network, the only ones that are scanned. ClusterError when there is none."""
    inside = [address for address in addresses if IPv4Address(address) in IPv4Network(network)]
    if not inside:
        raise ClusterError(
            tr(
                "an ARP scan reaches no further than kind's network, {network}: no address there was named",
                network=network,
            )
        )
    return inside


def arp_scan(place: str, addresses: Sequence[str]) -> tuple[str, docker.CommandResult]:
    """Run `arp-scan` in the network of a container, and return the command and its result.

    Raises UnsupportedError where arp-scan is missing or fails.
    """
    command = f"arp-scan --interface=eth0 {addresses[0]}-{addresses[-1]}"
    result = docker.exec_in(CLIENT, command) if place == CLIENT else docker.run_sidecar(place, command)
    if result.rc == 127:
        raise UnsupportedError(
            tr("an ARP scan"), tr("the image {client_image} has no arp-scan here", client_image=CLIENT_IMAGE)
        )
    if result.rc and not result.out:
        raise UnsupportedError(tr("an ARP scan"), (result.err.strip().splitlines() or [tr("it printed nothing")])[-1])
    return command, result


def arp_sweep(addresses: Sequence[str], interface: str, seconds: float = 1.0) -> list[tuple[str, str]]:
    """Send an ARP request for each address from this machine, and return (address, MAC) of every reply.

    `seconds`: how long to wait for replies after each 256 requests. An address conflict gives two replies.
    Raises UnsupportedError without scapy, CAP_NET_RAW or the interface.
    """
    try:
        from scapy.config import conf
        from scapy.layers.l2 import ARP, Ether
        from scapy.sendrecv import srp
    except ImportError:
        raise UnsupportedError(
            tr("an ARP scan from this machine"),
            tr("scapy is not installed: {command}", command=pip_install("live")),
        ) from None
    conf.verb = 0
    found: dict[tuple[str, str], None] = {}
    for first in range(0, len(addresses), 256):
        requests = [Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst=address) for address in addresses[first : first + 256]]
        try:
            replies, _ = srp(requests, iface=interface, timeout=seconds, multi=True)
        except (PermissionError, OSError) as exc:
            reason = (
                tr("CAP_NET_RAW is missing")
                if isinstance(exc, PermissionError)
                else tr("no interface {interface}", interface=interface)
            )
            raise UnsupportedError(tr("an ARP scan from this machine"), reason) from None
        found |= {(reply.psrc, reply.hwsrc): None for _, reply in replies if ARP in reply}
    return sorted(found, key=lambda pair: (IPv4Address(pair[0]), pair[1]))


def format_arp_scan(replies: Iterable[tuple[str, str]]) -> str:
    """Return the replies of a sweep as arp-scan prints them."""
    counts: dict[str, int] = {}
    lines = []
    for address, mac in replies:
        counts[address] = counts.get(address, 0) + 1
        duplicate = f" (DUP: {counts[address]})" if counts[address] > 1 else ""
        lines.append(f"{address}\t{mac}\t(Unknown){duplicate}")
    return "\n".join(lines) + "\n"


# ── probes ───────────────────────────────────────────────────────────────────────────────────────────────


class Probes:
    """Running probes: a request from the client to each address every 50 ms. `on_row` is called with each result."""

    def __init__(self, addresses: Sequence[str], on_row: Callable[[Probe], None]) -> None:
        self._on_row = on_row
        self._running = [self._start(address) for address in addresses]

    def _start(self, vip: str) -> tuple[subprocess.Popen[str], threading.Thread]:
        script = _PROBE.format(vip=vip)
        _LOG.debug("probes of %s from %s: started", vip, CLIENT)
        process = subprocess.Popen(
            ["docker", "exec", "-i", CLIENT, "bash", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        thread = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        thread.start()
        return process, thread

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            with contextlib.suppress(ValueError):  # the last line may be cut off
                self._on_row(parse_probe(line))

    def stop(self) -> None:
        """End the probes, and wait up to 5 s for the last results."""
        for process, _ in self._running:
            if process.stdin:
                process.stdin.close()
        for process, thread in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            thread.join(5)


def parse_probe(line: str) -> Probe:
    """Return a line of a probe's output as a row of a recording. Raises ValueError for an incomplete line.

    >>> parse_probe("1.5|10.0.0.1|Hostname: webpod1;RemoteAddr: 10.0.0.9:4711;GET /;200;0.002;")["hostname"]
    'webpod1'
    """
    began, to, answer = line.rstrip("\n").split("|", 2)
    *fields, status, seconds, error = answer.split(";")
    headers = dict(field.split(": ", 1) for field in fields if ": " in field)
    probe: Probe = {"t": float(began.replace(",", ".")), "to": to, "ok": status == "200", "status": int(status)}
    if probe["ok"]:
        probe |= {"hostname": headers.get("Hostname", ""), "remote": headers.get("RemoteAddr", "")}
    else:
        probe["error"] = error
    return {**probe, "ms": round(float(seconds) * 1000, 2)}
