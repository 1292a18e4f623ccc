"""Two dumps beside the requests between them."""

from __future__ import annotations

from tests.types import OpenLab


def test_diff_counters_follow_hundred_requests(open_lab: OpenLab) -> None:
    lab = open_lab("iptables")
    before = lab.rules(str(lab.leader("svc1"))).chains("svc1")
    answers = lab.curl("svc1", times=100).groupby("HOSTNAME").COUNT.sum()
    after = lab.rules(str(lab.leader("svc1"))).chains("svc1")
    assert before.CHAIN.tolist() == after.CHAIN.tolist()
    more = (after.PACKETS - before.PACKETS)[after.TARGET == "DNAT"]
    assert sorted(more) == sorted(answers), "the kernel counted as many connections as the client had answers"
    names = [name.rsplit("-", 1)[0] for name in dict.fromkeys(after.CHAIN)]
    assert set(names) == {"KUBE", "KUBE-SVC", "KUBE-EXT", "KUBE-MARK", "KUBE-SEP"}
