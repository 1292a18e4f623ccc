"""Every exercise on a recording: its solution is right, each misconception gets its own words, garbage a clear one."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from kanslib.course import manifests
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.catalog.ch08_broken_labs import EVIDENCE
from kanslib.exercises.exercise import AnswerOutcome, Exercise, assess
from kanslib.exercises.misconceptions import ExpectedAnswer, Misconception, WrongChoice
from kanslib.lab.lab import Lab
from kanslib.lab.observation import ARPObservation, BGPObservation, Observation
from kanslib.packets.arp import ARP
from tests.types import OpenLab

# where the exercises of a chapter are asked: the story and the moment; then those that are asked elsewhere
CHAPTERS = {
    "00": ("failover", "kill-node"),
    "01": ("service-types", "apply-service-types"), "02": ("metallb", "apply-services"),
    "03": ("arp", "apply-services"), "04": ("iptables", "opening"), "05": ("election", "opening"),
    "06": ("failover", "kill-node"), "07": ("bgp", "route-client"), "08": ("case-1", "opening"),
}  # fmt: skip
ELSEWHERE = {
    "who-leads-after-the-label": ("election", "exclude-leader"),
    "does-curl-survive": ("arp", "delete-l2advertisement"), "does-it-move-back": ("election", "include-leader"),
    "why-the-rule-looks-broken": ("l2", "delete-speaker-pod"),
    "who-may-lead-with-local": ("etp-local", "apply-etp-local"),
    "local-without-a-pod": ("etp-local", "apply-etp-local"), "what-local-costs": ("etp-local", "apply-etp-local"),
    "what-the-health-port-says": ("etp-local", "apply-etp-local"),
    "how-long-is-a-goodbye": ("failover", "delete-speaker-pod"),
    "read-the-next-hop": ("bgp", "apply-bgp"), "earliest-end-of-hold": ("bgp", "apply-bgp"),
    "which-neighbor-sends-nothing": ("bgp", "apply-bgp"), "bytes-of-an-update": ("bgp", "apply-bgp"),
    "one-leader-under-bgp": ("bgp", "bgp-etp-local"), "share-of-a-lonely-pod": ("bgp", "bgp-etp-local"),
    "cable-or-kill": ("bgp-silent", "cut-link-2"), "ready-and-leading": ("failover", "start-node"),
    "router-and-a-killed-node": ("bgp", "kill-node"), "what-ends-a-silent-session": ("bgp-silent", "cut-link"),
    "case-10": ("arp", "opening"), "case-11": ("arp", "opening"), "write-the-conflict-check": ("case-9", "opening"),
    "whom-the-client-believes": ("case-9", "opening"),
    "does-a-check-on-a-node-find-it": ("case-9", "opening"), "what-a-reset-says": ("case-9", "opening"),
}  # fmt: skip
PLACES = {
    name: (one.story, "opening") if one.story else ELSEWHERE.get(name, CHAPTERS[one.chapter])
    for name, one in CATALOG.items()
}
# the manifests that break a cluster for an exercise
TWO_FAULTS = {"case-10": manifests.case_10, "case-11": manifests.case_11}
# an answer that shows a misconception, as a function of the expected one; those of a choice tell it themselves
HELD: dict[str, Callable[[ExpectedAnswer], object]] = {
    "more-pods-change-nothing": lambda _: "50 %",
    "rules-avoid-the-dead": lambda _: 0,
    "share-that-works": lambda _: 75,
    "failures-over-answers": lambda _: lambda rows: [ok for _, ok in rows].count(False) / sum(ok for _, ok in rows),
    "share-of-answers": lambda _: lambda rows: sum(ok for _, ok in rows) / len(rows),
    "a-count-is-no-share": lambda _: lambda rows: [ok for _, ok in rows].count(False),
    "doors-only-where-pods-are": lambda _: 2,
    "control-plane-has-no-door": lambda _: "3",
    "network-and-broadcast-are-lost": lambda _: 49,
    "a-range-without-its-end": lambda _: "50",
    "health-is-a-living-node": lambda expected: sorted(expected.wrong_names["everybody"]),
    "workers-are-healthy": lambda _: "myk8s-worker myk8s-worker2 myk8s-worker3",
    "pending-is-an-address": lambda _: pending_counts,
    "port-is-open-on-the-machine": lambda _: lambda port: service_yaml(f"port: {port}, targetPort: 80"),
    "each-type-has-a-node-port": lambda _: lambda port: service_yaml(f"port: 80, nodePort: {port}", kind="ClusterIP"),
    "pods-listen-on-the-service-port": lambda _: lambda port: service_yaml(f"port: 8080, nodePort: {port}"),
    "pods-are-found-without-a-selector": lambda _: lambda port: service_yaml(f"port: 80, nodePort: {port}", app="web"),
    "addresses-go-round": lambda _: go_round,
    "one-advertisement-serves-all": lambda _: pool_yaml,
    "apply-adds-to-a-list": lambda _: lambda addresses: pool_yaml(addresses) + advertisement_yaml("my-l2-advertise"),
    "any-namespace-will-do": lambda _: lambda addresses: pool_yaml(addresses, namespace="default"),
    "a-range-is-a-text": lambda _: lambda addresses: pool_yaml(addresses, dash="") + advertisement_yaml("spare"),
    "all-speakers-answer": lambda expected: sorted(expected.wrong_names["everybody"]),
    "nodes-with-pods-answer": lambda _: "myk8s-worker, myk8s-worker2",
    "the-target-is-the-answer": lambda _: read_target,
    "each-message-answers": lambda _: read_sender,
    "an-announcement-makes-an-entry": lambda _: lambda table, one: table.get(one.sender_ip) != one.sender_mac,
    "each-announcement-changes-an-entry": lambda _: lambda table, one: one.sender_ip in table,
    "a-question-changes-the-target": lambda _: lambda table, one: changes(table, one._replace(sender_ip=one.target_ip)),
    "only-a-reply-changes-an-entry": lambda _: lambda table, one: one.operation == 2 and changes(table, one),
    "leader-serves-alone": lambda _: 1,
    "one-way-for-each-node": lambda _: 4,
    "vip-goes-straight-to-kube-svc": lambda _: vip_rule_to("KUBE-SVC"),
    "vip-goes-through-the-node-port": lambda _: vip_rule_to("KUBE-EXT", "KUBE-NODEPORTS"),
    "numbers-start-at-one": lambda _: numbered_from(1),
    "two-endpoints-always": lambda _: numbered_from(0, 2),
    "equal-chances-are-fair": lambda _: lambda count: [1 / count for _ in range(count)],
    "policy-does-not-touch-the-election": lambda _: ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"],
    "local-lets-all-nodes-lead": lambda expected: sorted(expected.wrong_names["everybody"]),
    "an-excluded-node-steps-in": lambda _: "myk8s-control-plane",
    "the-next-or-the-idle-node-leads": lambda expected: sorted(expected.wrong_names["fewest Services"]),
    "the-leader-stays": lambda expected: sorted(expected.wrong_names["stays"]),
    "control-plane-may-lead": lambda _: "myk8s-control-plane",
    "leader-has-the-pod": lambda _: ("myk8s-worker2", "myk8s-worker"),
    "every-speaker-is-a-candidate": lambda expected: sorted(expected.wrong_names["everybody"]),
    "only-nodes-with-endpoints": lambda _: {"myk8s-worker", "myk8s-worker2"},
    "order-is-alphabetic": lambda _: lambda nodes, _address: min(nodes),
    "a-leader-is-counted-or-drawn": lambda _: fewest_addresses(),
    "addresses-go-in-turn": lambda _: in_turn,
    "the-largest-hash-leads": lambda _: lambda nodes, address: max(nodes, key=lambda node: digest(node, address)),
    "leaders-stay-when-a-node-joins": lambda _: 0,
    "newcomer-stirs-everything": lambda _: "51 addresses",
    "the-newcomer-is-not-counted": lambda expected: expected.wrong_numbers["share without it"],
    "a-change-moves-all": lambda _: lambda before, after, pool: pool if before != after else [],
    "only-a-leave-moves": lambda _: lambda before, after, pool: [ip for ip in pool if elect(before, ip) not in after],
    "the-pool-is-dealt-in-turn": lambda _: lambda before, after, pool: moved(before, after, pool, in_turn),
    "failures-are-seconds": lambda _: lambda rows: 0.05 * len([at for at, ok in rows if not ok]),
    "first-to-last-failure": lambda _: from_first_to_last,
    "no-pod-no-route": lambda _: "myk8s-control-plane myk8s-worker3",
    "bgp-needs-one-leader": lambda _: 1,
    "local-does-not-change-routes": lambda _: 3,
    "router-counts-pods": lambda _: "25 %",
    "attributes-have-fixed-places": lambda _: lambda message: ".".join(str(byte) for byte in message[39:43]),
    "hold-counts-from-the-cut": lambda _: 9,
    "one-keepalive-is-enough": lambda _: "3 s",
    "all-connections-go-to-the-silent-node": lambda _: 75,
    "the-average-keepalive-is-fresh": lambda _: "22.5 s",
    "half-is-always-lost": lambda _: 37.5,
    "linux-hashes-ports": lambda _: 3,
    "one-complaint-has-one-cause": lambda expected: sorted(expected.names)[:1],
    "complaints-of-a-day-share-a-cause": lambda expected: sorted(expected.names)[1:],
    "a-repeated-answer-is-a-conflict": lambda _: answered_again,
    "a-machine-has-a-single-address": lambda _: held_by_a_busy_machine,
    "a-failure-costs-an-interval": lambda expected: expected.wrong_numbers["a failure is a probe"],
    "failures-count-the-cost": lambda expected: expected.wrong_numbers["number of failures"],
    "outage-from-first-to-last-failure": lambda expected: expected.wrong_numbers["first to last"],
    "partly-dark-counts-whole": lambda expected: expected.wrong_numbers["each counts whole"],
    "only-dark-seconds-count": lambda expected: expected.wrong_numbers["dark only"],
    "one-failure-spoils-its-slice": lambda _: report_with_whole_slices,
}  # fmt: skip
# where a misconception may have been seen: something that can be looked up
SEEN = re.compile(r"MetalLB (issues?|PRs?|commit|docs)|kind issues?|the lesson that|the wrong ideas that this course")
GARBAGE = [math.nan, math.inf, object(), b"bytes", 10**400, "x" * 100_000, {"a": 1}, [1, 2], True, lambda: None, 1j]


def digest(node: str, address: str) -> bytes:
    return hashlib.sha256(f"{node}#{address}".encode()).digest()


def elect(nodes: list[str], address: str) -> str:
    return min(nodes, key=lambda node: digest(node, address))


def in_turn(nodes: list[str], address: str) -> str:
    return sorted(nodes)[int(address.rpartition(".")[2]) % len(nodes)]


def fewest_addresses() -> Callable[[list[str], str], str]:
    """A function that gives each address to the node that got the fewest so far."""
    given: list[str] = []

    def elect_idle(nodes: list[str], _address: str) -> str:
        given.append(min(nodes, key=given.count))
        return given[-1]

    return elect_idle


def moved(
    before: list[str], after: list[str], pool: list[str], rule: Callable[[list[str], str], str] = elect
) -> list[str]:
    return [address for address in pool if rule(before, address) != rule(after, address)]


def read(message: bytes) -> tuple[str, str] | None:
    if message[6:8] != bytes([0, 2]):
        return None
    return ".".join(str(byte) for byte in message[14:18]), ":".join(f"{byte:02x}" for byte in message[8:14])


def read_sender(message: bytes) -> tuple[str, str]:
    return ".".join(str(byte) for byte in message[14:18]), message[8:14].hex(":")


def read_target(message: bytes) -> tuple[str, str] | None:
    return read_sender(message[10:]) if message[7] == 2 else None


def changes(table: dict[str, str], message: ARP) -> bool:
    return message.sender_ip in table and table[message.sender_ip] != message.sender_mac


def next_hop(update: bytes) -> str:
    place = 23 + int.from_bytes(update[19:21])
    while update[place + 1] != 3:
        size = 2 if update[place] & 0x10 else 1
        place += 2 + size + int.from_bytes(update[place + 2 : place + 2 + size])
    return ".".join(str(byte) for byte in update[place + 3 : place + 7])


def chances(count: int) -> list[float]:
    return [1 / left for left in range(count, 0, -1)]


def vip_rule_to(target: str, chain: str = "KUBE-SERVICES") -> Callable[[str, int, str], str]:
    return lambda vip, port, end: f"-A {chain} -d {vip}/32 -p tcp -m tcp --dport {port} -j {target}-{end}"


def numbered_from(first: int, modulus: int = 0) -> Callable[[list[str], int], str]:
    def choose(addresses: list[str], port: int) -> str:
        text = ""
        for place, address in enumerate(addresses):
            text += (", " if text else "") + f"{first + place} : {address} . {port}"
        return f"numgen random mod {modulus or len(addresses)} map {{ {text} }}"

    return choose


def longest_gap(attempts: list[tuple[float, bool]]) -> float:
    longest, last = 0.0, None
    for at, ok in attempts:
        if ok:
            longest, last = max(longest, at - (at if last is None else last)), at
    return longest


def failed_share(attempts: list[tuple[float, bool]]) -> float:
    return len([at for at, ok in attempts if not ok]) / len(attempts)


def from_first_to_last(attempts: list[tuple[float, bool]]) -> float:
    failed = [at for at, ok in attempts if not ok]
    return round(max(failed) - min(failed), 3) if failed else 0.0


def conflicts(answers: list[tuple[str, str]]) -> set[str]:
    return {address for address, mac in answers for one, other in answers if one == address and other != mac}


def answered_again(answers: list[tuple[str, str]]) -> set[str]:
    addresses = [address for address, _ in answers]
    return {address for address in addresses if addresses.count(address) > 1}


def held_by_a_busy_machine(answers: list[tuple[str, str]]) -> set[str]:
    return {address for address, mac in answers for other, same in answers if same == mac and other != address}


def pending_counts(_cluster_ip: str, external_ip: str, ports: str) -> list[str]:
    ways = ["ClusterIP", "NodePort"] if ":" in ports else ["ClusterIP"]
    return ways if external_ip == "<none>" else [*ways, "VIP"]


def ways_in(_cluster_ip: str, external_ip: str, ports: str) -> list[str]:
    found = {"ClusterIP": True, "NodePort": ":" in ports, "VIP": "." in external_ip}
    return [name for name, is_open in found.items() if is_open]


def go_round(pool: list[str], taken: list[str]) -> str:
    return pool[(pool.index(taken[-1]) + 1) % len(pool)] if taken else pool[0]


def next_address(pool: list[str], taken: list[str]) -> str | None:
    free = [address for address in pool if address not in taken]
    return free[0] if free else None


def service_yaml(port: str, kind: str = "NodePort", app: str = "webpod") -> str:
    return (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
        f"spec: {{type: {kind}, selector: {{app: {app}}}, ports: [{{{port}}}]}}\n"
    )


def pool_yaml(addresses: str, namespace: str = "metallb-system", dash: str = "- ") -> str:
    return (
        f"apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: spare, namespace: {namespace}}}\n"
        f"spec:\n  addresses:\n    {dash}{addresses}\n"
    )


def advertisement_yaml(name: str) -> str:
    return (
        "---\napiVersion: metallb.io/v1beta1\nkind: L2Advertisement\n"
        f"metadata: {{name: {name}, namespace: metallb-system}}\nspec: {{ipAddressPools: [spare]}}\n"
    )


def report(attempts: list[tuple[float, bool]]) -> tuple[int, float, float, float]:
    failed = [at for at, ok in attempts if not ok]
    share = {slot: [ok for at, ok in attempts if at // 5 == slot] for slot in {at // 5 for at, _ in attempts}}
    lost = sum(5 * (1 - sum(oks) / len(oks)) for oks in share.values())
    return len(failed), max(failed, default=0), longest_gap(attempts), lost


def report_with_whole_slices(attempts: list[tuple[float, bool]]) -> tuple[int, float, float, float]:
    failures, last, gap, _ = report(attempts)
    return failures, last, gap, 5 * len({at // 5 for at, ok in attempts if not ok})


WRITTEN = {
    "write-the-ways-in": ways_in, "next-address": next_address,
    "write-a-service": lambda port: service_yaml(f"port: 8080, targetPort: 80, nodePort: {port}", kind="LoadBalancer"),
    "write-a-pool": lambda addresses: pool_yaml(addresses) + advertisement_yaml("other"),
    "write-the-election": elect, "read-the-answer": read, "write-kube-svc": chances, "write-the-outage": longest_gap,
    "write-the-share": failed_share,
    "write-the-entry-change": changes,
    "write-the-vip-rule": vip_rule_to("KUBE-EXT"),
    "write-the-numbered-endpoints": numbered_from(0),
    "write-the-moves": moved,
    "read-the-next-hop": next_hop,
    "write-the-conflict-check": conflicts,
    "write-the-report": report,
}  # fmt: skip


def right(exercise: Exercise, expected: ExpectedAnswer) -> object:
    if exercise.kind == "code":
        return WRITTEN[exercise.id]
    if exercise.kind == "diagnosis":
        assert expected.diagnosis
        return expected.value, min(expected.diagnosis.fixes), min(expected.diagnosis.queries)
    return sorted(expected.value) if isinstance(expected.value, (set, frozenset)) else expected.value


def with_every_query(expected: ExpectedAnswer) -> ExpectedAnswer:
    """Return the expected answer in a lab in which every query was made."""
    if expected.diagnosis is None:
        return expected
    return replace(expected, diagnosis=replace(expected.diagnosis, queries=expected.diagnosis.proofs))


def answer_of(misconception: Misconception, expected: ExpectedAnswer) -> object:
    if isinstance(misconception.recognise, WrongChoice):
        return misconception.recognise.key
    return HELD[misconception.id](expected)


def where_asked(name: str, open_lab: OpenLab) -> Lab:
    """Return a lab where an exercise is asked."""
    story, moment = PLACES[name]
    lab = open_lab(story)
    lab.at(moment)
    if name in TWO_FAULTS:
        lab.apply(TWO_FAULTS[name])
    return lab


@pytest.fixture(params=CATALOG)
def asked(request: pytest.FixtureRequest, open_lab: OpenLab) -> tuple[Exercise, Lab]:
    return CATALOG[request.param], where_asked(request.param, open_lab)


@pytest.fixture(scope="session")
def expected_answers() -> dict[str, ExpectedAnswer]:
    """What was worked out already: an exercise's answer is the same for each test of it."""
    return {}


