"""Lab: its public names, Services in every namespace, what does not exist now, and leaders that are disputed."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kanslib
from kanslib import iptables, nftables
from kanslib.answer import Answer
from kanslib.backends.recorded import RecordedBackend
from kanslib.course import dumps, manifests
from kanslib.exceptions import KanslibError, LeaderDisagreementWarning, NotFoundError, UnknownNameError
from kanslib.k8s.objects import KubeObject
from kanslib.lab.lab import Lab
from kanslib.lab.observation import Observation
from tests.types import OpenLab

GONE = (
    "acts", "claims", "chains", "rule_changes", "predict_all", "outage", "timeline", "phases", "failures", "marks",
    "probes", "frames", "seconds", "beliefs", "announcements", "conflicts", "messages", "decoded", "ecmp", "queries",
)  # fmt: skip
SHOP = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: till, namespace: shop, labels: {app: till}}
spec: {containers: [{name: web, image: traefik/whoami}]}
---
apiVersion: v1
kind: Service
metadata: {name: svc1, namespace: shop}
spec: {type: LoadBalancer, selector: {app: till}, ports: [{port: 80}]}
"""


@pytest.fixture(scope="module")
def shop() -> Lab:
    """A lab with a Service of the same name in two namespaces."""
    parts = ("kind_cluster", "webpods", "pool", "l2advertisement", "services")
    return kanslib.simulate("\n---\n".join([*(str(getattr(manifests, part)) for part in parts), SHOP]))


def public(owner: type) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


class TestNames:
    def test_lab_has_55_public_names_at_most(self) -> None:
        assert len(public(Lab)) <= 55
        assert not set(GONE) & set(public(Lab))

    def test_lab_attributes_are_private(self, open_lab: OpenLab) -> None:
        assert not [name for name in vars(open_lab("arp")) if not name.startswith("_")]

    @pytest.mark.parametrize("owner", [Lab, Observation])
    def test_public_methods_have_an_example(self, owner: type) -> None:
        documented = [getattr(owner, name).__doc__ or "" for name in public(owner) if callable(getattr(owner, name))]
        assert all(text.split()[0] not in ("The", "What", "Who", "How") for text in documented)
        assert len([text for text in documented if ">>>" in text]) >= len(documented) - 3


class TestAnswers:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda lab: lab.nodes(), lambda lab: lab.map(), lambda lab: lab.election("svc1"),
            lambda lab: lab.rules("myk8s-worker"), lambda lab: lab.trace("svc1"), lambda lab: lab.hash_order("svc1"),
            lambda lab: lab.rules("myk8s-worker").diff(lab.rules("myk8s-worker")), lambda lab: lab.time_machine(),
            lambda lab: lab.pool(),
        ],
    )  # fmt: skip
    def test_answer_has_table_words_provenance_html(self, open_lab: OpenLab, ask: Callable[[Lab], Any]) -> None:
        answer = ask(open_lab("failover"))
        assert isinstance(answer, Answer)
        assert answer.provenance is not None
        assert answer.provenance.source == "recorded"
        assert "kans-answer" in answer._repr_html_()
        assert len(str(answer.describe())) > 5
        assert answer.table is not None  # type: ignore[attr-defined]


class TestServiceNames:
    def test_vip_default_namespace_spelled_out(self, shop: Lab) -> None:
        assert shop.vip("svc1") == shop.vip("default/svc1") != shop.vip("shop/svc1")

    @pytest.mark.parametrize("service", ["svc1", "shop/svc1"])
    def test_queries_of_one_service(self, shop: Lab, service: str) -> None:
        leader = shop.leader(service)
        assert leader == shop.election(service).leader
        assert shop.events(service).MESSAGE.str.contains(f'from node "{leader}"').any()
        assert shop.trace(service)[0].packet.dst is not None
        assert shop.rules(str(leader)).chains(service).COMMENT.str.contains(service).any()
        assert f"{service} {shop.vip(service)}" in " ".join(shop.map().table.LEADS)
        assert set(shop.hash_order(service).table.SERVICE) == {service}

    def test_curl_answered_by_own_pods(self, shop: Lab) -> None:
        assert shop.curl("shop/svc1", times=3).HOSTNAME.tolist() == ["till"]
        assert "till" not in shop.curl("svc1", times=3).HOSTNAME.tolist()

    def test_observe_probes(self) -> None:
        parts = ("kind_cluster", "webpods", "pool", "l2advertisement")
        lab = kanslib.simulate("\n---\n".join([*(str(getattr(manifests, part)) for part in parts), SHOP]))
        with lab.observe(probes=["shop/svc1"], seconds=20) as seen:
            lab.kill_node(str(lab.leader("shop/svc1")))
        assert "VIP dark" in seen.phases("shop/svc1").PHASE.tolist()
        assert f"shop/svc1: {lab.leader('shop/svc1')}" in seen.events("leader").WHAT.tolist()
        assert "shop/svc1" in seen.timeline().describe()
        assert "agreed" in seen.leadership("shop/svc1").describe()

    def test_unknown_service_lists_known(self, shop: Lab) -> None:
        with pytest.raises(UnknownNameError, match="shop/svc1"):
            shop.vip("shop/svc9")
        with pytest.raises(UnknownNameError, match="shop/svc1"):
            shop.curl("shop/svc9")

    @pytest.mark.parametrize(("asked", "meant"), [("kube-dns", "kube-system/kube-dns"), ("service/svc1", "svc1")])
    def test_unknown_service_suggests_same_name_elsewhere(self, open_lab: OpenLab, asked: str, meant: str) -> None:
        with pytest.raises(UnknownNameError, match=f"did you mean '{meant}'"):
            open_lab("arp").events(asked)


