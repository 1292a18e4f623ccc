"""The raw recordings that ship with the tests."""

from __future__ import annotations

import json
import lzma
import tarfile
from pathlib import Path

import pytest

from tests.conftest import RAW
from tests.data.pack import tarred


@pytest.mark.slow
def test_pack_equals_shipped_archive(tmp_path: Path) -> None:
    with tarfile.open(RAW) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "README.md").write_text("not packed")
    assert tarred(tmp_path) == lzma.decompress(RAW.read_bytes())


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "    client-key-data: TFMwdExTMUNSVWRK",
        "Authorization: Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6",
        "kubeadm join --token abcdef.0123456789abcdef",
        json.dumps({"type": "ADDED", "object": {"kind": "Secret", "data": {"secretkey": "eA=="}}}),
        "docker cp /home/somebody/kind.yaml",
    ],
)
def test_pack_contains_no_secret(tmp_path: Path, secret: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "acts.ndjson").write_text("")
    tarred(tmp_path)
    (tmp_path / "one" / "said.txt").write_text(f"first\n{secret}\n")
    with pytest.raises(ValueError, match=r"said\.txt, byte \d+: not to be published"):
        tarred(tmp_path)
