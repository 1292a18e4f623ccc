"""`kans timeline`: the timeline of an outage from any captures, logs or recordings, in the terminal and as a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from kanslib.analysis import captures, neighbor_cache, speaker_logs
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.observation_data import TimeWindow, neighbor_updates
from kanslib.answer import Provenance, utc
from kanslib.backends.observed_actions import action_names, observed_actions
from kanslib.cli.output_files import check_output_file, write_output_file
from kanslib.cli.terminal import plain_console
from kanslib.cli.timeline_inputs import Facts, read_inputs
from kanslib.cli.timeline_json import timeline_json
from kanslib.exceptions import KanslibError, UnknownNameError
from kanslib.i18n import listed, parted, tr
from kanslib.k8s.objects import is_ip_address
from kanslib.packets.capture import Frame
from kanslib.recording import Recording
from kanslib.recording.format import MANIFEST
from kanslib.render import arp_words, outage_timeline, report
from kanslib.status import show_status

console = plain_console(soft_wrap=True)


def timeline(
    paths: Sequence[Path],
    vips: Sequence[str],
    zero: str | None,
    actions: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> None:
    """Read captures, logs and recordings, print the timeline in words or as JSON, and write an HTML page to `out`.

    `vips`: the Services' addresses, by default those that captures or logs show announced. `zero`: the moment that
    times count from. `actions`: ids of actions in recordings, by default all. KanslibError for an input that cannot
    be read.
    """
    if out:
        check_output_file("--out", out)
    for path in paths:
        _check_input(path)
    for vip in vips:
        if not is_ip_address(vip):
            raise KanslibError(tr("--vip {vip!r}: expected an address, such as 192.0.2.50", vip=vip))
    vips = [str(ip_address(vip)) for vip in vips]  # IPv6 has several spellings
    since = _parse_zero(zero)
    recordings = [path for path in paths if _is_recording(path)]
    others = [path for path in paths if path not in recordings]
    _check_actions(actions, recordings)
    facts: Facts = []
    sections: list[report.ReportSection] = []
    for path in recordings:
        with show_status(tr("reading {name}", name=path.name)):
            sections += _recording_sections(path, actions, facts)
    if others:
        sections += _file_sections(others, vips, since, facts)
    if as_json:
        print(json.dumps(timeline_json(facts, sections), indent=1))
    else:
        _print(facts, sections)
    if out:
        with show_status(tr("drawing the page")):
            page = report.page(tr("Timeline of {paths}", paths=listed(path.name for path in paths)), facts, sections)
        write_output_file("--out", out, page)
    if out and not as_json:
        console.print(
            "\n"
            + tr(
                "written: {out} ({megabytes:.1f} MB, opens in any browser, needs no network)",
                out=out,
                megabytes=len(page) / 1e6,
            )
        )


def _print(facts: Facts, sections: Sequence[report.ReportSection]) -> None:
    for name, fact in facts:
        console.print(f"{name}: {fact}", markup=False, style="dim")
    for section in sections:
        console.print(f"\n{section.title}", style="bold")
        console.print(outage_timeline.describe(section.outage) or tr("no request and no event"))
        console.print("\n".join(arp_words.sentences(section.neighbors, section.neighbor_updates, section.context)))


def _check_input(path: Path) -> None:
    """Raise KanslibError for what is no file to read, before anything is read."""
    if not path.exists():
        raise KanslibError(
            tr("{path}: no such file; expected a capture, a log with timestamps, or a recording", path=path)
        )
    if path.is_dir() and not _is_recording(path):
        raise KanslibError(
            tr(
                "{path}: a directory without {manifest}, so no recording; next step: name the files in it",
                path=path,
                manifest=MANIFEST,
            )
        )
    if not (path.is_dir() or path.is_file()):
        raise KanslibError(
            tr("{path}: expected a regular file; next step: write what a pipe or a device gives to a file", path=path)
        )


def _check_actions(actions: Sequence[str], recordings: Sequence[Path]) -> None:
    """Raise UnknownNameError for an action that no recording has."""
    known = [name for path in recordings for name in action_names(Recording.shared(path))] if actions else []
    for action in actions:
        if action not in known:
            raise UnknownNameError("action", action, known)


def _is_recording(path: Path) -> bool:
    return path.suffix == ".zip" or (path / MANIFEST).is_file()


def _parse_zero(text: str | None) -> float | None:
    """Return the Unix seconds of `--zero`: a number, or a date and time (UTC unless it names a zone)."""
    if text is None:
        return None
    try:
        return _seconds(text)
    except (ValueError, OverflowError):
        raise KanslibError(
            tr("--zero {text!r}: expected Unix seconds, or a time such as 2026-11-23T13:31:18.7", text=text)
        ) from None


def _seconds(text: str) -> float:
    """Return Unix seconds. ValueError or OverflowError for a text that is no time with a date."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = datetime.fromisoformat(text if "+" in text or text.endswith("Z") else text + "+00:00").timestamp()
    datetime.fromtimestamp(seconds, UTC)  # raises ValueError, OverflowError
    return seconds


