"""Our decoding beside tshark's, field by field: every capture there is, and odd ones."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest

from kanslib.packets import bgp, capture, ethernet
from kanslib.packets.capture import CaptureWarning, Frame
from kanslib.packets.ip import IPv4, IPv6
from kanslib.recording import Recording
from tests.packets import malformed_captures

PREFERENCES = (
    "tcp.relative_sequence_numbers:FALSE", "ip.defragment:FALSE",
    "ipv6.defragment:FALSE", "http.desegment_headers:FALSE", "http.desegment_body:FALSE", "ip.tso_support:TRUE",
)  # fmt: skip
FIELDS = [
    "frame.time_epoch",
    "frame.len",
    "frame.cap_len",
    "frame.protocols",
    "_ws.malformed",
    "_ws.expert.message",
    "tcp.analysis.retransmission",
    "tcp.analysis.out_of_order",
    "eth.dst",
    "eth.src",
    "eth.type",
    "eth.len",
    "vlan.id",
    "vlan.priority",
    "vlan.etype",
    "vlan.len",
    "ieee8021ad.id",
    "ieee8021ad.priority",
    "sll.pkttype",
    "sll.hatype",
    "sll.ifindex",
    "sll.src.eth",
    "sll.etype",
    "arp.opcode",
    "arp.src.hw_mac",
    "arp.src.proto_ipv4",
    "arp.dst.hw_mac",
    "arp.dst.proto_ipv4",
    "arp.isgratuitous",
    "arp.isprobe",
    "ip.version",
    "ip.hdr_len",
    "ip.dsfield",
    "ip.len",
    "ip.id",
    "ip.flags.df",
    "ip.flags.mf",
    "ip.frag_offset",
    "ip.ttl",
    "ip.proto",
    "ip.checksum",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.hlim",
    "ipv6.plen",
    "ipv6.nxt",
    "ipv6.flow",
    "ipv6.tclass",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.hdr_len",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.checksum",
    "tcp.urgent_pointer",
    "tcp.len",
    "tcp.options.mss_val",
    "tcp.options.wscale.shift",
    "tcp.options.sack_perm",
    "tcp.options.timestamp.tsval",
    "tcp.options.timestamp.tsecr",
    "udp.srcport",
    "udp.dstport",
    "udp.length",
    "udp.checksum",
    "icmp.type",
    "icmp.code",
    "icmp.checksum",
    "icmp.ident",
    "icmp.seq",
    "icmpv6.type",
    "icmpv6.code",
    "icmpv6.checksum",
    "icmpv6.echo.identifier",
    "icmpv6.echo.sequence_number",
    "icmpv6.nd.ns.target_address",
    "icmpv6.nd.na.target_address",
    "icmpv6.nd.na.flag.r",
    "icmpv6.nd.na.flag.s",
    "icmpv6.nd.na.flag.o",
    "icmpv6.opt.linkaddr",
    "http.request.method",
    "http.request.uri",
    "http.request.version",
    "http.response.version",
    "http.response.code",
    "http.response.phrase",
    "bgp.type",
    "bgp.length",
    "bgp.open.version",
    "bgp.open.myas",
    "bgp.open.holdtime",
    "bgp.open.identifier",
    "bgp.cap.type",
    "bgp.cap.4as",
    "bgp.update.path_attribute.type_code",
    "bgp.update.path_attribute.origin",
    "bgp.update.path_attribute.next_hop",
    "bgp.update.path_attribute.as_path_segment.as4",
    "bgp.update.path_attribute.as_path_segment.as2",
    "bgp.update.path_attribute.multi_exit_disc",
    "bgp.update.path_attribute.local_pref",
    "bgp.update.path_attribute.mp_reach_nlri.next_hop",
    "bgp.nlri_prefix",
    "bgp.mp_reach_nlri_ipv4_prefix",
    "bgp.mp_reach_nlri_ipv6_prefix",
    "bgp.withdrawn_prefix",
    "bgp.prefix_length",
    "bgp.notify.major_error",
    "bgp.notify.minor_error",
]

OTHER_ARP = ("ARP: hardware", "ARP: addresses of")  # not ours to read; tshark shows what it can

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark"),
]
Row = dict[str, str]


def tshark(path: Path, *more: str) -> list[Row]:
    """Each frame's fields as tshark prints them; several values of one are joined with |. `more`: preferences."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"]
    for preference in (*PREFERENCES, *more):
        command += ["-o", preference]
    for field in FIELDS:
        command += ["-e", field]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in ran.stdout.splitlines()]


