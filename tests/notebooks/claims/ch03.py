"""The claims of chapter 03: ARP on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from itertools import pairwise

from kanslib.course import manifests
from kanslib.exercises.catalog import CATALOG
from kanslib.lab.lab import Lab
from kanslib.lab.observation import Observation
from kanslib.packets.arp import ARP, BROADCAST_MAC, REPLY, REQUEST
from tests.notebooks.claims import Claims

CLAIMS = Claims()
SERVICES = ("svc1", "svc2", "svc3")


def messages(seen: Observation) -> list[ARP]:
    return [frame.arp for frame in seen.frames("arp") if frame.arp]


def asks_of_leader(lab: Lab) -> list[float]:
    """The seconds at which svc1's leader itself asks for the VIP, around the opening."""
    lab.at("opening")
    vip, leader = lab.vip("svc1"), lab.address(str(lab.leader("svc1")))
    seen = lab.observation()
    return [
        seen.seconds(frame.time)
        for frame in seen.frames("arp")
        if frame.arp and (frame.arp.sender_ip, frame.arp.target_ip) == (leader, vip)
    ]


# ── ask everybody ───────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "03-09",
    "One card answers for two addresses",
    "the same MAC address in both answers",
    "the events and the wire agree",
    story="arp",
)
def one_card_for_two(lab: Lab) -> None:
    lab.at("apply-services")
    scan = lab.arp_scan()
    holders = dict(zip(scan.ADDRESS, scan.HOLDER, strict=True))
    assert holders == {lab.vip(name): lab.leader(name) for name in SERVICES}
    assert scan.MAC.value_counts().max() == 2


CLAIMS.fact(
    "03-09", "MetalLB's page on troubleshooting uses `arping`, too", source="MetalLB docs, troubleshooting (arping)"
)
CLAIMS.fact("one-machine-for-two", "Users reported two VIPs on one node", source="MetalLB issue #2284")
CLAIMS.claim("one-machine-for-two", "One node leads two VIPs", story="arp")(one_card_for_two)

# ── why the client asks ─────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "03-62",
    "No entry names the VIP or the leader",
    "a default route and the route of the client's own network",
    story="arp",
    on=("recorded",),
)
def routes_of_the_client(lab: Lab) -> None:
    lab.at("apply-services")
    routes = json.loads(lab.run(lab.client, "ip -j route"))
    assert [route["dst"] for route in routes] == ["default", lab.network()]
    assert ip_address(lab.vip("svc1")) in ip_network(lab.network())
    assert "gateway" not in routes[1]


# ── the conversation ────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "03-14",
    "The answer `is-at` goes to the asker alone",
    "The speakers that do not lead svc1 kept silent",
    story="arp",
    on=("recorded",),
)
def one_answer(lab: Lab) -> None:
    lab.at("opening")
    seen, vip, me = lab.observation(), lab.vip("svc1"), lab.address(lab.client)
    frames = [frame for frame in seen.frames("arp") if frame.arp and not frame.arp.is_gratuitous]
    answers = [frame for frame in frames if frame.arp and (frame.arp.sender_ip, frame.arp.target_ip) == (vip, me)]
    questions = [frame for frame in frames if frame.arp and (frame.arp.sender_ip, frame.arp.target_ip) == (me, vip)]
    assert len(answers) == len(questions) > 0
    assert {frame.destination_mac for frame in questions} == {BROADCAST_MAC}
    assert {seen.mac_owners()[str(frame.destination_mac)] for frame in answers} == {lab.client}
    assert {seen.mac_owners()[str(frame.source_mac)] for frame in answers} == {lab.leader("svc1")}


@CLAIMS.claim(
    "03-14", "Your scan asked first", "The client asked again before it sent its first packet to svc1",
    story="arp", on=("recorded",),
)  # fmt: skip
def asked_twice(lab: Lab) -> None:
    lab.at("opening")
    seen, vip, me = lab.observation(), lab.vip("svc1"), lab.address(lab.client)
    asks = [
        seen.seconds(one.time) for one in seen.frames("arp")
        if one.arp and (one.arp.sender_ip, one.arp.target_ip) == (me, vip)
    ]  # fmt: skip
    packets = [
        seen.seconds(one.time) for one in seen.frames("ip") if one.ip and (one.ip.src, one.ip.dst) == (me, vip)
    ]  # fmt: skip
    scanned = {
        str(one.arp.target_ip) for one in seen.frames("arp")
        if one.arp and one.arp.sender_ip == me and abs(seen.seconds(one.time) - asks[0]) < 1
    }  # fmt: skip
    assert len(scanned) > 10
    assert asks[0] + 1 < asks[1] <= packets[0] < asks[1] + 1