@pytest.fixture(params=CATALOG)
def judged(
    request: pytest.FixtureRequest, open_lab: OpenLab, expected_answers: dict[str, ExpectedAnswer]
) -> tuple[Exercise, ExpectedAnswer]:
    """An exercise with its expected answer."""
    exercise = CATALOG[request.param]
    if exercise.id not in expected_answers:
        expected_answers[exercise.id] = exercise.expected_answer(where_asked(exercise.id, open_lab))
    return exercise, expected_answers[exercise.id]


def test_catalog_ids_unchanged_and_unique() -> None:
    assert len(CATALOG) >= 40
    assert set(ELSEWHERE) <= set(CATALOG)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in CATALOG)
    misconceptions = [misconception for one in CATALOG.values() for misconception in one.misconceptions]
    names = {one.id for one in misconceptions}
    assert len(misconceptions) == len(names) >= 60
    assert {one.id for one in misconceptions if not isinstance(one.recognise, WrongChoice)} == set(HELD)


def test_catalog_hints_and_misconception_sources() -> None:
    for one in CATALOG.values():
        assert len(one.hints) >= 2
        assert one.explanation
        assert all(misconception.text and SEEN.search(misconception.sources) for misconception in one.misconceptions)
        assert one.kind != "choice" or {choice.key for choice in one.choices}