def number(text: str) -> int | None:
    first = text.partition("|")[0]
    return int(first, 0) if first else None


def first(text: str) -> str | None:
    return text.partition("|")[0] or None


def yes(text: str) -> bool:
    return first(text) in ("1", "True")


def complains(row: Row) -> bool:
    """Return whether tshark, too, found something wrong with the frame."""
    return bool(row["_ws.malformed"] or row["_ws.expert.message"]) or row["frame.protocols"].endswith(
        ("data", "eth", "ethertype", "_ws.short", "sll", "raw")
    )


def seen_before(row: Row) -> bool:
    """A segment that tshark takes for a repeat (or finds twice, on both sides of a router) and does not look into."""
    return bool(row["tcp.analysis.retransmission"] or row["tcp.analysis.out_of_order"])


def inner(row: Row, protocol: str) -> bool:
    """True when the protocol's fields are of a packet that an ICMP error quotes."""
    order = row["frame.protocols"].split(":")
    return protocol in order and any(one in order[: order.index(protocol)] for one in ("icmp", "icmpv6"))


class Differences:
    """What is not the same, collected."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.compared = 0

    def check(self, frame: Frame, what: str, ours: object, theirs: object) -> None:
        self.compared += 1
        if ours != theirs:
            self.found.append(f"frame {frame.number}: {what}: ours {ours!r}, tshark {theirs!r}")


def compare(frames: Iterable[Frame], rows: list[Row], name: str) -> Differences:
    out = Differences()
    pairs = list(frames)
    assert len(pairs) == len(rows), name
    for frame, row in zip(pairs, rows, strict=True):
        out.check(frame, "time", round(frame.time, 6), round(float(row["frame.time_epoch"] or 0), 6))
        out.check(
            frame, "lengths", (frame.length, len(frame.raw)), (number(row["frame.len"]), number(row["frame.cap_len"]))
        )
        if frame.malformed and not str(frame.malformed).startswith(OTHER_ARP):
            out.check(frame, f"complaint ({frame.malformed})", True, complains(row) or frame.is_truncated)
        _link(out, frame, row)
        _arp(out, frame, row)
        _ip(out, frame, row)
        _tcp(out, frame, row)
        _udp(out, frame, row)
        _icmp(out, frame, row)
        _http(out, frame, row)
    return out


def _link(out: Differences, frame: Frame, row: Row) -> None:
    if frame.link in (ethernet.COOKED, ethernet.COOKED_2):
        _cooked(out, frame, row)
    if frame.link != ethernet.ETHERNET:
        return
    ours = frame.ethernet
    if ours is None:
        out.check(frame, "Ethernet", True, not row["eth.src"] or complains(row))
        return
    out.check(
        frame, "Ethernet addresses", (ours.source, ours.destination), (first(row["eth.src"]), first(row["eth.dst"]))
    )
    etypes = (row["vlan.etype"] or row["vlan.len"] or row["eth.type"] or row["eth.len"]).split("|")
    out.check(frame, "type", ours.type, int(etypes[-1], 0))
    ids, urgent = values(row, "ieee8021ad.id", "vlan.id"), values(row, "ieee8021ad.priority", "vlan.priority")
    out.check(
        frame,
        "vlans",
        [(v.id, v.priority) for v in ours.vlans],
        list(zip(map(int, ids), map(int, urgent), strict=True)),
    )


def _cooked(out: Differences, frame: Frame, row: Row) -> None:
    ours = frame.cooked
    if ours is None:
        out.check(frame, "Linux cooked", True, not row["sll.etype"] or complains(row))
        return
    theirs = tuple(number(row[f"sll.{x}"]) for x in ("pkttype", "hatype", "ifindex"))
    out.check(frame, "Linux cooked", (ours.packet_type, ours.hardware, ours.interface), theirs)
    out.check(frame, "Linux cooked source", ours.source, row["sll.src.eth"])
    if not ours.vlans:
        out.check(frame, "Linux cooked type", ours.type, number(row["sll.etype"]))
    out.check(frame, "vlans", [vlan.id for vlan in ours.vlans], list(map(int, values(row, "vlan.id"))))


def _arp(out: Differences, frame: Frame, row: Row) -> None:
    if frame.arp is None:
        out.check(frame, "ARP", True, not row["arp.src.proto_ipv4"] or complains(row) or bool(frame.malformed))
        return
    theirs = tuple(first(row[f"arp.{x}"]) for x in ("src.hw_mac", "src.proto_ipv4", "dst.hw_mac", "dst.proto_ipv4"))
    out.check(frame, "ARP", tuple(frame.arp), (number(row["arp.opcode"]), *theirs))
    out.check(frame, "gratuitous", frame.arp.is_gratuitous, yes(row["arp.isgratuitous"]))
    out.check(frame, "probe", frame.arp.is_probe, yes(row["arp.isprobe"]))


def _ip(out: Differences, frame: Frame, row: Row) -> None:
    packet = frame.ip
    if isinstance(packet, IPv4):
        ours = (
            packet.header_length, packet.tos, packet.length, packet.id, packet.dont_fragment, packet.more_fragments,
            packet.ttl, packet.protocol, packet.checksum, packet.src, packet.dst,
        )  # fmt: skip
        length = number(row["ip.len"]) or packet.length  # a length of zero: both take what is there
        theirs = (
            number(row["ip.hdr_len"]), number(row["ip.dsfield"]), length, number(row["ip.id"]),
            yes(row["ip.flags.df"]), yes(row["ip.flags.mf"]), number(row["ip.ttl"]), number(row["ip.proto"]),
            number(row["ip.checksum"]), first(row["ip.src"]), first(row["ip.dst"]),
        )  # fmt: skip
        out.check(frame, "IPv4", ours, theirs)
        out.check(frame, "fragment", packet.fragment_offset, (number(row["ip.frag_offset"]) or 0) * 8)
    elif isinstance(packet, IPv6):
        ours6 = (
            packet.src,
            packet.dst,
            packet.ttl,
            packet.length,
            packet.next_header,
            packet.flow,
            packet.traffic_class,
        )
        names = ("src", "dst", "hlim", "plen", "nxt", "flow", "tclass")
        theirs6 = tuple(first(row[f"ipv6.{x}"]) if x in ("src", "dst") else number(row[f"ipv6.{x}"]) for x in names)
        out.check(frame, "IPv6", ours6, theirs6)
    else:
        there = (row["ip.src"] and not inner(row, "ip")) or (row["ipv6.src"] and not inner(row, "ipv6"))
        out.check(frame, "IP", True, not there or bool(frame.malformed))


def _tcp(out: Differences, frame: Frame, row: Row) -> None:
    tcp = frame.tcp
    if tcp is None:
        there = row["tcp.srcport"] and not inner(row, "tcp")
        out.check(frame, "TCP", True, not there or bool(frame.malformed))
        return
    names = (
        "srcport",
        "dstport",
        "seq_raw",
        "ack_raw",
        "hdr_len",
        "window_size_value",
        "checksum",
        "urgent_pointer",
        "len",
    )
    theirs = tuple(number(row[f"tcp.{x}"]) for x in names)
    ours = (
        tcp.sport, tcp.dport, tcp.seq, tcp.ack, tcp.header_length, tcp.window, tcp.checksum, tcp.urgent, tcp.length,
    )  # fmt: skip
    out.check(frame, "TCP", ours, theirs)
    bits = sum(1 << "FSRPAUECN".index(letter) for letter in tcp.flags)
    out.check(frame, "flags", bits, (number(row["tcp.flags"]) or 0) & 0x1FF)
    options = tcp.options
    theirs = tuple(
        number(row[f"tcp.options.{x}"]) for x in ("mss_val", "wscale.shift", "timestamp.tsval", "timestamp.tsecr")
    )
    if not frame.is_truncated or len(frame.raw) >= 74:
        out.check(
            frame, "options", (options.mss, options.window_shift, options.timestamp, options.timestamp_echo), theirs
        )


def _udp(out: Differences, frame: Frame, row: Row) -> None:
    udp = frame.udp
    if udp is None:
        there = row["udp.srcport"] and not inner(row, "udp")
        out.check(frame, "UDP", True, not there or bool(frame.malformed))
        return
    theirs = tuple(number(row[f"udp.{x}"]) for x in ("srcport", "dstport", "length"))
    out.check(frame, "UDP", (udp.sport, udp.dport, udp.length), theirs)
    if udp.length:
        out.check(frame, "UDP checksum", udp.checksum, number(row["udp.checksum"]))


def _icmp(out: Differences, frame: Frame, row: Row) -> None:
    if frame.icmp:
        ours = frame.icmp
        theirs = tuple(number(row[f"icmp.{x}"]) for x in ("type", "code", "checksum"))
        out.check(frame, "ICMP", (ours.type, ours.code, ours.checksum), theirs)
        if ours.type in (0, 8):
            out.check(frame, "echo", (ours.id, ours.sequence), (number(row["icmp.ident"]), number(row["icmp.seq"])))
        if ours.quoted:
            addresses = row["ip.src"].split("|")[1:2] + row["ip.dst"].split("|")[1:2]
            out.check(frame, "quoted", [ours.quoted.src, ours.quoted.dst], addresses)
    elif frame.icmpv6:
        six = frame.icmpv6
        theirs = tuple(number(row[f"icmpv6.{x}"]) for x in ("type", "code", "checksum"))
        out.check(frame, "ICMPv6", (six.type, six.code, six.checksum), theirs)
        target = first(row["icmpv6.nd.ns.target_address"]) or first(row["icmpv6.nd.na.target_address"])
        out.check(frame, "neighbor", (six.target, six.link_address), (target, first(row["icmpv6.opt.linkaddr"])))
        flags = tuple(yes(row[f"icmpv6.nd.na.flag.{x}"]) for x in "rso")
        out.check(frame, "neighbor flags", (six.is_router, six.is_solicited, six.is_override), flags)
        echo = (number(row["icmpv6.echo.identifier"]), number(row["icmpv6.echo.sequence_number"]))
        out.check(frame, "echo", (six.id, six.sequence), echo)
    else:
        out.check(frame, "ICMP", True, not (row["icmp.type"] or row["icmpv6.type"]) or bool(frame.malformed))


def _http(out: Differences, frame: Frame, row: Row) -> None:
    if seen_before(row):
        return
    http = frame.http
    theirs = tuple(first(row[f"http.{x}"]) for x in ("request.method", "request.uri"))
    status = number(row["http.response.code"])
    out.check(frame, "HTTP", (http.method, http.uri, http.status) if http else (None, None, None), (*theirs, status))


def values(row: Row, *names: str) -> list[str]:
    return [value for name in names for value in row[name].split("|") if value]


def compare_bgp(frames: list[Frame], rows: list[Row]) -> Differences:
    """All messages of a frame beside the fields of that frame."""
    out = Differences()
    by_frame: dict[int, list[bgp.Message]] = {}
    for one in bgp.messages(frames):
        by_frame.setdefault(one.frame.number, []).append(one.message)
    for frame, row in zip(frames, rows, strict=True):
        if seen_before(row):
            continue
        mine = by_frame.get(frame.number, [])
        out.check(frame, "types", [str(m.type) for m in mine], values(row, "bgp.type"))
        out.check(frame, "lengths", [str(m.length) for m in mine], values(row, "bgp.length"))
        opens = [m for m in mine if m.type == bgp.OPEN]
        theirs = [values(row, f"bgp.open.{x}") for x in ("version", "holdtime", "identifier")]
        ours = [[str(getattr(m, x)) for m in opens] for x in ("version", "hold_time", "router_id")]
        out.check(frame, "OPEN", ours, theirs)
        wide = values(row, "bgp.cap.4as") or values(row, "bgp.open.myas")
        out.check(frame, "AS", [str(m.asn) for m in opens], wide)
        codes = [str(c.code) for m in opens for c in m.capabilities]
        expected = values(row, "bgp.cap.type")
        is_partial = any(m.problem for m in mine)
        out.check(frame, "capabilities", codes, expected[: len(codes)] if is_partial else expected)
        attributes = [a for m in mine for a in m.attributes]
        out.check(
            frame, "attributes", [str(a.code) for a in attributes], values(row, "bgp.update.path_attribute.type_code")
        )
        for code, field in ((4, "multi_exit_disc"), (5, "local_pref"), (3, "next_hop")):
            meanings = [a.meaning for a in attributes if a.code == code]
            out.check(frame, field, meanings, values(row, f"bgp.update.path_attribute.{field}"))
        origins = [str({v: k for k, v in bgp.ORIGINS.items()}[a.meaning]) for a in attributes if a.code == 1]
        out.check(frame, "origin", origins, values(row, "bgp.update.path_attribute.origin"))
        path = [str(asn) for m in mine for asn in m.as_path]
        segments = ("as_path_segment.as4", "as_path_segment.as2")
        out.check(frame, "path", path, values(row, *(f"bgp.update.path_attribute.{x}" for x in segments)))
        announced = sorted(prefix.partition("/")[0] for m in mine for prefix in m.announced)
        fields = ("bgp.nlri_prefix", "bgp.mp_reach_nlri_ipv4_prefix", "bgp.mp_reach_nlri_ipv6_prefix")
        out.check(frame, "announced", announced, sorted(values(row, *fields)))
        withdrawn = [prefix.partition("/")[0] for m in mine for prefix in m.withdrawn]
        out.check(frame, "withdrawn", withdrawn, values(row, "bgp.withdrawn_prefix"))
        bits = sorted(prefix.partition("/")[2] for m in mine for prefix in (*m.announced, *m.withdrawn))
        out.check(frame, "bits", bits, sorted(values(row, "bgp.prefix_length")))
        notes = [m for m in mine if m.type == bgp.NOTIFICATION]
        out.check(frame, "reason", [str(m.code) for m in notes], values(row, "bgp.notify.major_error"))
    return out


def both(path: Path, name: str, *preferences: str) -> Differences:
    rows = tshark(path, *preferences)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptureWarning)
        frames = list(capture.read(path, name))
    found = compare(frames, rows, name)
    spoken = compare_bgp(frames, rows)
    found.found += spoken.found
    found.compared += spoken.compared
    return found


def all_captures(recording: Recording, tmp_path: Path) -> tuple[list[str], int]:
    found, compared = [], 0
    for name in recording.manifest.files:
        if name.startswith("captures/") or name.endswith(".pcap"):
            path = tmp_path / name.replace("/", "-")
            path.write_bytes(recording.read(name))
            result = both(path, name)
            found += [f"{name}: {one}" for one in result.found]
            compared += result.compared
    return found, compared


def test_frame_equals_tshark_on_shipped_captures(recording: Recording, tmp_path: Path) -> None:
    found, compared = all_captures(recording, tmp_path)
    print(f"{compared:,} fields or groups of fields compared, {len(found)} differences")
    assert not found, "\n".join(found[:20])
    assert compared > 300_000


def test_frame_equals_tshark_on_reference_captures(reference_recording: Recording, tmp_path: Path) -> None:
    found, compared = all_captures(reference_recording, tmp_path)
    print(f"{compared:,} fields or groups of fields compared, {len(found)} differences")
    assert not found, "\n".join(found[:20])
    assert compared > 300_000


def test_malformed_captures_count() -> None:
    assert len(malformed_captures.MAKERS) >= 50


@pytest.mark.parametrize("name", malformed_captures.MAKERS)
def test_frame_equals_tshark_on_malformed_captures(odd_captures: dict[str, bytes], tmp_path: Path, name: str) -> None:
    content = odd_captures[name]
    assert list(capture.read(io.BytesIO(content)))
    path = tmp_path / "odd.pcap"
    path.write_bytes(content)
    # segments out of order are put in order; in a long capture tshark would wait for a lost one until its end
    found = both(path, name, "tcp.reassemble_out_of_order:TRUE")
    assert not found.found, "\n".join(found.found)