CLAIMS.fact(
    "03-14",
    "An answer has twenty-eight bytes, in this order",
    "| network | 2 |",
    "| protocol | 2 |",
    "| sizes of both addresses | 1 + 1 |",
    "| operation | 2 |",
    "| sender's MAC address | 6 |",
    "| sender's IPv4 address | 4 |",
    "| target's MAC address | 6 |",
    "| target's IPv4 address | 4 |",
    "operation 2 is an answer",
    source="RFC 826, packet format for Ethernet and IPv4",
)


@CLAIMS.claim("03-14", "All nodes received the question", story="arp", on=("recorded",))
def picture_shows_the_frames(lab: Lab) -> None:
    lab.at("opening")
    table = lab.observation().arp.conversation("svc1").table
    nodes = ", ".join(lab.nodes().NAME)
    assert table.TO.tolist() == [nodes, lab.client] * (len(table) // 2)
    assert set(table.FROM[1::2]) == {lab.leader("svc1")}


CLAIMS.fact("03-16", "each of its four numbers is one byte", source="RFC 791, section 3.2")
CLAIMS.fact(
    "read-the-answer", "Bytes 6 and 7 are the operation; 2 is an answer", "MAC address begins at 8",
    "from the 28 bytes of an ARP message", "For another message, return None",
    "The operation is at byte 6, the sender's MAC at 8",
    "message[8:14].hex(':') and '.'.join(map(str, message[14:18]))",
    source="RFC 826, packet format",
)  # fmt: skip

# ── ping the VIP ────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "03-65", "It asks three times, a second apart", "No machine answers",
    story="arp", on=("recorded",),
)  # fmt: skip
def leader_asks_for_its_vip(lab: Lab) -> None:
    times = asks_of_leader(lab)
    assert len(times) == 3
    assert all(0.9 < later - earlier < 1.2 for earlier, later in pairwise(times))
    vip, leader = lab.vip("svc1"), lab.address(str(lab.leader("svc1")))
    replies = [one for one in messages(lab.observation()) if one.operation == REPLY and one.sender_ip == vip]
    assert leader not in {one.target_ip for one in replies}


@CLAIMS.claim("03-25", 'The packet goes "on to" the VIP, out of the card by which it came in', story="arp")
def echo_goes_on(lab: Lab) -> None:
    lab.at("apply-services")
    (way,) = lab.trace(f"{lab.vip('svc1')}:81")
    assert way.verdict == "ACCEPT"
    assert way.packet.dst == lab.vip("svc1")
    assert "by eth0" in lab.trace(f"{lab.vip('svc1')}:81").describe()


@CLAIMS.claim(
    "03-76", "After the third question", "This `ping` waited one second for each reply", story="arp", on=("recorded",)
)
def unreachable_after_ping(lab: Lab) -> None:
    times = asks_of_leader(lab)
    seen, leader, me = lab.observation(), lab.address(str(lab.leader("svc1"))), lab.address(lab.client)
    to_me = [frame for frame in seen.frames("ip") if frame.ip and (frame.ip.src, frame.ip.dst) == (leader, me)]
    errors = [frame for frame in to_me if frame.icmp and frame.icmp.is_unreachable]
    assert {frame.icmp.meaning for frame in errors if frame.icmp} == {"host unreachable"}
    text = lab.run(lab.client, f"ping -c 2 -W 1 {lab.vip('svc1')}")
    duration = int(text.rpartition("time ")[2].split("ms")[0]) / 1000  # between its first and its last request
    assert min(seen.seconds(frame.time) for frame in errors) > times[0] + duration + 1
    assert "nreachable" not in text


CLAIMS.fact("03-25", "(`net.ipv4.ip_forward` is 1)", source="kubeadm preflight checks (FileContent ip_forward)")
CLAIMS.fact("03-76", "Some networks also show `Redirect Host`", source="MetalLB issue #469")


@CLAIMS.claim("03-20", "The VIP is on no interface of the leader", story="arp", on=("recorded",))
def vip_on_no_interface(lab: Lab) -> None:
    lab.at("opening")
    assert lab.vip("svc1") not in lab.run(str(lab.leader("svc1")), "ip -j addr")


CLAIMS.fact(
    "03-20", "There a ping gets a reply", "all nodes answer ARP",
    source="Kubernetes pkg/proxy/ipvs (kube-ipvs0); MetalLB docs, installation; MetalLB issue #153",
)  # fmt: skip