def test_exercise_check_right_answer(judged: tuple[Exercise, ExpectedAnswer]) -> None:
    exercise, expected = judged[0], with_every_query(judged[1])
    assert assess(exercise, right(exercise, expected), expected).outcome is AnswerOutcome.RIGHT
    assert (
        assess(exercise, right(exercise, expected), expected, was_helped=True).outcome is AnswerOutcome.RIGHT_AFTER_HELP
    )


def test_exercise_check_each_misconception_own_feedback(judged: tuple[Exercise, ExpectedAnswer]) -> None:
    exercise, expected = judged
    for misconception in exercise.misconceptions:
        assessment = assess(exercise, answer_of(misconception, expected), expected)
        assert assessment.outcome is AnswerOutcome.WRONG, misconception.id
        assert assessment.misconception is misconception
        assert assessment.words.partition("\n")[0] == misconception.text


def test_exercise_every_wrong_choice_has_words_of_its_own(judged: tuple[Exercise, ExpectedAnswer]) -> None:
    exercise, expected = judged
    wrong = [one for one in exercise.choices if one.key != expected.value]
    found = [assess(exercise, one.key, expected).misconception for one in wrong]
    bare = [f"{exercise.id}: {one.key} ({one.text})" for one, idea in zip(wrong, found, strict=True) if idea is None]
    assert not bare, f"wrong choices without words of their own: {'; '.join(bare)}"
    assert len({idea.text for idea in found if idea}) == len(wrong)


