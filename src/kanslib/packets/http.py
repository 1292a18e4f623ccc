"""The first line of an HTTP/1 message (RFC 9112)."""

from __future__ import annotations

import re
from typing import NamedTuple

_METHODS = b"GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT"
_REQUEST = re.compile(rb"(" + _METHODS + rb") ([^\s]+) (HTTP/\d\.\d)\r?\n")
_RESPONSE = re.compile(rb"(HTTP/\d\.\d) (\d{3})(?: ([^\r\n]*))?\r?\n")


class HTTP(NamedTuple):
    """A request (`method`, `uri`) or a response (`status`, `phrase`)."""

    version: str
    method: str | None = None
    uri: str | None = None
    status: int | None = None
    phrase: str | None = None

    @classmethod
    def parse(cls, payload: bytes) -> HTTP | None:
        r"""Return the first line in `payload`; None where no HTTP message begins.

        >>> HTTP.parse(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").uri
        '/'
        """
        if found := _REQUEST.match(payload):
            return cls(found[3].decode(), found[1].decode(), found[2].decode(errors="replace"))
        if found := _RESPONSE.match(payload):
            return cls(found[1].decode(), status=int(found[2]), phrase=(found[3] or b"").decode(errors="replace"))
        return None

    def __str__(self) -> str:
        if self.method:
            return f"{self.method} {self.uri} {self.version}"
        return f"{self.version} {self.status} {self.phrase}".rstrip()
