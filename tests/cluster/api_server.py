"""An HTTP server that lists and watches like the Kubernetes API, and fails on demand: no real one does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiClient, Configuration

from kanslib.cluster.api import PATHS

Failure = Callable[["Handler"], None]


class ApiServer:
    """Objects by path, and failures that the next requests for a path meet, one each. `requests` are those so far."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {path: [] for path in PATHS.values()}
        self.failures: dict[str, Iterator[Failure | None]] = {}
        self.requests: list[str] = []
        self.closed = threading.Event()
        self.broken = threading.Event()
        self.url = ""

    def client(self) -> ApiClient:
        configuration = Configuration(host=self.url)
        configuration.api_key["authorization"] = "Bearer 4f9ad1secret"
        return ApiClient(configuration)

    def add(self, kind: str, name: str, version: str = "1") -> None:
        meta = {"name": name, "namespace": "default", "resourceVersion": version}
        self.objects[PATHS[kind]].append({"metadata": meta})

    def count(self, kind: str, *, watch: bool) -> int:
        return sum(line.startswith(PATHS[kind] + "?") is watch for line in self.requests if PATHS[kind] in line)


class Handler(BaseHTTPRequestHandler):
    """Answer one request as the API server does."""

    protocol_version = "HTTP/1.1"
    api: ApiServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.api.requests.append(self.path)
        failure = next(self.api.failures.get(url.path, iter(())), None)
        if failure is not None:
            failure(self)
        elif "watch" in parse_qs(url.query):
            self.begin_stream()
            self.api.closed.wait(20)
        else:
            items = self.api.objects[url.path]
            self.answer({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items})

    def answer(self, body: object, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()

    def send_event(self, event: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(event).encode() + b"\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """Run a server on a free port of this machine."""
    api = ApiServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"api": api})) as server:
        server.daemon_threads = True
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield api
        finally:
            api.closed.set()
            server.shutdown()
            thread.join()


def once_broken(failure: Failure) -> Failure:
    """Fail only when the test sets `broken`."""

    def wait_and_fail(handler: Handler) -> None:
        handler.api.broken.wait(20)
        failure(handler)

    return wait_and_fail


def status(code: int) -> Failure:
    """Answer with an HTTP status."""
    return lambda handler: handler.answer({"kind": "Status", "code": code}, code)


def expired(handler: Handler) -> None:
    """Open a watch, and say in it that its version is too old, as the API server does."""
    handler.begin_stream()
    handler.send_event({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})


def drop(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True
    handler.connection.close()


def garbage(handler: Handler) -> None:
    """Answer with something that is no list."""
    handler.answer({"unexpected": True})
