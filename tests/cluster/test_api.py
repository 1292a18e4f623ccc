"""Watches on a server that fails as an API server can, and logs as kubectl prints them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest

from kanslib.cluster import api
from kanslib.cluster.api import PATHS, Watches
from kanslib.exceptions import ClusterError
from tests.cluster.api_server import ApiServer, Failure, api_server, drop, expired, garbage, once_broken, status


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        running.add("pods", "webpod1")
        yield running


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def names(watches: Watches, kind: str) -> list[str]:
    return [obj["metadata"]["name"] for obj in watches.objects(kind)]


def test_watches_list_and_watch(server: ApiServer) -> None:
    watches = Watches(api=server.client())
    assert names(watches, "pods") == ["webpod1"]
    assert not watches.has_failed
    watches.close()


@pytest.mark.parametrize("failure", [drop, expired, status(410), status(503)])
def test_watches_interrupted_watch_lists_again(
    server: ApiServer, failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kanslib")
    server.failures[PATHS["pods"]] = iter([None, once_broken(failure)])
    watches = Watches(api=server.client())
    server.add("pods", "webpod2")
    server.broken.set()
    wait_for(lambda: names(watches, "pods") == ["webpod1", "webpod2"])
    assert server.count("pods", watch=False) == 2
    assert any("attempt 1" in line and "again in 0.5 s" in line for line in caplog.messages)
    watches.close()


def test_watches_failed_lists_are_repeated_with_growing_pauses(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kanslib.cluster.retries")
    server.failures[PATHS["pods"]] = iter([drop, status(500)])
    watches = Watches(api=server.client())
    assert names(watches, "pods") == ["webpod1"]
    assert [line.rpartition("; ")[2] for line in caplog.messages] == ["again in 0.5 s", "again in 1.0 s"]
    watches.close()


def test_watches_lost_connection_ends_after_patience(server: ApiServer) -> None:
    server.failures[PATHS["pods"]] = chain([None, once_broken(drop)], repeat(drop))
    watches = Watches(api=server.client(), patience=1.2)
    server.broken.set()
    wait_for(lambda: watches.has_failed)
    requests = len(server.requests)
    with pytest.raises(ClusterError, match=r"pods of myk8s are not watched any more: the connection .* lost") as raised:
        watches.objects("pods")
    assert "kans up, then open the lab again" in str(raised.value)
    assert names(watches, "services") == []
    time.sleep(0.7)
    assert len(server.requests) == requests, "it asks no more"
    watches.close()


@pytest.mark.parametrize("code", [401, 403])
def test_watches_refused_list_is_said_at_once(server: ApiServer, code: int) -> None:
    server.failures[PATHS["pods"]] = repeat(status(code))
    with pytest.raises(ClusterError, match=rf"refuses /api/v1/pods \(HTTP {code}\).*\n.*kans up"):
        Watches(api=server.client())
    assert server.count("pods", watch=False) == 1


@pytest.mark.parametrize("code", [401, 404])
def test_watches_refused_watch_is_said_at_next_query(server: ApiServer, code: int) -> None:
    server.failures[PATHS["pods"]] = iter([None, once_broken(status(code))])
    watches = Watches(api=server.client())
    server.broken.set()
    wait_for(lambda: watches.has_failed)
    with pytest.raises(ClusterError, match=f"HTTP {code}"):
        watches.events("pods")
    watches.close()


def test_watches_metallb_not_installed_is_no_error(server: ApiServer) -> None:
    server.failures[PATHS["ipaddresspools"]] = iter(lambda: None if server.broken.is_set() else status(404), "never")
    server.add("ipaddresspools", "first-pool")
    watches = Watches(api=server.client())
    assert names(watches, "ipaddresspools") == []
    server.broken.set()
    wait_for(lambda: names(watches, "ipaddresspools") == ["first-pool"])
    watches.close()


def test_watches_own_error_reaches_the_user(server: ApiServer) -> None:
    server.failures[PATHS["pods"]] = iter([garbage])
    with pytest.raises(ClusterError, match="KeyError: 'items'") as raised:
        Watches(api=server.client())
    assert isinstance(raised.value.__cause__, KeyError)


def test_watches_full_disk_is_not_taken_for_a_lost_connection(server: ApiServer) -> None:
    def write(_kind: str, _event: object) -> None:
        raise OSError("No space left on device")

    with pytest.raises(ClusterError, match="No space left on device"):
        Watches(write, server.client())


def test_watches_log_has_requests_and_no_credentials(server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kanslib")
    Watches(api=server.client()).close()
    assert any(line.startswith("GET /api/v1/pods : HTTP 200, ") for line in caplog.messages)
    assert "4f9ad1secret" not in caplog.text


def test_logs_container_runtime_format_as_kubectl() -> None:
    raw = (
        '2026-11-23T12:00:00.1Z stderr P {"a":\n2026-11-23T12:00:00.1Z stderr F 1}\n2026-11-23T12:00:01Z stdout F b c\n'
    )
    assert list(api.cri_log_lines(raw)) == ['2026-11-23T12:00:00.1Z {"a":1}\n', "2026-11-23T12:00:01Z b c\n"]
