"""The ARP story beside what the cluster said: MetalLB's rounds, the client's neighbor table, the known conflict."""

from __future__ import annotations

import json
from statistics import median

import pytest

from kanslib.analysis.neighbor_cache import NeighborUpdate, neighbor_updates, neighbors_at
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.recording import Recording
from kanslib.recording.format import Segment
from tests.types import OpenLab

ASIDE = 0.05  # seconds between a frame on the bridge and what the kernel made of it


def client_of(recording: Recording, take: Segment) -> tuple[str, str]:
    """The client's address and its MAC address, by its own words."""
    for read in recording.reads():
        if read.place == take.client and read.command == "ip -j addr" and take.start <= read.t <= take.end:
            for link in json.loads(recording.text(read.file)):
                if any(info["local"] == take.addresses[str(take.client)] for info in link["addr_info"]):
                    return take.addresses[str(take.client)], link["address"]
    return take.addresses[str(take.client)], "02:42:ac:12:00:64"


def compared(recording: Recording) -> tuple[int, list[str]]:
    """Every entry of every neighbor table that the client printed, beside the cache derived from the wire."""
    same, wrong = 0, []
    for take in recording.manifest.segments:
        ip, mac = client_of(recording, take)
        frames = recording.frames(take.id)
        changes = neighbor_updates(NeighborAnalysis.of(frames), ip, mac, frames)
        known = {change.address for change in changes}
        for read in recording.reads():
            if read.place != take.client or read.command != "ip -j neigh" or not take.start <= read.t <= take.end:
                continue
            for entry in json.loads(recording.text(read.file)):
                if "lladdr" not in entry or entry["dst"] not in known:
                    continue
                could_be = seen_between(changes, entry["dst"], read.t - ASIDE, read.end + ASIDE)
                if not could_be:
                    continue  # learned before the capture began
                if entry["lladdr"] in could_be:
                    same += 1
                else:
                    wrong.append(f"{take.id} {read.t}: {entry} but {could_be}")
    return same, wrong


def seen_between(changes: list[NeighborUpdate], address: str, start: float, end: float) -> set[str]:
    """What the cache held for an address at any time while a command ran."""
    before = neighbors_at(changes, start).get(address)
    inside = {change.mac for change in changes if change.address == address and start <= change.time <= end}
    return inside | ({before} if before else set())


def test_neighbors_at_equals_clients_ip_neigh(recording: Recording) -> None:
    same, wrong = compared(recording)
    print(f"{same} entries equal, {len(wrong)} not")
    assert not wrong, "\n".join(wrong[:10])
    assert same > 500


def test_neighbors_at_equals_clients_ip_neigh_in_reference(reference_recording: Recording) -> None:
    same, wrong = compared(reference_recording)
    print(f"{same} entries equal, {len(wrong)} not")
    assert not wrong, "\n".join(wrong[:10])
    assert same


@pytest.mark.parametrize("service", ["svc1", "svc2", "svc3"])
def test_arp_analysis_announcements_five_rounds_of_two(open_lab: OpenLab, service: str) -> None:
    """MetalLB v0.14.8 internal/layer2/announcer.go: at once, then every 1.1 s for 5 s; a request and a reply."""
    lab = open_lab("arp")
    lab.at("apply-services-3")
    rows = lab.observation().arp.announcements(service)
    first = rows.iloc[0]
    assert first.ROUNDS >= 5  # a sync in between begins the five seconds anew
    assert first.REQUESTS == first.REPLIES
    assert abs(median(float(gap) for gap in first.GAPS.split()) - 1.1) <= 0.1
    assert lab.leader(service) == first.HOLDER
    assert "RFC 5227 has zeros: as MetalLB does it" in first.ANOMALIES


def test_arp_analysis_neighbor_updates_follow_takeover(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    learned = lab.observation().arp.neighbor_updates().set_index("ADDRESS")
    assert learned.HOLDER[lab.vip("svc1")] == lab.leader("svc1")
    assert learned.BECAUSE[lab.vip("svc1")] == "an announcement"
    assert lab.vip("svc3") not in learned.index  # its leader did not change
    dark = lab.observation().phases("svc1").set_index("PHASE").TO["VIP dark"]
    assert abs(learned.AT[lab.vip("svc1")] - dark) < 0.5


def test_arp_analysis_conflicts_two_holders_of_one_address(open_lab: OpenLab) -> None:
    lab = open_lab("case-9")
    lab.at("opening")
    conflicts = lab.observation().arp.conflicts()
    assert conflicts.ADDRESS.tolist() == [lab.vip("svc1")]
    assert str(lab.leader("svc1")) in conflicts.HOLDERS[0]
    assert conflicts.HOLDERS[0].count(",") == 1


def test_arp_analysis_conflicts_none_with_one_leader(open_lab: OpenLab) -> None:
    for story, act in (("arp", "apply-services-3"), ("failover", "kill-node"), ("election", "exclude-leader")):
        lab = open_lab(story)
        lab.at(act)
        assert lab.observation().arp.conflicts().empty


def test_arp_analysis_conflicts_both_speakers_believed_they_lead(open_lab: OpenLab, recording: Recording) -> None:
    """An announcement that is answered: each time, both have claimed the Service within seconds of it."""
    lab = open_lab("l2")
    story = NeighborAnalysis.of(recording.frames("course"))
    places = lab.observation().mac_owners()
    objections = story.objections()
    assert len(objections) >= 10
    for objection in objections:
        assert {objection.mac, objection.asker} <= set(places)
        claimed = {
            one.mac
            for one in story.announcements(objection.address)
            if any(abs(t - objection.frame.time) < 12 for t in one.rounds)
        }
        assert objection.asker in claimed


def test_arp_analysis_scans_recognized_and_leave_no_neighbor(recording: Recording) -> None:
    story = NeighborAnalysis.of(recording.frames("course"))
    scans = story.scans()
    looked = [read for read in recording.reads() if "arp-scan" in read.command]
    told = [read for read in looked if any(scan.first - 1 <= read.end and read.t <= scan.last + 1 for scan in scans)]
    assert len(told) == len(looked) > 0
    assert all(scan.requested >= 51 for scan in scans)


def test_arp_timeline_words_equal_figure(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    lab.at("kill-node")
    words = lab.observation().arp.timeline().describe()
    was, now = "myk8s-worker", lab.leader("svc1")
    assert f"Neighbor cache of mypc: {was} from" in words
    assert f"then {now} from +5.3 s" in words
