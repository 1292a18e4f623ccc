"""What a secret looks like in text: a recording that holds one is refused, and the log leaves it out."""

from __future__ import annotations

import re

from kanslib.i18n import tr_later

# what the pattern finds, and the pattern
SECRETS = (
    (tr_later("a JSON web token"), re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    (tr_later("a private key"), re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    (tr_later("a certificate"), re.compile(r"-----BEGIN CERTIFICATE-----")),
    (tr_later("key data of a kubeconfig"), re.compile(r"\b(?:client-key-data|client-certificate-data|token): \S{16,}")),
    (tr_later("a bootstrap token"), re.compile(r"(?<![\w.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![\w.-])")),
    (tr_later("a memberlist key"), re.compile(r'"secretkey"\s*:\s*"[A-Za-z0-9+/=]{16,}"')),
    (tr_later("a password"), re.compile(r"(?i)\bpassword\s*[=:]\s*[^\s\"'{}]{4,}")),
)
_ARGUMENT = re.compile(r"(?i)(\bbearer |--?(?:token|password)[= ]|\btoken=|\bpassword )(?!\[)\S+")
_LENGTH = 300  # characters of a command that the log shows


def redact(command: str) -> str:
    """Return the first line of a command for the log, without what may be a secret.

    A further line may be a file that is written, so it is left out.

    >>> redact("curl -H 'Authorization: Bearer 4f9ad1' https://192.0.2.1/")
    "curl -H 'Authorization: Bearer [left out] https://192.0.2.1/"
    """
    first, *more = command.splitlines() or [""]
    for what, pattern in SECRETS:
        first = pattern.sub(f"[left out: {what}]", first)
    first = _ARGUMENT.sub(r"\1[left out]", first)
    return first[:_LENGTH] + (" …" if more or len(first) > _LENGTH else "")
