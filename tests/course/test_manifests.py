"""Manifests have the lesson's addresses; a lab on another Docker network applies them with its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import MagicMock

import pytest

from kanslib.analysis.observation_data import Topology
from kanslib.answer import Text
from kanslib.backends.live import LiveBackend
from kanslib.backends.recorded import RecordedBackend
from kanslib.course import manifests
from kanslib.k8s.objects import KubeObject
from kanslib.lab.lab import Lab
from kanslib.recording import Recording

OTHER_NETWORK = "172.20.0.0/16"


class BackendOnOtherNetwork(RecordedBackend):
    """The same cluster on another Docker network; remembers what is applied and deleted."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording, "arp")
        self.applied: list[KubeObject] = []
        self.deleted: list[str] = []

    def topology(self) -> Topology:
        return replace(super().topology(), network=OTHER_NETWORK)

    def apply(self, documents: Sequence[KubeObject]) -> Text:
        self.applied += documents
        return Text("", self.provenance())

    def delete(self, references: Sequence[str]) -> Text:
        self.deleted += references
        return Text("", self.provenance())


def ranges(backend: BackendOnOtherNetwork) -> list[str]:
    return [spec for pool in backend.applied for spec in pool["spec"]["addresses"]]


def test_lab_apply_moves_manifest_to_its_network(recording: Recording) -> None:
    backend = BackendOnOtherNetwork(recording)
    Lab(backend).apply(manifests.pool)
    assert ranges(backend) == ["172.20.255.200-172.20.255.250"]
    Lab(backend).apply(manifests.on("172.30.0.0/16", "broken/small_pool"))
    assert ranges(backend)[1].startswith("172.20.255.")
    Lab(backend).delete(manifests.pool)
    assert backend.deleted == ["ipaddresspool/my-ippool"]


def test_lab_apply_own_text_unchanged(recording: Recording) -> None:
    backend = BackendOnOtherNetwork(recording)
    own = str(manifests.pool.replace("200-", "210-"))
    for text in (own, manifests.CourseManifest(own)):
        Lab(backend).apply(text)
    assert ranges(backend) == ["172.18.255.210-172.18.255.250"] * 2


def test_live_backend_other_network_keeps_manifests(monkeypatch: pytest.MonkeyPatch, recording: Recording) -> None:
    session = MagicMock(is_recording=False, reconciler=MagicMock(network=OTHER_NETWORK))
    monkeypatch.setattr("kanslib.backends.live.session", lambda: session)
    LiveBackend("arp")
    assert "172.18.255.200-172.18.255.250" in manifests.pool
    lab = Lab(RecordedBackend(recording, "metallb"))
    lab.install_metallb()
    assert "created" in lab.apply(manifests.pool)