@CLAIMS.claim("03-27", "proves nothing about MetalLB", story="arp")
def node_never_asks(lab: Lab) -> None:
    lab.at("apply-services")
    for node in ("myk8s-worker2", "myk8s-control-plane"):
        assert all(way.packet.dst != lab.vip("svc1") for way in lab.trace("svc1", source=node))


# ── announcements ───────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "03-34", "about a second apart", "Each round is one request and one reply",
    "counts two announcements for each of its marks", story="arp",
)  # fmt: skip
def rounds(lab: Lab) -> None:
    lab.at("apply-services")
    seen = lab.observation()
    for row in seen.arp.announcements().to_dict("records"):
        assert 2 < row["ROUNDS"] < 10
        assert row["REQUESTS"] == row["REPLIES"] == row["ROUNDS"]
        assert all(0.8 < float(gap) < 1.3 for gap in str(row["GAPS"]).split())
        assert row["SECONDS"] < 5
    announced = [one for one in messages(seen) if one.is_gratuitous]
    assert {one.operation for one in announced} == {REQUEST, REPLY}


CLAIMS.fact(
    "03-34", "for one second after an update, Linux keeps an entry as it is",
    source="Linux net/ipv4/arp.c arp_process, locktime (arp(7)); MetalLB issue #172",
)  # fmt: skip
CLAIMS.fact("03-34", "because some systems accept only one of the two forms", source="RFC 5227, section 3; RFC 5944")
CLAIMS.fact("03-34", "Since 2017, Linux makes an exception", source="Linux commit 7d472a59c0e5 (May 2017)")
CLAIMS.fact("03-34", "They do no harm here", source="MetalLB v0.14.8 internal/layer2/arp.go gratuitous")


@CLAIMS.claim(
    "03-36", "The same node leads as before", "this client learned nothing new", story="arp", on=("recorded",)
)
def same_leader_as_before(lab: Lab) -> None:
    lab.at("opening")
    before = [lab.leader(name) for name in SERVICES]
    lab.at("apply-services")
    assert [lab.leader(name) for name in SERVICES] == before
    assert lab.vip("svc1") not in lab.observation().arp.neighbor_updates().ADDRESS.tolist()


@CLAIMS.claim(
    "03-36", "somebody changed one field of svc3 (`sessionAffinity`)", "The leader stayed the same", story="etp-local",
    on=("recorded",),
)  # fmt: skip
def affinity_changed(lab: Lab) -> None:
    lab.at("prepare")
    before, leader = lab.object("services", "svc3")["spec"], lab.leader("svc3")
    lab.at("apply-session-affinity")
    after = lab.object("services", "svc3")["spec"]
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    assert changed <= {"sessionAffinity", "sessionAffinityConfig"}
    assert "sessionAffinity" in changed
    assert lab.leader("svc3") == leader


@CLAIMS.claim(
    "03-68", "The same node announced itself again, with the same number of rounds", story="etp-local", on=("recorded",)
)
def announced_again(lab: Lab) -> None:
    lab.at("prepare")
    leader = lab.leader("svc3")
    lab.at("apply-session-affinity")
    table = lab.observation().arp.announcements("svc3")
    assert table.HOLDER.tolist() == [leader]
    assert table.ROUNDS.tolist() == [5]


CLAIMS.fact("03-68", "does all of its work anew", source="MetalLB v0.14.8 internal/layer2/announcer.go SetBalancer")
CLAIMS.fact("03-68", "So a second burst does not mean a new leader", source="MetalLB v0.14.8 speaker/main.go")
CLAIMS.fact("03-68", "Today (2026)", "`--gratuitous-arp-interval`", source="MetalLB v0.16.2 speaker/main.go")
CLAIMS.fact(
    "how-often-announced", "a speaker of v0.14.8 is silent until something changes", source="MetalLB issue #1761"
)


@CLAIMS.claim("how-often-announced", "rounds about a second apart", story="arp")
def rounds_in_feedback(lab: Lab) -> None:
    rounds(lab)


# ── what the client remembers ───────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "03-39", "All three VIPs were announced", "The table has an entry for one of them",
    "the client had used that one before", story="arp", on=("recorded",),
)  # fmt: skip
def no_new_entries(lab: Lab) -> None:
    lab.at("apply-services")
    vips = {lab.vip(name) for name in SERVICES}
    assert vips == set(lab.observation().arp.announcements().ADDRESS)
    assert vips & set(lab.neighbors().ADDRESS) == {lab.vip("svc1")}
    lab.at("opening")
    seen, me = lab.observation(), lab.address(lab.client)
    assert {one.target_ip for one in messages(seen) if one.sender_ip == me} >= {lab.vip("svc1")}
    used = {frame.ip.dst for frame in seen.frames("ip") if frame.ip and frame.ip.src == me}
    assert used & vips == {lab.vip("svc1")}