def test_exercise_misconceptions_of_choices_name_choices() -> None:
    for one in CATALOG.values():
        named = {idea.recognise.key for idea in one.misconceptions if isinstance(idea.recognise, WrongChoice)}
        assert named <= {choice.key for choice in one.choices}, one.id


def test_parse_answer_choice_by_letter_key_text(judged: tuple[Exercise, ExpectedAnswer]) -> None:
    exercise, expected = judged
    for place, choice in enumerate(exercise.choices):
        said = {assess(exercise, form, expected).outcome for form in (chr(97 + place), choice.key, choice.text.upper())}
        assert len(said) == 1


def test_exercise_check_blank_is_not_tried(judged: tuple[Exercise, ExpectedAnswer]) -> None:
    exercise, expected = judged
    blank: list[object] = [None, "", "   ", "...", ..., [], {}, "your answer"]
    for nothing in blank:
        assessment = assess(exercise, nothing, expected)
        assert assessment.outcome is AnswerOutcome.NOT_TRIED
        assert "An answer is" in assessment.words


def test_exercise_check_garbage_explained(judged: tuple[Exercise, ExpectedAnswer]) -> None:
    exercise, expected = judged
    for garbage in GARBAGE:
        assessment = assess(exercise, garbage, expected)
        assert assessment.outcome in (AnswerOutcome.NOT_TRIED, AnswerOutcome.WRONG), garbage
        assert assessment.misconception is None
        assert 5 < len(assessment.words) < 1000


