"""The parts of the live world that need no cluster: what is read from a node's rules, logs, probes and answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from kanslib.backends.recorded import parse_request
from kanslib.cluster import api, probes, readiness, session
from kanslib.exceptions import ClusterError
from kanslib.k8s.objects import external_address
from kanslib.lab.lab import Lab
from kanslib.render import command_tables
from tests.types import OpenLab


class RecordedWatches:
    """The watches of a recording's moment, as a live world's waiting asks them."""

    def __init__(self, lab: Lab) -> None:
        self.objects: Callable[[str], list[dict[str, Any]]] = lab.objects


@pytest.mark.parametrize("story", ["arp", "etp-local", "bgp"])
def test_rules_programmed_equal_services_and_endpoints(open_lab: OpenLab, story: str) -> None:
    lab = open_lab(story)
    watches: Any = RecordedWatches(lab)
    wanted = {
        (external_address(service), *readiness.service_endpoints(watches, service))
        for service in readiness.load_balancers(watches)
    }
    assert len(wanted) == 3
    for node in lab.nodes().NAME:
        assert readiness.programmed_endpoints(lab.run(node, "iptables -t nat -S")) == wanted


def test_rules_programmed_before_and_after_action_differ(open_lab: OpenLab) -> None:
    lab = open_lab("failover")
    before = readiness.programmed_endpoints(lab.run("myk8s-worker3", "iptables -t nat -S"))
    lab.at("kill-node")
    after = readiness.programmed_endpoints(lab.run("myk8s-worker3", "iptables -t nat -S"))
    assert {len(row) for row in before} == {3}
    assert {len(row) for row in after} == {2}


def test_leaders_awaited_equal_lab_leaders(open_lab: OpenLab) -> None:
    lab = open_lab("election")
    watches: Any = RecordedWatches(lab)
    assert readiness.leaders(watches) == {name: lab.leader(name) for name in ("svc1", "svc2", "svc3")}


def test_requested_command_found_by_recording() -> None:
    for target in ("172.18.255.200", "172.18.0.3:31861"):
        for times in (1, 100):
            assert parse_request(probes.requested(target, times)) == (target, times)


def test_probed_reason_of_failure() -> None:
    row = probes.probed("1795417889.7|172.18.255.200|;000;0.501;Connection timed out after 501 milliseconds\n")
    assert (row["ok"], row["error"], row["ms"]) == (False, "Connection timed out after 501 milliseconds", 501.0)


def test_printed_as_arp_scan() -> None:
    text = probes.printed([("172.18.255.200", "02:42:ac:12:00:04"), ("172.18.255.200", "02:42:ac:12:00:09")])
    assert [row["MAC"][-2:] for row in command_tables.arp_scan_rows(text, {})] == ["04", "09"]
    assert text.count("DUP") == 1


def test_within_limits_scan_to_kind_network() -> None:
    assert probes.within(["172.18.255.200", "192.168.77.10"], "172.18.0.0/16") == ["172.18.255.200"]
    with pytest.raises(ClusterError, match="no further than kind's network"):
        probes.within(["192.168.77.10"], "172.18.0.0/16")


def test_logs_container_runtime_format_as_kubectl() -> None:
    raw = (
        '2026-11-23T12:00:00.1Z stderr P {"a":\n2026-11-23T12:00:00.1Z stderr F 1}\n2026-11-23T12:00:01Z stdout F b c\n'
    )
    assert list(api.cri_log_lines(raw)) == ['2026-11-23T12:00:00.1Z {"a":1}\n', "2026-11-23T12:00:01Z b c\n"]


def test_session_progress_escapes_html(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr("IPython.display.display", lambda html, **_: shown.append(html.data))
    session.show_progress("no Pod <none> & no <b>node</b>")
    assert "no Pod &lt;none&gt; &amp; no &lt;b&gt;node&lt;/b&gt;" in shown[0]
