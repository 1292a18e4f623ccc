"""Logs as kubectl prints them."""

from __future__ import annotations

from kanslib.cluster import api


def test_logs_container_runtime_format_as_kubectl() -> None:
    raw = (
        '2026-11-23T12:00:00.1Z stderr P {"a":\n2026-11-23T12:00:00.1Z stderr F 1}\n2026-11-23T12:00:01Z stdout F b c\n'
    )
    assert list(api.cri_log_lines(raw)) == ['2026-11-23T12:00:00.1Z {"a":1}\n', "2026-11-23T12:00:01Z b c\n"]
