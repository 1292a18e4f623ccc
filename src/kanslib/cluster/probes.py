"""Traffic on the course's own network: requests, ARP scans, probes, captures. Never to anywhere else."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO, Any

from kanslib.cluster import docker
from kanslib.cluster.docker import CLIENT, CLIENT_IMAGE, OWNED
from kanslib.exceptions import ClusterError, UnsupportedError

# what a lab keeps of the wire: ARP, gossip, BGP, and how the client's connections begin and end
KEPT = (
    "arp or icmp or udp port 7946 or tcp port 179 "
    "or (tcp port 80 and host {client} and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0)"
)
_PROBE = """
while :; do
  began=$EPOCHREALTIME
  said=$(curl -s -m 0.5 -w '\\n%{{http_code}};%{{time_total}};%{{errormsg}}' http://{vip}/)
  echo "$began|{vip}|${{said//$'\\n'/;}}"
  read -rt 0.04; [ $? -gt 128 ] || exit
done
"""  # standard input that has ended means that nobody listens any more


def requested(target: str, times: int) -> str:
    """The shell command of `times` requests: what each answer says of its Pod and client, or curl's exit status."""
    return (
        f"for i in $(seq {times}); do said=$(curl -s -m 2 {target}) "
        '&& echo "$said" | grep -E "^(Hostname|RemoteAddr)" || echo curl exit $?; done'
    )


# ── ARP ──────────────────────────────────────────────────────────────────────────────────────────────────


def within(addresses: Iterable[str], network: str) -> list[str]:
    """Those of the addresses that lie in kind's network; ClusterError when none does: nothing else is scanned."""
    inside = [address for address in addresses if IPv4Address(address) in IPv4Network(network)]
    if not inside:
        raise ClusterError(f"an ARP scan reaches no further than kind's network, {network}: no address there was named")
    return inside


def scan(place: str, addresses: Sequence[str]) -> tuple[str, docker.CommandResult]:
    """`arp-scan` in the network of a container: the command, and what it printed."""
    command = f"arp-scan --interface=eth0 {addresses[0]}-{addresses[-1]}"
    ran = docker.exec_in(CLIENT, command) if place == CLIENT else docker.run_sidecar(place, command)
    if ran.rc == 127:
        raise UnsupportedError("an ARP scan", f"the image {CLIENT_IMAGE} has no arp-scan here")
    if ran.rc and not ran.out:
        raise UnsupportedError(
            "an ARP scan", ran.err.strip().splitlines()[-1] if ran.err.strip() else "it printed nothing"
        )
    return command, ran


def sweep(addresses: Sequence[str], interface: str, seconds: float = 1.0) -> list[tuple[str, str]]:
    """Ask for each address from this machine, with scapy: (address, MAC) of every answer, two for a conflict.

    Waits `seconds` after the last question of each 256. Needs scapy and CAP_NET_RAW: UnsupportedError without.
    """
    try:
        from scapy.config import conf
        from scapy.layers.l2 import ARP, Ether
        from scapy.sendrecv import srp
    except ImportError:
        raise UnsupportedError(
            "an ARP scan from this machine", "scapy is not installed: pip install 'kanslib[live]'"
        ) from None
    conf.verb = 0
    found: dict[tuple[str, str], None] = {}
    for first in range(0, len(addresses), 256):
        questions = [Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst=address) for address in addresses[first : first + 256]]
        try:
            answered, _ = srp(questions, iface=interface, timeout=seconds, multi=True)
        except (PermissionError, OSError) as exc:
            reason = "CAP_NET_RAW is missing" if isinstance(exc, PermissionError) else f"no interface {interface}"
            raise UnsupportedError("an ARP scan from this machine", reason) from None
        found |= {(answer.psrc, answer.hwsrc): None for _, answer in answered if ARP in answer}
    return sorted(found, key=lambda pair: (IPv4Address(pair[0]), pair[1]))


