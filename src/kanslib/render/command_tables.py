"""The output of commands as rows: curl, arp-scan, `ip neigh`, docker ps, a router's routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from kanslib.analysis.attempts import ClientError
from kanslib.i18n import listed, tr, tr_later
from kanslib.packets.capture import Frame
from kanslib.render.rows import Columns, Row, Whole

NO_ANSWER = tr_later("(no answer)")
_COUNTED = re.compile(r"^\s*(\d+) Hostname: (\S+)$", re.MULTILINE)
_HOSTNAME = re.compile(r"^Hostname: (\S+)$")
_STATUS = re.compile(r"^HTTP \d+$")  # kube-proxy answered a health check
_REMOTE = re.compile(r"^RemoteAddr: \[?([^\s\]]+)\]?:\d+$")  # an IPv6 address stands in brackets
_EXIT = re.compile(r"^curl exit (\d+)$")
_SCANNED = re.compile(r"^(\d+\.\d+\.\d+\.\d+)\t((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\t", re.MULTILINE)
# what curl's exit codes mean; 1 here is grep's, which found nothing in no answer
_EXITS = {
    "1": NO_ANSWER,
    "28": tr_later("(no answer): timed out"),
    "52": tr_later("(no answer): empty reply"),
}
_CONNECT = {  # exit code 7
    ClientError.REFUSED: tr_later("(no answer): connection refused"),
    ClientError.NO_ROUTE: tr_later("(no answer): no route to host"),
    ClientError.UNREACHABLE: tr_later("(no answer): network unreachable"),
}


REQUEST_COLUMNS = Columns(("COUNT", "HOSTNAME", "REMOTE"), bars={"COUNT": Whole.SUM})


def request_rows(text: str, times: int, connect_error: ClientError = ClientError.OTHER) -> list[Row]:
    r"""Return how often each Pod answered `times` requests; REMOTE is the client's address as the Pod saw it, or empty.

    `connect_error`: what curl's exit code 7 means here.

    >>> request_rows("     52 Hostname: webpod1\n     48 Hostname: webpod2\n", 100)[0]
    {'COUNT': 52, 'HOSTNAME': 'webpod1', 'REMOTE': ''}
    """
    counts: dict[tuple[str, str], int] = {}
    counted = _COUNTED.findall(text)
    if counted:
        counts = {(name, ""): int(number) for number, name in counted}
    else:
        for key in _single_answers(text, connect_error):
            counts[key] = counts.get(key, 0) + 1
    missing = times - sum(counts.values())
    if missing > 0:
        nobody = (tr(NO_ANSWER), "")
        counts[nobody] = counts.get(nobody, 0) + missing
    return [
        {"COUNT": number, "HOSTNAME": name, "REMOTE": remote}
        for (name, remote), number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


ORDERED_REQUEST_COLUMNS = ("REQUEST", "HOSTNAME", "REMOTE")


def ordered_request_rows(text: str, times: int, connect_error: ClientError = ClientError.OTHER) -> list[Row]:
    r"""Return each of `times` requests in the order in which they were sent: REQUEST, and who answered it.

    `connect_error`: what curl's exit code 7 means here.

    >>> ordered_request_rows("Hostname: webpod2\ncurl exit 28\n", 2)[1]
    {'REQUEST': 2, 'HOSTNAME': '(no answer): timed out', 'REMOTE': ''}
    """
    answers = _single_answers(text, connect_error)
    answers += [(tr(NO_ANSWER), "")] * (times - len(answers))
    return [{"REQUEST": number, "HOSTNAME": name, "REMOTE": remote} for number, (name, remote) in enumerate(answers, 1)]


def _single_answers(text: str, connect_error: ClientError) -> list[tuple[str, str]]:
    """Return the Pod and the remote address of each answer, where every answer was printed by itself."""
    answers: list[tuple[str, str]] = []
    exits = {**_EXITS, "7": _CONNECT.get(connect_error, tr_later("(no answer): connection refused or no route"))}
    for line in text.splitlines():
        if found := _HOSTNAME.match(line):
            answers.append((found[1], ""))
        elif (found := _REMOTE.match(line)) and answers:
            answers[-1] = (answers[-1][0], found[1])
        elif _STATUS.match(line):
            answers.append((line, ""))
        elif found := _EXIT.match(line):
            known = exits.get(found[1])
            answers.append((tr(known) if known else tr("(no answer): curl exit {code}", code=found[1]), ""))
    return answers


ARP_SCAN_COLUMNS = ("ADDRESS", "MAC", "HOLDER")


def arp_scan_rows(text: str, macs: Mapping[str, str]) -> list[Row]:
    r"""Return the answers of an ARP scan; HOLDER is the node with that MAC address, empty where no node has it.

    >>> arp_scan_rows("172.18.255.200\t02:42:ac:12:00:04\t(Unknown)\n", {"02:42:ac:12:00:04": "myk8s-worker"})
    [{'ADDRESS': '172.18.255.200', 'MAC': '02:42:ac:12:00:04', 'HOLDER': 'myk8s-worker'}]
    """
    return [{"ADDRESS": ip, "MAC": mac, "HOLDER": macs.get(mac, "")} for ip, mac in _SCANNED.findall(text)]


PATH_COLUMNS = ("SECONDS", "PLACE", "INTERFACE", "FROM", "TO", "FLAGS")


def path_rows(captures: Iterable[tuple[str, str, Iterable[Frame]]]) -> list[Row]:
    """Return the TCP packets of captures in order of time; a capture is (place, interface, frames)."""
    packets = [
        (frame.time, place, interface, frame) for place, interface, frames in captures for frame in frames if frame.tcp
    ]
    packets.sort(key=lambda packet: packet[0])
    return [
        {
            "SECONDS": round(time - packets[0][0], 6),
            "PLACE": place,
            "INTERFACE": interface,
            "FROM": f"{frame.ip.src}:{frame.tcp.sport}",
            "TO": f"{frame.ip.dst}:{frame.tcp.dport}",
            "FLAGS": frame.tcp.flags,
        }
        for time, place, interface, frame in packets
        if frame.ip and frame.tcp
    ]


NEIGHBOR_COLUMNS = ("ADDRESS", "MAC", "HOLDER", "STATE")


def neighbor_rows(text: str, macs: Mapping[str, str]) -> list[Row]:
    """Return the entries of a neighbor cache, as `ip -j neigh` printed them.

    >>> neighbor_rows('[{"dst":"10.0.0.1","lladdr":"02:00:00:00:00:01","state":["STALE"]}]', {})
    [{'ADDRESS': '10.0.0.1', 'MAC': '02:00:00:00:00:01', 'HOLDER': '', 'STATE': 'STALE'}]
    """
    return [
        {
            "ADDRESS": entry["dst"],
            "MAC": entry.get("lladdr", ""),
            "HOLDER": macs.get(entry.get("lladdr", ""), ""),
            "STATE": listed(entry.get("state", [])),
        }
        for entry in sorted(json.loads(text), key=lambda entry: str(entry["dst"]))
    ]


def column_rows(text: str) -> list[Row]:
    """Return the rows of a table that was printed in columns (docker ps, kubectl get), cut at its headers."""
    lines = text.splitlines()
    if not lines:
        return []
    heads = list(re.finditer(r"\S+(?: \S+)*", lines[0]))
    spans = [
        (h.group(), h.start(), following.start() if following else None)
        for h, following in zip(heads, [*heads[1:], None], strict=True)
    ]
    return [{name: line[start:end].strip() for name, start, end in spans} for line in lines[1:] if line.strip()]


ROUTE_COLUMNS = ("PREFIX", "NEXT HOP", "NODE", "IN USE", "UP FOR")
# docker ps -a
CONTAINER_COLUMNS = Columns(("CONTAINER ID", "IMAGE", "STATUS", "PORTS", "NAMES"), wide=("CONTAINER ID", "PORTS"))


def route_rows(text: str, nodes: Mapping[str, str]) -> list[Row]:
    """Return FRR's `show ip route bgp json` as rows, one for each next hop; `nodes`: address to name."""
    return [
        {
            "PREFIX": prefix,
            "NEXT HOP": hop.get("ip", ""),
            "NODE": nodes.get(hop.get("ip", ""), ""),
            "IN USE": "yes" if hop.get("fib") else "no",
            "UP FOR": entry.get("uptime", ""),
        }
        for prefix, entries in sorted(json.loads(text).items())
        for entry in entries
        for hop in entry.get("nexthops", [])
    ]
