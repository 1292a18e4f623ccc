"""Tables as a notebook and a terminal show them: which columns, bars, alignment, and why one is empty."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import kanslib
from kanslib import manifests
from kanslib.answer import Answer
from kanslib.lab.lab import Lab
from kanslib.render.rows import Columns, Whole
from kanslib.render.tables import Table
from tests.types import OpenLab


def headers(table: Answer) -> list[str]:
    """Return the headers that a notebook shows."""
    return re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table._repr_html_())


def parts(table: Answer) -> list[str]:
    """Return the lengths of the bars, in the order of the cells."""
    return re.findall(r"--part:([\d.]+%)", table._repr_html_())


def test_table_wide_columns_kept_but_shown_on_demand(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    nodes = lab.nodes()
    assert headers(nodes) == ["NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP"]
    assert "KERNEL-VERSION" not in repr(nodes).partition("wide=True")[0]
    assert headers(lab.nodes(wide=True)) == list(nodes.columns)
    assert nodes["KERNEL-VERSION"].nunique() == 1
    assert headers(nodes[["NAME", "KERNEL-VERSION"]]) == ["NAME", "KERNEL-VERSION"]
    assert headers(nodes[nodes.NAME == "myk8s-worker"]) == headers(nodes)


@pytest.mark.parametrize(
    ("ask", "hidden"),
    [
        (lambda lab, **wide: lab.pods(**wide), "NOMINATED NODE"),
        (lambda lab, **wide: lab.services(**wide), "SELECTOR"),
        (lambda lab, **wide: lab.table("node", **wide), "OS-IMAGE"),
        (lambda lab, **wide: lab.moments(**wide), "QUERIES AFTER"),
        (lambda lab, **wide: lab.observation("kill-node").phases(**wide), "EVIDENCE"),
        (lambda lab, **wide: lab.observation("kill-node").bgp.messages(**wide), "FRAME"),
    ],
)
def test_table_wide_shows_the_other_columns(open_lab: OpenLab, ask: Callable[..., Table], hidden: str) -> None:
    lab = open_lab("bgp")
    assert hidden not in headers(ask(lab))
    assert hidden in headers(ask(lab, wide=True))


def test_table_numbers_right_words_left() -> None:
    html = Table([{"NAME": "a", "COUNT": 3, "SHARE": 0.25, "OK": True}])._repr_html_()
    cells = '<td>a</td><td class="kans-number">3</td><td class="kans-number">0.25</td><td>True</td>'
    assert cells in html


def test_table_bars_of_a_sum_a_largest_and_another_column() -> None:
    layout = Columns(("A", "B", "C", "D"), bars={"A": Whole.SUM, "B": Whole.LARGEST, "C": "D"})
    table = Table.from_rows([{"A": 3, "B": 2.0, "C": 1, "D": 4}, {"A": 1, "B": 1.0, "C": 0, "D": 0}], None, layout)
    assert parts(table) == ["75.0%", "100.0%", "25.0%", "25.0%", "50.0%"]  # nothing of nothing has no bar
    assert parts(table[["C"]]) == []
    assert parts(Table([{"A": 3}])) == []


def test_requests_and_outages_have_bars(open_lab: OpenLab) -> None:
    lab = open_lab("iptables")
    answers = lab.curl("svc1", times=100)
    assert parts(answers) == [f"{count}.0%" for count in answers.COUNT]
    assert "100.0%" in parts(kanslib.outages("svc1").table[["ACTION", "LOST SECONDS"]])
    pool = open_lab("election").pool()
    found = open_lab("election").election("svc1").distribution(pool)
    assert parts(found) == [f"{count / 51:.1%}" for count in (19, 14, 18)]


def test_table_on_its_side_and_columns_look_like_tables(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    seen = lab.observation("kill-node")
    side = seen.arp.announcements("svc1").T
    assert headers(side) == []
    assert '<th scope="row">ROUNDS</th>' in side._repr_html_()
    counted = seen.probes("svc1").OK.value_counts()
    grouped = seen.phases().groupby("PHASE").FAILED.agg(list)
    for shown, names in ((counted, ["OK", "count"]), (grouped, ["PHASE", "FAILED"])):
        assert isinstance(shown, Answer)
        assert headers(shown) == names
        assert "dtype" not in repr(shown)
    assert repr(counted).startswith(f"# {seen.provenance}")


def test_table_long_texts_wrap_and_many_rows_are_counted() -> None:
    html = Table([{"N": number, "TEXT": "word " * 20} for number in range(100)])._repr_html_()
    assert 'class="kans-long"' in html
    assert html.count("<tr>") == 62
    assert "… and 40 more rows" in html


EMPTY: dict[str, tuple[str, Callable[[Lab], Answer], str]] = {
    "objects": ("service-types", lambda lab: lab.table("ipaddresspools"), "there are no ipaddresspools at this moment"),
    "objects of a namespace": (
        "service-types", lambda lab: lab.table("bgppeers", "default"), "there are no bgppeers in default",
    ),
    "events": ("arp", lambda lab: lab.events("kubernetes"), "kubernetes, a Service of type ClusterIP, has no event"),
    "arp scan": (
        "case-1", lambda lab: lab.arp_scan(), "nobody answered for an address of the pools at this moment",
    ),
    "conflicts": ("arp", lambda lab: lab.observation().arp.conflicts(), "no two machines answered for one address"),
    "failures": (
        "bgp", lambda lab: lab.observation("bgp-etp-local").failures("svc1"), "each of the 101 requests to svc1 was",
    ),
    "timeline events": (
        "failover", lambda lab: lab.observation("kill-node").events("BGP"), "of the kind BGP around kill-node",
    ),
    "chains": (
        "iptables", lambda lab: lab.rules(lab.control_plane).chains("svc9"), "leads to is for default/svc9",
    ),
    "difference": (
        "iptables",
        lambda lab: lab.rules(lab.control_plane).diff(lab.rules(lab.control_plane)),
        "both have the same rules, and no rule counted a packet in between",
    ),
    "lines": ("arp", lambda lab: lab.log("controller").matching("zebra"), "no line matches 'zebra'"),
    "lines since": (
        "arp", lambda lab: lab.log("controller").matching("z", since_action=True), "since the last action matches 'z'",
    ),
    "rows of a learner": ("arp", lambda lab: lab.pods().query("NODE == 'nowhere'"), "no row is left"),
    "outages": ("arp", lambda _: kanslib.outages("svc9"), "around no recorded action were requests sent to svc9"),
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
def test_empty_answer_says_why(open_lab: OpenLab, name: str) -> None:
    story, ask, why = EMPTY[name]
    answer = ask(open_lab(story))
    found = re.search(r"\(none: [^<)]*\)", answer._repr_html_())
    assert found, answer._repr_html_()
    assert why in found[0].replace("&#39;", "'")


def test_empty_reason_goes_when_rows_come(open_lab: OpenLab) -> None:
    lab = open_lab("metallb")
    lab.at("install-metallb")
    assert "there are no ipaddresspools" in repr(lab.table("ipaddresspools"))
    lab.apply(manifests.pool)
    assert "(none" not in repr(lab.table("ipaddresspools"))