class TestNotFound:
    def test_vip_pending(self, open_lab: OpenLab) -> None:
        lab = open_lab("l2", backend="simulated")
        lab.apply(  # of a class that MetalLB leaves to others
            "{apiVersion: v1, kind: Service, metadata: {name: late}, "
            "spec: {type: LoadBalancer, loadBalancerClass: example.com/other, ports: [{port: 80}]}}"
        )
        with pytest.raises(NotFoundError, match="pending"):
            lab.vip("late")

    def test_router_before_it_runs(self, open_lab: OpenLab) -> None:
        with pytest.raises(NotFoundError, match="router"):
            open_lab("arp").router  # noqa: B018

    def test_router_of_a_simulated_cluster(self, shop: Lab) -> None:
        with pytest.raises(NotFoundError, match="start_router"):
            shop.routes()


class TestDisputedLeader:
    def test_leader_warns_and_map_shows_both(self, open_lab: OpenLab) -> None:
        lab = open_lab("failover")
        lab.at("delete-speaker-pod")
        with pytest.warns(LeaderDisagreementWarning, match="names myk8s-worker, but myk8s-worker3 wins"):
            assert lab.leader("svc3") == "myk8s-worker"
        words = lab.map().describe()
        assert "svc3: the API's newest event names myk8s-worker, the election myk8s-worker3." in words

    @pytest.mark.parametrize("story", ["arp", "failover", "election"])
    def test_leader_agreed_is_silent(self, open_lab: OpenLab, story: str) -> None:
        lab = open_lab(story)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert all(lab.leader(service) for service in ("svc1", "svc2", "svc3"))
        assert "names" not in lab.map().describe()


class TestDelete:
    def test_delete_object_references(self, open_lab: OpenLab) -> None:
        lab = open_lab("arp")
        assert lab.delete_object("svc/svc1", "svc/svc2", "svc/svc3").count("deleted") == 3

    def test_delete_takes_a_manifest_only(self, open_lab: OpenLab) -> None:
        with pytest.raises(ValueError, match=r"YAML|manifest|object"):
            open_lab("arp").delete("svc/svc1")


@pytest.mark.parametrize(
    "ask", [lambda lab: lab.map(), lambda lab: lab.trace("svc1"), lambda lab: lab.hash_order(), lambda lab: lab.pool()]
)
def test_query_asks_for_each_fact_once(
    open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Lab], object]
) -> None:
    lab = open_lab("failover")
    asked: Counter[str] = Counter()
    read = RecordedBackend.objects

    def counted(backend: RecordedBackend, kind: str) -> list[KubeObject]:
        asked[kind.lower()] += 1
        return read(backend, kind)

    monkeypatch.setattr(RecordedBackend, "objects", counted)
    ask(lab)
    of_the_log = 3  # backends find a Pod's log by the Pods
    assert sum(asked.values()) <= 8 + of_the_log
    assert all(count <= 1 + of_the_log for count in asked.values()), asked


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda lab: lab.object("service", "svc1", "defualt"), "no namespace named 'defualt' .did you mean 'default'"),
        (lambda lab: lab.object("service", "kube-dns"), "did you mean 'kube-system/kube-dns'"),
        (lambda lab: lab.table("pods", "defualt"), "no namespace named 'defualt'"),
        (lambda lab: lab.log("speaker", "myk8s-wroker"), "did you mean 'myk8s-worker'"),
        (lambda lab: lab.table("podz"), "objects of kind 'podz'"),
        (lambda lab: lab.vip("kube-system/kube-dns"), "its type is ClusterIP"),
    ],
)
def test_lab_wrong_name_says_which_and_what_there_is(
    open_lab: OpenLab, ask: Callable[[Lab], object], message: str
) -> None:
    with pytest.raises(KanslibError, match=message):
        ask(open_lab("failover"))


def test_trace_by_given_rules_in_place_of_the_nodes_own() -> None:
    lab = kanslib.open_lab(story="iptables")
    dump = dumps.nftables_leader()
    walk = lab.trace("svc1", rules=nftables.parse(dump))
    assert {rule.table for way in walk for rule in way.walked} == {"ip kube-proxy"}
    assert "by the given rules on myk8s-worker" in walk.title
    assert str(walk.provenance).endswith(
        "derived from the given rules, and from the addresses and routes of myk8s-worker"
    )
    without = nftables.parse(dump.replace("172.18.255.200 . tcp . 80", "172.18.255.209 . tcp . 80"))
    [way] = lab.trace("svc1", rules=without)
    assert way.packet.dst == lab.vip("svc1")  # no rule knows it: it is passed on as it came
    own = iptables.parse(lab.run("myk8s-worker", "iptables-save -c"))
    assert [way.packet for way in lab.trace("svc1", rules=own)] == [way.packet for way in lab.trace("svc1")]


def test_dump_of_the_course_is_the_one_in_the_examples() -> None:
    example = Path(__file__).parents[2] / "docs/examples/worker.nft"
    assert str(dumps.nftables_leader()) == example.read_text()
