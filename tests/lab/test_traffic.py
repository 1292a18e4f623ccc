"""Why no answer came to a request: curl has one exit code for a refusal and for no route, the frames tell which."""

from __future__ import annotations

import pytest

from kanslib.analysis.attempts import ClientError
from kanslib.render.command_tables import request_rows
from tests.types import OpenLab


@pytest.mark.parametrize(
    ("story", "label"),
    [
        ("case-1", "no route to host"),  # nobody answers ARP
        ("case-3", "network unreachable"),  # the gateway says so by ICMP
        ("case-9", "connection refused"),  # a machine that holds the address resets the connection
    ],
)
def test_curl_tells_refused_from_no_route(open_lab: OpenLab, story: str, label: str) -> None:
    answers = open_lab(story).curl("svc1", times=5).HOSTNAME.tolist()
    assert f"(no answer): {label}" in answers


def test_curl_simulated_conflicting_host_refuses(open_lab: OpenLab) -> None:
    lab = open_lab("case-9", backend="simulated")
    assert lab.curl("svc1", times=5).HOSTNAME.tolist() == ["(no answer): connection refused"]


def test_request_rows_without_evidence_name_both() -> None:
    assert request_rows("curl exit 7\n", 1)[0]["HOSTNAME"] == "(no answer): connection refused or no route"
    assert request_rows("curl exit 7\n", 1, ClientError.REFUSED)[0]["HOSTNAME"] == "(no answer): connection refused"
