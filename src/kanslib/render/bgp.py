"""BGP as tables and as a diagram: messages, their bytes, the transitions of the state machine, ECMP shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

import htpy as h
from markupsafe import Markup

from kanslib.analysis.phases import wilson
from kanslib.answer import Provenance
from kanslib.packets import bgp
from kanslib.packets.bgp_fsm import STATES, Transition
from kanslib.packets.capture import Frame
from kanslib.palette import BLUE, GREY, INK, PAPER, VERMILLION
from kanslib.render.rows import Columns, Row, Whole
from kanslib.render.svg import SVG, canvas, text

_BOX, _GAP, _HIGH, _TOP = 118, 120, 44, 96
_HEAD = h.marker(id="kans-head", viewBox="0 0 8 8", refX=7, refY=4, markerWidth=8, markerHeight=8, orient="auto")
_ARROW_HEAD = h.defs[_HEAD[h.path(d="M0 0L8 4L0 8z", fill=INK)]]


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
            row["INFO"] = f"×{count + 1}, the last at {one.frame.time - zero:+.1f} s"
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


def draw_states(steps: Sequence[Transition], node: str, peer: str, zero: float, provenance: Provenance) -> SVG:
    """Draw the states from left to right; an arrow names its event and the seconds after `zero`."""
    transitions: dict[tuple[str, str], list[Transition]] = defaultdict(list)
    for step in steps:
        transitions[step.before, step.after].append(step)
    width = len(STATES) * _BOX + (len(STATES) - 1) * _GAP + 40
    down = [pair for pair in transitions if pair[1] == "Idle" and pair[0] != "Idle"]
    skipped = [
        pair for pair in transitions if pair[0] != pair[1] and pair not in down
        and STATES.index(pair[1]) - STATES.index(pair[0]) > 1
    ]  # fmt: skip
    height = _TOP + _HIGH + 60 + 34 * len(down) + 20
    last = steps[-1].after if steps else "Idle"
    parts: list[h.Node] = [_state(place, name, name == last) for place, name in enumerate(STATES)]
    for place, (one, other) in enumerate(pairwise(STATES)):
        parts.append(_arrow_right(place, place + 1, _labels(transitions.get((one, other), ()), zero), 0))
    for number, (one, other) in enumerate(skipped):
        where = STATES.index(one), STATES.index(other)
        parts.append(_arrow_right(*where, _labels(transitions[one, other], zero), 46 + 14 * number))
    for place, name in enumerate(STATES):
        parts += _loops(place, transitions.get((name, name), ()))
    for number, (one, _) in enumerate(down):
        parts.append(
            _arrow_back(STATES.index(one), _TOP + _HIGH + 40 + 34 * number, _labels(transitions[one, "Idle"], zero))
        )
    words = describe_states(steps, node, peer, zero)
    style = f"min-width:760px;font:12px sans-serif;background:{PAPER};color:{INK}"
    title = [h.title[f"BGP states of {node}"], h.desc[words]]
    return SVG(
        Markup(canvas(words, width, height, style)[_ARROW_HEAD, title, parts]),
        words,
        provenance,
        [
            {"AT": round(step.time - zero, 1), "BEFORE": step.before, "EVENT": step.event, "AFTER": step.after}
            for step in steps
        ],
    )


def _left(place: int) -> int:
    return 20 + place * (_BOX + _GAP)


def _state(place: int, name: str, is_last: bool) -> list[h.Element]:
    colour, thick = (BLUE, 4) if is_last else (GREY, 2)
    x = _left(place)
    return [
        h.rect(x=x, y=_TOP, width=_BOX, height=_HIGH, rx=8, fill="none", stroke=colour, stroke_width=thick),
        _text(x + _BOX / 2, _TOP + 27, name, bold=True),
    ]


def _text(x: float, y: float, words: str, *, bold: bool = False) -> h.Element:
    return text(x, y, words, INK, "middle", bold=bold)


def _arrow(path: str, colour: str = INK, dash: str | None = None) -> h.Element:
    head = "url(#kans-head)"
    return h.path(d=path, fill="none", stroke=colour, stroke_width="1.5", marker_end=head, stroke_dasharray=dash)


def _labels(steps: Sequence[Transition], zero: float) -> list[str]:
    """Return each event of an arrow with its first time, and how often it happened."""
    out = []
    for event, group in groupby(sorted(steps, key=lambda step: step.event), key=lambda step: step.event):
        when = [step.time - zero for step in group]
        out.append(f"{event} {when[0]:+.1f}\u00a0s" + (f" (×{len(when)})" if len(when) > 1 else ""))
    return out


def _arrow_right(start: int, end: int, labels: Sequence[str], lift: int) -> list[h.Element]:
    x1, x2, y = _left(start) + _BOX, _left(end), _TOP + _HIGH // 2
    if lift:
        x1, x2, y = x1 - _BOX // 2, x2 + _BOX // 2, _TOP
        path = f"M{x1} {y}C{x1} {y - lift} {x2} {y - lift} {x2} {y - 2}"
    else:
        path = f"M{x1} {y}L{x2 - 2} {y}"
    words = [word for label in labels for word in _wrapped(label)]
    top = (_TOP - lift * 0.75 - 4 if lift else y - 8) - 14 * (len(words) - 1)
    texts = [_text((x1 + x2) / 2, top + 14 * place, word) for place, word in enumerate(words)]
    return [_arrow(path, dash=None if labels else "4 4"), *texts]


def _wrapped(label: str) -> list[str]:
    """Return a label in lines that fit between two boxes."""
    lines = [""]
    for word in label.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > 17:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _loops(place: int, steps: Sequence[Transition]) -> list[h.Element]:
    """Return the events that do not change the state, counted below it."""
    counts = Counter(step.event for step in steps)
    x = _left(place) + _BOX / 2
    return [
        _text(x, _TOP + _HIGH + 16 + 13 * number, f"{event} ×{count}")
        for number, (event, count) in enumerate(counts.most_common(4))
    ]


def _arrow_back(start: int, y: float, labels: Sequence[str]) -> list[h.Element]:
    x1, x2, bottom = _left(start) + _BOX - 14, _left(0) + 20, _TOP + _HIGH
    path = f"M{x1} {bottom}L{x1} {y + 24}L{x2} {y + 24}L{x2} {bottom + 2}"
    return [_arrow(path, VERMILLION), _text((x1 + x2) / 2, y + 19, "; ".join(labels))]


def describe_states(steps: Sequence[Transition], node: str, peer: str, zero: float) -> str:
    """Return the transitions in words."""
    moves = [step for step in steps if step.before != step.after]
    sentences = [f"{step.time - zero:+.1f} s {step.event}: {step.before} to {step.after}" for step in moves]
    last = steps[-1].after if steps else "Idle"
    return f"{node} towards {peer}: " + ("; ".join(sentences) or "nothing was on the wire") + f". At the end: {last}."