CLAIMS.fact("03-39", "and makes no new one", "`arp_accept`", source="Linux ip-sysctl, arp_accept; net/ipv4/arp.c")
CLAIMS.fact(
    "03-39",
    "something confirmed it within about half a minute",
    source="arp(7): base_reachable_time, 30 s times 0.5–1.5",
)
CLAIMS.fact(
    "03-39", "or an announcement changed the entry",
    source="Linux net/ipv4/arp.c arp_process: NUD_STALE unless a unicast reply; neigh_update",
)  # fmt: skip


@CLAIMS.claim(
    "03-41", "Two VIPs moved", "The list of announcements shows svc3 because of a resync: its leader stayed",
    "one frame changed the entry that it had", "The other VIP that moved has no entry here",
    story="election", on=("recorded",),
)  # fmt: skip
def takeover(lab: Lab) -> None:
    lab.at("opening")
    before = {lab.vip(name): lab.leader(name) for name in SERVICES}
    lab.at("exclude-leader")
    after = {lab.vip(name): lab.leader(name) for name in SERVICES}
    moved = {vip for vip in before if before[vip] != after[vip]}
    assert len(moved) == 2
    seen = lab.observation("exclude-leader")
    assert set(seen.arp.announcements().ADDRESS) == set(before)
    assert lab.vip("svc3") in set(before) - moved
    updates = seen.arp.neighbor_updates()
    assert updates.BECAUSE.tolist() == ["an announcement"]
    assert set(updates.ADDRESS) <= moved
    remembered = set(lab.neighbors().ADDRESS)
    assert len(moved - remembered) == 1
    assert moved - remembered == moved - set(updates.ADDRESS)


@CLAIMS.claim(
    "write-the-entry-change", "does an ARP message give an entry of a client another MAC address?",
    "Linux makes no entry from an announcement", "Your function also returns True where the client has no entry",
    story="election", on=("recorded",),
)  # fmt: skip
def solution_finds_the_frame(lab: Lab) -> None:
    lab.at("opening")
    table = dict(zip(lab.neighbors().ADDRESS, lab.neighbors().MAC, strict=True))
    names: dict[str, Callable[[dict[str, str], ARP], bool]] = {}
    exec(CATALOG["write-the-entry-change"].solution, names)
    seen, found = lab.observation("exclude-leader"), []
    for frame in seen.frames("arp"):
        if frame.arp and frame.destination_mac == BROADCAST_MAC and names["changes"](table, frame.arp):
            table[frame.arp.sender_ip] = frame.arp.sender_mac
            found.append(frame.number)
    assert found == seen.arp.neighbor_updates().FRAME.tolist()


CLAIMS.fact(
    "write-the-entry-change", "Linux reads the sender of a request, too",
    source="Linux net/ipv4/arp.c arp_process: the sender of requests and replies; neigh_update",
)  # fmt: skip
CLAIMS.fact(
    "write-the-entry-change", "Each round of MetalLB has one of both", "The leader announces itself after each resync",
    source="MetalLB v0.14.8 internal/layer2/arp.go gratuitous, announcer.go SetBalancer",
)  # fmt: skip


@CLAIMS.claim("03-42", "No machine answers the scan", story="arp")
def nobody_answers(lab: Lab) -> None:
    lab.at("delete-l2advertisement")
    assert lab.arp_scan().empty


@CLAIMS.claim("03-47", "`curl` works", story="arp", on=("recorded",))
@CLAIMS.claim("who-forwards", "Without an advertisement, curl worked for this client", story="arp", on=("recorded",))
@CLAIMS.claim(
    "who-forwards",
    "Without an advertisement, a client with an entry still reached a Pod",
    story="arp",
    on=("recorded",),
)
def curl_works(lab: Lab) -> None:
    lab.at("delete-l2advertisement")
    assert lab.vip("svc1") in lab.neighbors().ADDRESS.tolist()
    assert lab.curl("svc1").HOSTNAME.iloc[0].startswith("webpod")


@CLAIMS.claim("03-47", "But when the recording began, this client had not yet used svc1", story="arp", on=("recorded",))
def client_without_entry(lab: Lab) -> None:
    lab.at("opening")
    assert lab.vip("svc1") not in lab.neighbors().ADDRESS.tolist()