def test_exercise_expected_answer_moves_no_clock(
    asked: tuple[Exercise, Lab], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exercise, lab = asked
    monkeypatch.setenv("KANS_PROGRESS", str(tmp_path / "progress.json"))  # a solution is help, and is written down
    before = lab.nodes().provenance.moment
    lab.exercise(exercise.id).solution()
    assert lab.nodes().provenance.moment == before


def test_exercise_view_hides_answer(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    for shown in (lab.exercise(exercise.id), lab.predict(exercise.id)):
        for text in (repr(shown), shown._repr_html_()):
            assert exercise.explanation not in text
            assert all(hint not in text for hint in exercise.hints)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda nodes, _ip: nodes[0], "the right result is"),
        (lambda _nodes, _ip: 1 / 0, "ended with ZeroDivisionError"),
        (lambda nodes: nodes[0], "ended with TypeError"),
        (lambda nodes, _ip: {}.get(nodes[0]), "it says None"),
    ],
)
def test_exercise_check_function_first_counterexample(
    open_lab: OpenLab, wrong: Callable[..., object], words: str
) -> None:
    lab = open_lab("election")
    exercise = CATALOG["write-the-election"]
    assessment = assess(exercise, wrong, exercise.expected_answer(lab))
    assert assessment.outcome is AnswerOutcome.WRONG
    assert words in assessment.words


