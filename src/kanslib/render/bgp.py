"""BGP as tables: messages, their bytes, ECMP shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kanslib.analysis.phases import wilson
from kanslib.i18n import tr
from kanslib.packets import bgp
from kanslib.packets.capture import Frame
from kanslib.render.rows import Columns, Row, Whole

MESSAGE_COLUMNS = Columns(("AT", "FROM", "TO", "MESSAGE", "INFO", "FRAME"), wide=("FRAME",))


def message_rows(messages: Iterable[bgp.CapturedMessage], names: Mapping[str, str], zero: float) -> list[Row]:
    """Return one row for each message; successive KEEPALIVEs of one sender share a row.

    `names`: places by address; `zero`: the action (Unix seconds), from which AT counts. INFO is as in Wireshark.
    """
    rows: list[Row] = []
    keepalives: dict[tuple[str, str], tuple[Row, int]] = {}
    for one in messages:
        sender, receiver = (names.get(address, address) for address in (one.flow.src, one.flow.dst))
        message = one.message
        is_keepalive = message.type == bgp.KEEPALIVE
        if is_keepalive and (sender, receiver) in keepalives:
            row, count = keepalives[sender, receiver]
            row["INFO"] = tr("×{count}, the last at {time:+.1f} s", count=count + 1, time=one.frame.time - zero)
            keepalives[sender, receiver] = row, count + 1
            continue
        row = {
            "AT": round(one.frame.time - zero, 2), "FROM": sender, "TO": receiver, "MESSAGE": message.name,
            "INFO": str(message).removeprefix(message.name).strip(), "FRAME": one.frame.number,
        }  # fmt: skip
        rows.append(row)
        keepalives.pop((sender, receiver), None)
        if is_keepalive:
            keepalives[sender, receiver] = row, 1
    return rows


BYTE_COLUMNS = ("OFFSET", "BYTES", "FIELD", "INFO")


def byte_rows(message: bgp.Message) -> list[Row]:
    """Return a message field by field: offset, bytes (hexadecimal), name (a dot for each nesting level), meaning."""
    return [
        {
            "OFFSET": piece.start,
            "BYTES": piece.raw.hex(" ") if len(piece.raw) <= 16 else piece.raw[:15].hex(" ") + " …",
            "FIELD": "· " * piece.depth + piece.name,
            "INFO": piece.meaning,
        }
        for piece in message.fields
    ]


SHARE_COLUMNS = Columns(
    ("NEXT HOP", "CONNECTIONS", "MEASURED", "EXPECTED", "PORTS SEEN AGAIN", "ELSEWHERE THEN"),
    wide=("PORTS SEEN AGAIN", "ELSEWHERE THEN"),
    bars={"CONNECTIONS": Whole.SUM},
)


def share_rows(frames: Iterable[Frame], vip: str, hops: Sequence[str], places: Mapping[str, str]) -> list[Row]:
    """Return how many connections to a VIP the router sent to each next hop, and the even share.

    `places`: the place of each MAC address. A SYN is captured before and behind the router; the second copy shows the
    next hop. A client port that is used again is the same flow for the router's hash: it should reach the same next
    hop while the next hops stay the same. MEASURED is the share with its 95 % interval.
    """
    hops_by_port: dict[str, list[str]] = defaultdict(list)
    for port, copies in _connections(frames, vip):
        if len({mac for _, mac in copies}) > 1:
            mac = copies[-1][1]
            hops_by_port[port].append(places.get(mac, mac))
    counts = Counter(hop for used in hops_by_port.values() for hop in used)
    total = counts.total()
    rows: list[Row] = []
    for hop in dict.fromkeys([*hops, *counts]):
        low, high = wilson(counts[hop], total)
        reused = [used for used in hops_by_port.values() if used[0] == hop and len(used) > 1]
        rows.append(
            {
                "NEXT HOP": hop,
                "CONNECTIONS": counts[hop],
                "MEASURED": f"{counts[hop] / total:.0%} ({low * 100:.0f}–{high * 100:.0f})" if total else "",
                "EXPECTED": f"{1 / len(hops):.0%}" if hop in hops else "0%",
                "PORTS SEEN AGAIN": len(reused),
                "ELSEWHERE THEN": sum(len(set(used)) > 1 for used in reused),
            }
        )
    return rows


def _connections(frames: Iterable[Frame], vip: str) -> Iterator[tuple[str, list[tuple[float, str]]]]:
    """Yield each connection to a VIP: the client's port, and time and destination MAC of each copy of its SYN."""
    syns: dict[tuple[str, int], list[tuple[float, str]]] = defaultdict(list)
    for frame in frames:
        if frame.tcp and frame.tcp.flags == "S" and frame.ip and frame.ip.dst == vip and frame.ethernet:
            key = f"{frame.ip.src}:{frame.tcp.sport}", frame.tcp.seq
            syns[key].append((frame.time, frame.ethernet.destination))
    for (port, _), copies in syns.items():
        yield port, copies