def printed(answers: Iterable[tuple[str, str]]) -> str:
    """Answers of a sweep as arp-scan prints them."""
    seen: dict[str, int] = {}
    lines = []
    for address, mac in answers:
        seen[address] = seen.get(address, 0) + 1
        again = f" (DUP: {seen[address]})" if seen[address] > 1 else ""
        lines.append(f"{address}\t{mac}\t(Unknown){again}")
    return "\n".join(lines) + "\n"


# ── probes ───────────────────────────────────────────────────────────────────────────────────────────────


class Probes:
    """Requests from the client to each address, one after the other, every 50 ms; each told as it ends."""

    def __init__(self, addresses: Sequence[str], told: Callable[[Mapping[str, Any]], None]) -> None:
        self._told = told
        self._running = [self._start(address) for address in addresses]

    def _start(self, vip: str) -> tuple[subprocess.Popen[str], threading.Thread]:
        script = _PROBE.format(vip=vip)
        process = subprocess.Popen(
            ["docker", "exec", "-i", CLIENT, "bash", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        thread = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        thread.start()
        return process, thread

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            with contextlib.suppress(ValueError):  # a line that was cut off when the probing ended
                self._told(probed(line))

    def stop(self) -> None:
        """End the probing and hear the last of it."""
        for process, _ in self._running:
            if process.stdin:
                process.stdin.close()
        for process, thread in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            thread.join(5)


def probed(line: str) -> dict[str, Any]:
    """One line of a probe as a row. Raises ValueError for one that is not whole.

    >>> probed("1.5|10.0.0.1|Hostname: webpod1;RemoteAddr: 10.0.0.9:4711;GET /;200;0.002;")["hostname"]
    'webpod1'
    """
    began, to, said = line.rstrip("\n").split("|", 2)
    *words, status, seconds, error = said.split(";")
    facts = dict(word.split(": ", 1) for word in words if ": " in word)
    row: dict[str, Any] = {"t": float(began.replace(",", ".")), "to": to, "ok": status == "200", "status": int(status)}
    if row["ok"]:
        row |= {"hostname": facts.get("Hostname", ""), "remote": facts.get("RemoteAddr", "")}
    else:
        row["error"] = error
    return {**row, "ms": round(float(seconds) * 1000, 2)}


# ── captures ─────────────────────────────────────────────────────────────────────────────────────────────


class Capture:
    """tcpdump in a container's network (or, for the bridge, Docker's own), written to a file until it is stopped."""

    def __init__(self, network: str, interface: str, condition: str, file: Path, snap: int = 96) -> None:
        self._name = f"kans-capture-{uuid.uuid4().hex[:8]}"
        # immediate: else the kernel keeps frames back for up to a second, and the last ones are lost at the end
        tcpdump = f"tcpdump --immediate-mode -i {interface} -U -s {snap} -w - '{condition}'"
        with file.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    "docker", "run", "--rm", "-i", "--name", self._name, "--label", OWNED, "--network", network,
                    "--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN", CLIENT_IMAGE,
                    # standard input that has ended means that the lab is gone, however it went
                    "sh", "-c", f"{tcpdump} & cat; kill $!; wait",
                ],
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE,
            )  # fmt: skip
        self._listening()

    def _listening(self) -> None:
        assert self._process.stderr is not None
        said = b""
        for line in self._process.stderr:
            said = line
            if b"listening on" in line:
                threading.Thread(target=self._drain, args=(self._process.stderr,), daemon=True).start()
                return
        self._process.wait()
        raise UnsupportedError("a capture", said.decode(errors="replace").strip() or "tcpdump did not start")

    @staticmethod
    def _drain(errors: IO[bytes]) -> None:
        for _ in errors:
            pass

    def stop(self) -> None:
        """End the capture; the file is whole after that."""
        time.sleep(0.1)  # what was sent a moment ago is still on its way through tcpdump
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            docker.docker("rm", "-f", self._name)
            self._process.wait(10)