@CLAIMS.claim(
    "03-72", "The client gets no answer", "a client without one has no service", story="arp", on=("simulated",)
)
def new_client_fails(lab: Lab) -> None:
    lab.at("opening")
    lab.delete(manifests.l2advertisement)
    assert "no answer" in lab.curl("svc1").HOSTNAME.iloc[0]


CLAIMS.fact("03-72", "Answered TCP traffic confirms it", source="Linux net/ipv4/tcp_input.c tcp_ack, sk_dst_confirm")

# ── two answers ─────────────────────────────────────────────────────────────────────────────────────────────


@CLAIMS.claim(
    "03-51", "two machines answered one question", "`curl` failed: the new server got the request",
    "the place of the question in the capture, counted from 0",
    story="arp", on=("simulated",),
)  # fmt: skip
@CLAIMS.claim(
    "whom-the-client-believes", "A new server has the address of svc1, too", "The client keeps the first answer",
    story="arp", on=("simulated",),
)  # fmt: skip
@CLAIMS.claim("03-74", "whose answer came first", "the faster answer wins", story="arp", on=("simulated",))
def conflict(lab: Lab) -> None:
    lab.at("opening")
    with lab.observe(capture="arp", seconds=5) as seen:
        lab.add_conflicting_host()
        assert "refused" in lab.curl("svc1").HOSTNAME.iloc[0]
    vip = lab.vip("svc1")
    (row,) = seen.arp.conflicts().to_dict("records")
    assert row["ADDRESS"] == vip
    question = next(iter(seen.frames()))
    assert row["FRAMES"] == "0"
    assert question.arp
    assert (question.arp.operation, question.arp.target_ip) == (REQUEST, vip)
    replies = [one for one in messages(seen) if one.operation == REPLY and one.sender_ip == vip]
    assert len({one.sender_mac for one in replies}) == 2
    believed = dict(zip(lab.neighbors().ADDRESS, lab.neighbors().MAC, strict=True))
    assert believed[vip] == replies[0].sender_mac
    assert replies[0].sender_mac not in {mac for mac, place in seen.mac_owners().items() if place.startswith("myk8s")}


@CLAIMS.claim("03-74", "the faster answer wins", story="case-9", on=("recorded",))
def faster_answer_wins(lab: Lab) -> None:
    lab.at("opening")
    seen, vip, me = lab.observation(), lab.vip("svc1"), lab.address(lab.client)
    replies = [one for one in messages(seen) if one.operation == REPLY and (one.sender_ip, one.target_ip) == (vip, me)]
    updates = seen.arp.neighbor_updates()
    assert updates.set_index("ADDRESS").HOLDER[vip] == replies[0].sender_mac
    assert len({one.sender_mac for one in replies}) == 2


CLAIMS.fact(
    "whom-the-client-believes", "look for a conflict about its own address (RFC 5227)", source="RFC 5227, section 2.4"
)
CLAIMS.fact(
    "03-25", "This chain comes from kind's Pod network, not from kube-proxy",
    source="kind v0.24.0 images/kindnetd/cmd/kindnetd/masq.go",
)  # fmt: skip
CLAIMS.fact(
    "03-74", "For one second, Linux ignores a second reply", source="Linux net/ipv4/arp.c arp_process, locktime"
)
CLAIMS.fact("03-74", "shows replies from two MAC addresses", source="iputils arping(8)")

# ── the price ───────────────────────────────────────────────────────────────────────────────────────────────

CLAIMS.fact("03-52", "Count a hundred requests", source="the next cell's code: times=100")


@CLAIMS.claim("03-54", "About half of these answers came from the Pod on the leader", story="arp")
def extra_hops(lab: Lab) -> None:
    lab.at("apply-l2advertisement")
    answers = lab.curl("svc1", times=100)
    where = dict(zip(lab.pods().NAME, lab.table("pods", wide=True).NODE, strict=True))
    on_leader = sum(row["COUNT"] for row in answers.to_dict("records") if where[row["HOSTNAME"]] == lab.leader("svc1"))
    assert 30 < on_leader < 70


# ── exercises ───────────────────────────────────────────────────────────────────────────────────────────────

CLAIMS.fact("who-answers-for-svc1", "Before version 0.11 it did", source="MetalLB commit de027b1d (v0.11.0)")
CLAIMS.fact(
    "who-forwards", "Its first mode worked like that (userspace, removed in Kubernetes v1.26)",
    source="Kubernetes CHANGELOG-1.26: the userspace proxy mode was removed",
)  # fmt: skip
CLAIMS.fact("what-carries-the-traffic", "svc1 gets ten times the traffic", source="the question's own supposition")
