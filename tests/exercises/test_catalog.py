"""Every exercise on a recording: its solution is right, each misconception gets its own words, garbage a clear one."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.catalog.ch08_broken_labs import EVIDENCE
from kanslib.exercises.exercise import AnswerOutcome, Exercise, assess
from kanslib.exercises.misconceptions import ExpectedAnswer
from kanslib.lab.lab import Lab
from kanslib.lab.observation import ARPObservation, BGPObservation, Observation
from tests.types import OpenLab

# where the exercises of a chapter are asked: the story and the moment; then those that are asked elsewhere
CHAPTERS = {
    "01": ("service-types", "apply-service-types"), "02": ("metallb", "apply-services"),
    "03": ("arp", "apply-services"), "04": ("iptables", "opening"), "05": ("election", "opening"),
    "06": ("failover", "kill-node"), "07": ("bgp", "route-client"), "08": ("case-1", "opening"),
}  # fmt: skip
ELSEWHERE = {
    "does-curl-survive": ("arp", "delete-l2advertisement"), "does-it-move-back": ("election", "include-leader"),
    "who-may-lead-with-local": ("etp-local", "apply-etp-local"),
    "local-without-a-pod": ("etp-local", "apply-etp-local"), "what-local-costs": ("etp-local", "apply-etp-local"),
    "how-long-is-a-goodbye": ("failover", "delete-speaker-pod"),
    "which-neighbor-sends-nothing": ("bgp", "apply-bgp"), "bytes-of-an-update": ("bgp", "apply-bgp"),
    "one-leader-under-bgp": ("bgp", "bgp-etp-local"), "share-of-a-lonely-pod": ("bgp", "bgp-etp-local"),
    "router-and-a-killed-node": ("bgp", "kill-node"), "what-ends-a-silent-session": ("bgp-silent", "cut-link"),
}  # fmt: skip
PLACES = {
    name: (one.story, "opening") if one.story else ELSEWHERE.get(name, CHAPTERS[one.chapter])
    for name, one in CATALOG.items()
}
# an answer that shows the misconception: the words of a choice, else a function of the expected answer
HELD: dict[str, str | Callable[[ExpectedAnswer], object]] = {
    "kubernetes-has-a-load-balancer": "an address", "pending-says-why": "a warning that nobody answers",
    "cluster-ip-is-on-the-network": "everybody on the nodes' network",
    "load-balancer-hides-node-ports": "no: that is what it is for", "door-needs-a-pod": "nobody answers",
    "pods-see-their-client": "the client", "doors-only-where-pods-are": lambda _: 2,
    "control-plane-has-no-door": lambda _: "3",
    "speakers-own-the-vips": "the external addresses that they announce",
    "speakers-hand-out": "the speaker that leads", "network-and-broadcast-are-lost": lambda _: 49,
    "a-pool-is-enough": "the leader, as always", "kernels-answer-by-themselves": "every node",
    "leaders-are-drawn-anew": "the addresses, not the leaders",
    "services-share-when-short": "an address that another one has, too",
    "pending-is-always-silent": "no address, and silence", "metallb-checks-the-network": "MetalLB refuses the pool",
    "announced-means-reachable": "it works: MetalLB announces the address",
    "docs-are-timeless": "the Service gets that address",
    "one-vip-per-node": "no, one MAC address has one IP address",
    "all-speakers-answer": lambda expected: sorted(expected.wrong_names["everybody"]),
    "nodes-with-pods-answer": lambda _: "myk8s-worker, myk8s-worker2",
    "virtual-mac": "a virtual one that moves along with the VIP", "vip-is-on-an-interface": "yes: somebody has it",
    "gratuitous-arp-goes-on": "every few seconds, for ever", "no-answer-no-traffic": "no",
    "layer-2-balances-nodes": "all workers, evenly", "clients-reach-the-pods-nodes": "those with a Pod",
    "curl-on-a-node-tests-metallb": "that MetalLB announces the address",
    "kube-proxy-takes-turns": "in turn: first, second, first, second",
    "leader-serves-alone": lambda _: 1, "one-way-for-each-node": lambda _: 4,
    "layer-2-keeps-the-source": "the client", "only-the-leader-has-the-rules": "it is dropped",
    "policy-does-not-touch-the-election": lambda _: ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"],
    "local-lets-all-nodes-lead": lambda expected: sorted(expected.wrong_names["everybody"]),
    "local-is-a-preference": "it is passed on to another node",
    "local-is-faster-for-free": "nothing: it is simply better", "firewall-chain-is-always-there": "always",
    "control-plane-may-lead": lambda _: "myk8s-control-plane",
    "leader-has-the-pod": lambda _: ("myk8s-worker2", "myk8s-worker"),
    "every-speaker-is-a-candidate": lambda expected: sorted(expected.wrong_names["everybody"]),
    "only-nodes-with-endpoints": lambda _: {"myk8s-worker", "myk8s-worker2"},
    "election-balances": "as many as needed to make all nodes equal",
    "leaders-are-sticky": "where they are: nobody gives up an address that works",
    "order-is-alphabetic": lambda _: lambda nodes, _address: min(nodes),
    "the-services-name-is-hashed": "the Service's namespace and name",
    "the-least-loaded-leads": "how many addresses the node leads already",
    "leaders-stay-when-a-node-joins": lambda _: 0, "newcomer-stirs-everything": lambda _: "51 addresses",
    "a-hash-is-fair-in-the-small": "as evenly as can be: they differ by one at the most",
    "cordon-moves-the-vip": "they move to other nodes", "machines-lead-not-names": "none: it is the same machine",
    "a-leave-without-a-join": "those that it led", "every-change-deals-anew": "any of them",
    "a-majority-decides": "one: the side with more nodes decides",
    "speakers-rather-keep-quiet": "none, until they agree again",
    "failover-takes-a-minute": "about a minute", "node-ready-moves-the-vip": "about 40 s",
    "the-dead-say-goodbye": "under 1 s", "only-the-leaders-services-suffer": "nothing: its leader lives",
    "failover-moves-the-pods": "new Pods are started elsewhere", "the-new-leader-ends-it": "the gossip's verdict",
    "pods-move-at-once": "Terminating: it is being moved",
    "failures-are-seconds": lambda _: lambda rows: 0.05 * len([at for at, ok in rows if not ok]),
    "first-to-last-failure": lambda _: from_first_to_last,
    "faster-gossip-is-the-cure": "a gossip twice as fast", "every-loss-takes-its-time": "1–10 s",
    "status-objects-are-current": "nobody", "it-is-always-the-arp-cache": "the client's ARP memory",
    "the-vip-is-the-service": "in seconds, with the VIP",
    "evicted-pods-come-back": "after five minutes, when the Pods are made anew elsewhere",
    "not-ready-heals": "after forty seconds, with NotReady",
    "no-pod-no-route": lambda _: "myk8s-control-plane myk8s-worker3", "bgp-needs-one-leader": lambda _: 1,
    "local-does-not-change-routes": lambda _: 3, "spread-in-turns": "in turn, like dealing cards",
    "ecmp-splits-connections": "anew for each packet", "router-counts-pods": lambda _: "25 %",
    "gossip-moves-routes": "until the gossip has noticed", "bgp-is-slow-to-notice": "until the hold timer is over",
    "bfd-is-always-there": "BFD", "kubernetes-ends-sessions": "Kubernetes calls the node NotReady",
    "one-protocol-each": "no, one or the other", "only-the-lost-ones": "those of the lost node",
}  # fmt: skip
# where a misconception may have been seen: something that can be looked up
SEEN = re.compile(r"MetalLB (issues?|PRs?|commit|docs)|kind issues?|the lesson that|the wrong ideas that this course")
GARBAGE = [math.nan, math.inf, object(), b"bytes", 10**400, "x" * 100_000, {"a": 1}, [1, 2], True, lambda: None, 1j]


def elect(nodes: list[str], address: str) -> str:
    return min(nodes, key=lambda node: hashlib.sha256(f"{node}#{address}".encode()).digest())


def read(message: bytes) -> tuple[str, str] | None:
    if message[6:8] != bytes([0, 2]):
        return None
    return ".".join(str(byte) for byte in message[14:18]), ":".join(f"{byte:02x}" for byte in message[8:14])


def chances(count: int) -> list[float]:
    return [1 / left for left in range(count, 0, -1)]


def longest_gap(attempts: list[tuple[float, bool]]) -> float:
    longest, last = 0.0, None
    for at, ok in attempts:
        if ok:
            longest, last = max(longest, at - (at if last is None else last)), at
    return longest


def from_first_to_last(attempts: list[tuple[float, bool]]) -> float:
    failed = [at for at, ok in attempts if not ok]
    return round(max(failed) - min(failed), 3) if failed else 0.0


WRITTEN = {
    "write-the-election": elect, "read-the-answer": read, "write-kube-svc": chances, "write-the-outage": longest_gap,
}  # fmt: skip


def right(exercise: Exercise, expected: ExpectedAnswer) -> object:
    if exercise.kind == "code":
        return WRITTEN[exercise.id]
    if exercise.kind == "diagnosis":
        assert expected.diagnosis
        return expected.value, min(expected.diagnosis.fixes), min(expected.diagnosis.queries)
    return sorted(expected.value) if isinstance(expected.value, (set, frozenset)) else expected.value


def expected_answer(exercise: Exercise, lab: Lab) -> ExpectedAnswer:
    """Return the expected answer in a lab in which every query was made."""
    expected = exercise.expected_answer(lab)
    if expected.diagnosis is None:
        return expected
    return replace(expected, diagnosis=replace(expected.diagnosis, queries=expected.diagnosis.proofs))


def answer_of(misconception: str, expected: ExpectedAnswer) -> object:
    held = HELD[misconception]
    return held if isinstance(held, str) else held(expected)


@pytest.fixture(params=CATALOG)
def asked(request: pytest.FixtureRequest, open_lab: OpenLab) -> tuple[Exercise, Lab]:
    story, moment = PLACES[request.param]
    lab = open_lab(story)
    lab.at(moment)
    return CATALOG[request.param], lab


def test_catalog_ids_unchanged_and_unique() -> None:
    assert len(CATALOG) >= 40
    assert set(ELSEWHERE) <= set(CATALOG)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in CATALOG)
    misconceptions = [misconception.id for one in CATALOG.values() for misconception in one.misconceptions]
    assert len(misconceptions) == len(set(misconceptions)) >= 60
    assert set(misconceptions) == set(HELD)


def test_catalog_hints_and_misconception_sources() -> None:
    for one in CATALOG.values():
        assert len(one.hints) >= 2
        assert one.explanation
        assert all(misconception.text and SEEN.search(misconception.sources) for misconception in one.misconceptions)
        assert one.kind != "choice" or {choice.key for choice in one.choices}


def test_exercise_check_right_answer(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    expected = expected_answer(exercise, lab)
    assert assess(exercise, right(exercise, expected), expected).outcome is AnswerOutcome.RIGHT
    assert (
        assess(exercise, right(exercise, expected), expected, was_helped=True).outcome is AnswerOutcome.RIGHT_AFTER_HELP
    )


def test_exercise_check_each_misconception_own_feedback(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    expected = exercise.expected_answer(lab)
    for misconception in exercise.misconceptions:
        assessment = assess(exercise, answer_of(misconception.id, expected), expected)
        assert assessment.outcome is AnswerOutcome.WRONG, misconception.id
        assert assessment.misconception is misconception
        assert assessment.words.partition("\n")[0] == misconception.text


def test_parse_answer_choice_by_letter_key_text(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    expected = exercise.expected_answer(lab)
    for place, choice in enumerate(exercise.choices):
        said = {assess(exercise, form, expected).outcome for form in (chr(97 + place), choice.key, choice.text.upper())}
        assert len(said) == 1


def test_exercise_check_blank_is_not_tried(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    expected = exercise.expected_answer(lab)
    blank: list[object] = [None, "", "   ", "...", ..., [], {}, "your answer"]
    for nothing in blank:
        assessment = assess(exercise, nothing, expected)
        assert assessment.outcome is AnswerOutcome.NOT_TRIED
        assert "An answer is" in assessment.words


def test_exercise_check_garbage_explained(asked: tuple[Exercise, Lab]) -> None:
    exercise, lab = asked
    expected = exercise.expected_answer(lab)
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
        (lambda nodes, _ip: nodes[0], "the cluster said"),
        (lambda _nodes, _ip: 1 / 0, "ended with ZeroDivisionError"),
        (lambda nodes: nodes[0], "ended with TypeError"),
        (lambda _nodes, _ip: None, "it says None"),
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


# the simulator sends no frames of BGP, and follows its client's memory only from the first request on
NOT_SIMULATED = {
    "does-the-vip-answer-ping", "does-curl-survive", "bytes-of-an-update", "cards-or-hash",
    "what-ends-a-silent-session",
}  # fmt: skip


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
