"""The election beside what the cluster did."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from kanslib.lab import Lab
from kanslib.models import election

WORKERS = ["myk8s-worker", "myk8s-worker2", "myk8s-worker3"]


@pytest.mark.parametrize(
    ("moment", "usable"),
    [
        ("apply-services", WORKERS),
        ("apply-services-2", WORKERS),
        ("kill-node", WORKERS[1:]),
        ("start-node", WORKERS),
        ("exclude-leader", WORKERS[1:]),
        ("include-leader", WORKERS),
        ("apply-etp-local", WORKERS[:2]),
    ],
)
def test_the_first_in_order_is_the_leader_of_the_recording(
    open_lab: Callable[..., Lab], moment: str, usable: list[str]
) -> None:
    lab = open_lab("l2")
    lab.at(moment)
    for service in ("svc1", "svc2", "svc3"):
        assert lab.leader(service) == election.order(usable, lab.vip(service))[0]


def test_the_order_of_the_input_does_not_matter() -> None:
    assert election.order(WORKERS[::-1], "172.18.255.201") == election.order(iter(WORKERS), "172.18.255.201")


def test_how_the_lessons_pool_spreads(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab("election")
    leaders = pd.Series([election.order(WORKERS, ip)[0] for ip in lab.pool()]).value_counts()
    assert (len(lab.pool()), leaders.sum()) == (51, 51)
    assert sorted(leaders) == [14, 18, 19]


def test_a_table_or_a_single_name_is_refused(open_lab: Callable[..., Lab]) -> None:
    for wrong in (open_lab("election").nodes(), "myk8s-worker"):
        with pytest.raises(TypeError, match="list of node names"):
            election.order(wrong, "172.18.255.200")
