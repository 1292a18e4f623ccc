"""Serve a site from this machine as GitHub Pages does: below a path, compressed with gzip."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

PREFIX = "/course/"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a site while the `with` block runs; gives its address, with a slash at its end."""

    @cache
    def content(path: Path) -> bytes:
        return gzip.compress(path.read_bytes(), 6)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            file = site / path.removeprefix(PREFIX)
            is_there = path.startswith(PREFIX) and file.is_file()
            shown = file if is_there else site / "404.html"
            body = content(shown) if shown.is_file() else b""
            self.send_response(200 if is_there else 404)
            self.send_header("Content-Type", _TYPES.get(shown.suffix, "application/octet-stream"))
            self.send_header("Content-Encoding", "gzip") if body else None
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        thread.join()
