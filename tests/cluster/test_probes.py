"""Requests, probes and sweeps as text."""

from __future__ import annotations

import pytest

from kanslib.backends.recorded import parse_request
from kanslib.cluster import probes
from kanslib.exceptions import ClusterError
from kanslib.render import command_tables


def test_curl_command_found_by_recording() -> None:
    for target in ("172.18.255.200", "172.18.0.3:31861"):
        for times in (1, 100):
            assert parse_request(probes.curl_command(target, times)) == (target, times)


def test_parse_probe_reason_of_failure() -> None:
    row = probes.parse_probe("1795417889.7|172.18.255.200|;000;0.501;Connection timed out after 501 milliseconds\n")
    assert (row["ok"], row["error"], row["ms"]) == (False, "Connection timed out after 501 milliseconds", 501.0)


def test_format_arp_scan_as_arp_scan_prints() -> None:
    text = probes.format_arp_scan([("172.18.255.200", "02:42:ac:12:00:04"), ("172.18.255.200", "02:42:ac:12:00:09")])
    assert [str(row["MAC"])[-2:] for row in command_tables.arp_scan_rows(text, {})] == ["04", "09"]
    assert text.count("DUP") == 1


def test_addresses_within_limits_scan_to_kind_network() -> None:
    assert probes.addresses_within(["172.18.255.200", "192.168.77.10"], "172.18.0.0/16") == ["172.18.255.200"]
    with pytest.raises(ClusterError, match="no further than kind's network"):
        probes.addresses_within(["192.168.77.10"], "172.18.0.0/16")