def test_exercise_function_that_changes_its_arguments_changes_no_case(open_lab: OpenLab) -> None:
    exercise, lab = CATALOG["write-the-numbered-endpoints"], open_lab("iptables")

    def empties(addresses: list[str], port: int) -> str:
        endpoints = ", ".join(f"{number} : {address} . {port}" for number, address in enumerate(addresses))
        text = f"numgen random mod {len(addresses)} map {{ {endpoints} }}"
        addresses.clear()
        return text

    expected = exercise.expected_answer(lab)
    before = deepcopy(expected.cases)
    assert assess(exercise, empties, expected).outcome is AnswerOutcome.RIGHT
    assert expected.cases == before


def docstring_only(_nodes: list[str], _address: str) -> None:
    """Say nothing more."""


def ellipsis(_nodes: list[str], _address: str) -> None: ...


def test_exercise_check_stub_is_not_tried(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    exercise = CATALOG["write-the-election"]
    expected = exercise.expected_answer(lab)
    for stub in (lambda *_: None, docstring_only, ellipsis, from_text(exercise.starter)):
        assessment = assess(exercise, stub, expected)
        assert assessment.outcome is AnswerOutcome.NOT_TRIED
        assert "no body of its own" in assessment.words
    longer = replace(exercise, starter="def elect(nodes, address):\n    first = nodes[0]\n    return first")
    assert assess(longer, from_text(longer.starter), expected).outcome is AnswerOutcome.NOT_TRIED
    assert assess(exercise, from_text(longer.starter), expected).outcome is AnswerOutcome.WRONG


def from_text(code: str) -> object:
    """Return the function that a learner's cell defines."""
    names: dict[str, object] = {}
    exec(code, names)
    return names["elect"]


def test_exercise_check_wrong_number_says_idea_and_direction(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    exercise = CATALOG["addresses-for-a-newcomer"]
    words = assess(exercise, 0, exercise.expected_answer(lab)).words.splitlines()
    assert words[0] == exercise.misconceptions[0].text
    assert words[1] == "0 is too little."
    assert assess(exercise, 1, exercise.expected_answer(lab)).words == "1 is too little."


def test_quizzes_recall_an_earlier_chapter() -> None:
    again = {one.recalled_in: one for one in CATALOG.values() if one.recalled_in}
    assert set(again) == {one.chapter for one in CATALOG.values() if one.quiz} - {"01"}
    assert len(again) == len([one for one in CATALOG.values() if one.recalled_in])
    assert all(one.chapter < chapter and one.kind != "diagnosis" for chapter, one in again.items())


# the simulator sends no frames of BGP, follows its client's memory only from the first request on, and leaves the
# environment of MetalLB's containers out
NOT_SIMULATED = {
    "who-makes-the-secret",
    "does-the-vip-answer-ping", "does-curl-survive", "bytes-of-an-update", "cards-or-hash",
    "what-ends-a-silent-session",
    "why-the-rule-looks-broken",  # by chance: in which order a new speaker meets itself and the others
    "lost-seconds",  # a node dies at another moment between two leases
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("where", sorted({place for name, place in PLACES.items() if CATALOG[name].chapter != "08"}))
def test_exercise_expected_answer_simulated_equals_recorded(open_lab: OpenLab, where: tuple[str, str]) -> None:
    story, moment = where
    simulated, recorded = open_lab(story, backend="simulated"), open_lab(story)
    simulated.at(moment)
    recorded.at(moment)
    for name, place in PLACES.items():
        if place == where and name not in NOT_SIMULATED and CATALOG[name].kind != "code":
            assert CATALOG[name].expected_answer(simulated).value == CATALOG[name].expected_answer(recorded).value, name


def queries(owner: type, prefix: str = "") -> set[str]:
    """Return the queries of a class, as they are counted."""
    return {prefix + name for name, method in vars(owner).items() if hasattr(method, "__wrapped__")}


def test_catalog_queries_that_score_or_prove_exist() -> None:
    counted = (
        queries(Lab) | queries(Observation, "observation.") | queries(ARPObservation, "arp.")
        | queries(BGPObservation, "bgp.")
    )  # fmt: skip
    scoring = {query for one in CATALOG.values() for query in one.scored_by}
    assert scoring <= counted
    kinds = {"l2advertisements", "endpointslices", "daemonsets"}  # of lab.table, lab.objects and lab.object
    assert {choice.key for choice in EVIDENCE} <= counted | kinds


def test_catalog_no_answer_in_chapters() -> None:
    for chapter in Path("notebooks/en").glob("*.ipynb"):
        text = chapter.read_text()
        assert ".solution()" not in text.replace("`.solution()`", "")
