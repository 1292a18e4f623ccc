"""Broken labs: each recorded fault is found, nothing else is; a diagnosis is judged in all its parts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import kanslib
from kanslib.course import manifests
from kanslib.diagnosis import CAUSES as RULES
from kanslib.diagnosis import ClusterSnapshot, find
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.catalog.ch08_broken_labs import (
    CAUSES,
    COMPLAINTS,
    EVIDENCE,
    FIXES,
    FIXES_OF,
    PLACES,
    PROOFS_OF,
)
from kanslib.exercises.exercise import AnswerOutcome, assess
from kanslib.exercises.session import LOOK_FIRST
from kanslib.k8s.objects import external_address
from kanslib.lab.lab import Lab
from tests.types import OpenLab

# what was broken on purpose (the raw recordings: the names of the acts); the stories do not say it
BROKEN = {
    "case-1": "no advertisement", "case-2": "pool exhausted", "case-3": "foreign network", "case-4": "no endpoints",
    "case-5": "selects nobody", "case-6": "local nowhere", "case-7": "sharing refused", "case-8": "no speakers",
    "case-9": "conflict",
}  # fmt: skip
# a query for each kind of evidence
QUERIES: dict[str, Callable[[Lab], object]] = {
    "events": lambda lab: [lab.events(name) for name in ("svc1", "svc2", "svc3")],
    "services": lambda lab: lab.services(), "pool": lambda lab: lab.pool(), "network": lambda lab: lab.network(),
    "l2advertisements": lambda lab: lab.table("l2advertisements"), "election": lambda lab: lab.election("svc1"),
    "pods": lambda lab: lab.pods(), "daemonsets": lambda lab: lab.object("daemonset", "speaker", "metallb-system"),
    "endpointslices": lambda lab: lab.objects("endpointslices"), "nodes": lambda lab: lab.nodes(),
    "arp_scan": lambda lab: lab.arp_scan(),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
class TestCase:
    def test_find_fault_of_case_only(self, open_lab: OpenLab, case: str) -> None:
        facts = CATALOG[case].expected_answer(open_lab(case)).diagnosis
        assert facts
        assert facts.causes == (BROKEN[case],)

    def test_find_nothing_after_fix(self, open_lab: OpenLab, case: str) -> None:
        lab = open_lab(case)
        lab.at("fix")
        said = lab.exercise(case).check(cause="conflict", fix="flush", evidence="curl")
        assert "nothing is wrong here" in said

    def test_case_evidence_queries_can_be_made(self, open_lab: OpenLab, case: str) -> None:
        for proof in PROOFS_OF[BROKEN[case]]:
            lab = open_lab(case)
            QUERIES[proof](lab)
            for fix in FIXES_OF[BROKEN[case]]:
                assessment = lab.exercise(case).assess({"cause": BROKEN[case], "fix": fix, "evidence": proof})
                assert assessment.outcome is AnswerOutcome.RIGHT, (proof, fix, assessment.words)

    def test_case_other_causes_ruled_out_by_fact(self, open_lab: OpenLab, case: str) -> None:
        expected = CATALOG[case].expected_answer(open_lab(case))
        for cause in RULES:
            if cause != BROKEN[case]:
                assessment = assess(CATALOG[case], (cause, "flush", "curl"), expected)
                assert assessment.outcome is AnswerOutcome.WRONG
                assert expected.diagnosis
                assert expected.diagnosis.findings[cause] in assessment.words

    def test_case_check_needs_evidence(self, open_lab: OpenLab, case: str) -> None:
        lab = open_lab(case)
        proof, fix = min(PROOFS_OF[BROKEN[case]]), min(FIXES_OF[BROKEN[case]])
        said = lab.exercise(case).check(cause=BROKEN[case], fix=fix, evidence=proof)
        assert "not among your queries" in said
        assert "not yet" in said

    def test_case_check_effect_is_no_evidence(self, open_lab: OpenLab, case: str) -> None:
        lab = open_lab(case)
        proof, fix = min(PROOFS_OF[BROKEN[case]]), min(FIXES_OF[BROKEN[case]])
        lab.leader("svc1")
        QUERIES[proof](lab)
        assert "effect at best" in lab.exercise(case).check(cause=BROKEN[case], fix=fix, evidence="leader")
        assert "would leave the cause" in lab.exercise(case).check(cause=BROKEN[case], fix="restart", evidence=proof)

    def test_case_right_answer_offered_after_its_proof(self, open_lab: OpenLab, case: str) -> None:
        view = open_lab(case).exercise(case)
        assert view.offered() == {}
        assert LOOK_FIRST in repr(view)
        for proof in PROOFS_OF[BROKEN[case]]:
            lab = open_lab(case)
            QUERIES[proof](lab)
            offered = {part: {one.key for one in choices} for part, choices in lab.exercise(case).offered().items()}
            assert BROKEN[case] in offered["cause"]
            assert FIXES_OF[BROKEN[case]] < offered["fix"]
            assert proof in offered["evidence"]
            assert len(offered["cause"]) < len(CAUSES)

    def test_case_hint_names_where_nobody_looked(self, open_lab: OpenLab, case: str) -> None:
        lab = open_lab(case)
        said = str(lab.exercise(case).hint())
        place = said.removeprefix("Hint: You have not looked at ").removesuffix(" yet.")
        (asked,) = set(PLACES[place]) & PROOFS_OF[BROKEN[case]]
        QUERIES[asked](lab)
        view = lab.exercise(case)
        assert CATALOG[case].hints[0] in view.hint()
        assert CATALOG[case].hints[1] in view.hint()

    def test_case_actions_hide_cause(self, open_lab: OpenLab, case: str) -> None:
        lab = open_lab(case)
        shown = f"{lab!r} {lab.moments()} {lab.exercise(case).question.partition('cause:')[0]}".lower()
        assert not any(word in shown for word in ("break", "selector", "exhausted", "squatter", "small_pool", "subnet"))

    def test_find_simulated_case_same_fault(self, open_lab: OpenLab, case: str) -> None:
        assert CATALOG["what-is-wrong"].expected_answer(open_lab(case, backend="simulated")).value == BROKEN[case]


TWO_FAULTS = {
    "case-10": (manifests.case_10, {"selects nobody", "no endpoints"}, {"svc1", "svc2", "svc3"}),
    "case-11": (manifests.case_11, {"sharing refused", "local nowhere"}, {"svc1"}),
}


@pytest.mark.parametrize("case", TWO_FAULTS)
def test_two_faults_found_and_mended_one_after_the_other(open_lab: OpenLab, case: str) -> None:
    manifest, causes, silent = TWO_FAULTS[case]
    lab = open_lab("arp")
    assert "nothing is wrong here" in lab.exercise(case).check(["conflict"])
    lab.apply(manifest)
    assert lab.exercise(case).check(sorted(causes)).outcome is AnswerOutcome.RIGHT
    assert all(lab.exercise(case).check([one]).outcome is AnswerOutcome.WRONG for one in causes)
    assert {name for name in ("svc1", "svc2", "svc3") if is_silent(lab, name)} == silent
    lab.apply(manifests.l2advertisement)
    assert len(CATALOG[case].expected_answer(lab).names) == 1, "the other fault is still there"
    lab.apply(manifests.services)
    assert "nothing is wrong here" in lab.exercise(case).check(["conflict"])
    assert not any(is_silent(lab, name) for name in ("svc1", "svc2", "svc3"))


def is_silent(lab: Lab, service: str) -> bool:
    """Return True where a Service has an address and no request to it is answered."""
    waits = any(one["metadata"]["name"] == service and not external_address(one) for one in lab.objects("services"))
    return not waits and all("no answer" in name for name in lab.curl(service, times=3).HOSTNAME)


def test_case_check_in_its_own_story(open_lab: OpenLab) -> None:
    said = open_lab("case-1").exercise("case-2").check(cause="a", fix="a", evidence="a")
    assert "kanslib.open_lab(story='case-2')" in said


def test_case_check_needs_all_parts(open_lab: OpenLab) -> None:
    view = open_lab("case-1").exercise("case-1")
    for answer in (
        "a",
        ("a", "b"),
        {"cause": "a"},
        ("a", "b", ""),
        ("a", "b", 17),
        ("zebra", "a", "a"),
        3.5,
        [None] * 3,
    ):
        assert view.check(answer).outcome is AnswerOutcome.NOT_TRIED, answer
    assert "Not tried yet" in view.check()


def test_lab_queries_noted_as_evidence(open_lab: OpenLab) -> None:
    lab = open_lab("case-1")
    lab.vip("svc1")
    lab.exercise("case-1").check(("conflict", "flush", "curl"))
    assert set(lab.progress().queries) == {"vip"}
    lab.object("l2advertisement", "x") if lab.objects("L2Advertisement") else lab.table("ipaddresspools")
    assert {"l2advertisements", "pool"} <= set(lab.progress().queries)


def test_causes_tables_fit_together() -> None:
    causes = {one.key for one in CAUSES}
    assert causes == set(RULES) == set(FIXES_OF) == set(PROOFS_OF)
    assert set.union(*FIXES_OF.values()) < {one.key for one in FIXES}
    assert set.union(*PROOFS_OF.values()) < {one.key for one in EVIDENCE}
    assert set.union(*PROOFS_OF.values()) < {query for queries in PLACES.values() for query in queries}
    assert set(BROKEN) == set(COMPLAINTS)


def test_find_nothing_in_healthy_cluster(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    found = find(ClusterSnapshot(lab.objects, lab.network(), {"172.18.255.200": {"02:42:ac:12:00:05"}}))
    assert [cause for cause, ruling in found.items() if ruling.holds] == []


STALE = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}]
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pears, namespace: metallb-system}
spec: {addresses: [172.18.255.10-172.18.255.20]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: all, namespace: metallb-system}
"""
UNKNOWN_ALIAS = """apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: routed, namespace: metallb-system}
spec: {communities: [no-such-alias]}
"""


def test_find_stale_configuration() -> None:
    """The webhook lets an alias pass that no Community has; the speakers do not (config.go communitiesFromAliases)."""
    lab = kanslib.simulate(STALE)
    assert not find(ClusterSnapshot(lab.objects, lab.network()))["stale configuration"].holds
    lab.apply(UNKNOWN_ALIAS)
    found = find(ClusterSnapshot(lab.objects, lab.network()))
    assert [cause for cause, finding in found.items() if finding.holds] == ["stale configuration"]
    assert "no-such-alias" in found["stale configuration"].fact
    log = [json.loads("{" + line.partition(" {")[2]) for line in str(lab.log("speaker")).splitlines()]
    refusals = [line["error"] for line in log if line["level"] == "error"]
    assert refusals
    assert all(found["stale configuration"].fact.endswith(one) for one in refusals)
    assert found["no advertisement"].fact.startswith("not known")