# ── recordings ───────────────────────────────────────────────────────────────────────────────────────────────


def _recording_sections(path: Path, actions: Sequence[str], facts: Facts) -> Iterator[report.ReportSection]:
    recording = Recording.open(path)
    manifest = recording.manifest
    facts.append((path.name, f"{manifest.title}; {listed(f'{k} {v}' for k, v in manifest.versions.items())}"))
    for one in observed_actions(recording, actions):
        seen = one.observation
        neighbors, updates = NeighborAnalysis.of(seen.frames()), neighbor_updates(seen)
        client = seen.topology.client or tr("the client")
        context = arp_words.PlotContext(seen, one.services, seen.mac_owners, client)
        yield report.ReportSection(
            f"{one.action} ({one.story})", one.outage, neighbors, updates, context, seen.provenance
        )


# ── captures and logs ────────────────────────────────────────────────────────────────────────────────────────


def _file_sections(
    paths: Sequence[Path], vips: Sequence[str], zero: float | None, facts: Facts
) -> list[report.ReportSection]:
    found = read_inputs(paths, facts)
    wanted = list(vips) or captures.likely_vips(found.frames) or speaker_logs.announced_addresses(found.logs.values())
    if not wanted and not found.logs:
        raise KanslibError(
            tr(
                "no capture contains an announcement, a conflict or a TCP connection: name the address "
                "with --vip, or capture with: tcpdump -i eth0 -w x.pcap 'arp or icmp6 or tcp'"
            )
        )
    names = {vip: vip for vip in wanted}
    for node, events in speaker_logs.undated_events(found.logs, names).items():
        words = parted(map(str, events)) or tr("none")
        facts.append(
            (node, tr("its log has no timestamps: known are only its events in their order: {words}", words=words))
        )
    if not found.frames and not any(line.time for lines in found.logs.values() for line in lines):
        return []
    outage = captures.outage_from_captures(found.frames, found.logs, names, zero)
    neighbors = NeighborAnalysis.of(found.frames)
    client, mac = _find_client(found.frames, wanted)
    ends = [frame.time for frame in found.frames] or [outage.zero]
    window = TimeWindow(ends[0], outage.zero, ends[-1], outage.action)
    context = arp_words.PlotContext(window, names, _find_owners(neighbors, wanted), client or tr("the client"))
    updates = neighbor_cache.neighbor_updates(neighbors, client, mac, found.frames) if client else []
    provenance = Provenance("recorded", outage.zero, "opening", listed(path.name for path in paths))
    return [
        report.ReportSection(
            tr("{wanted} from {utc} on", wanted=listed(wanted), utc=utc(ends[0])),
            outage,
            neighbors,
            updates,
            context,
            provenance,
        )
    ]


def _find_client(frames: Sequence[Frame], vips: Sequence[str]) -> tuple[str, str]:
    """Return address and MAC address of the host with most connections to the VIPs; empty where none is known."""
    connections: Counter[tuple[str, str]] = Counter()
    for frame in frames:
        if frame.tcp and frame.ip and frame.tcp.is_syn and frame.ip.dst in vips:
            connections[frame.ip.src, frame.source_mac or ""] += 1
    return connections.most_common(1)[0][0] if connections else ("", "")


def _find_owners(neighbors: NeighborAnalysis, vips: Sequence[str]) -> dict[str, str]:
    """Return the host of each MAC address: the first address that it answered for, other than VIPs."""
    owners: dict[str, str] = {}
    for address in neighbors.addresses:
        if address not in vips:
            for owner in neighbors.ownership(address):
                owners.setdefault(owner.mac, address)
    return owners
