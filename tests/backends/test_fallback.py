"""Where live cannot serve a cell, the recording does, and says so. The gap itself is made: a right that is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kanslib.actions import Verb
from kanslib.answer import Provenance, Text
from kanslib.backends.fallback import RecordingFallback
from kanslib.backends.recorded import RecordedBackend
from kanslib.course import manifests
from kanslib.course.recordings import shipped
from kanslib.exceptions import KanslibError, UnsupportedError
from kanslib.lab.lab import Lab
from kanslib.packets.capture import Frame
from kanslib.recording import Recording

REASON = "CAP_NET_RAW is missing"


class LiveWithGaps(RecordedBackend):
    """A world that answers like a live one, except for what `gaps` names."""

    gaps: tuple[str, ...] = ()

    @property
    def current_moment(self) -> str:
        return self.clock.last_name

    def provenance(self) -> Provenance:
        return Provenance("live", 0.0, "opening", "")

    def _refuse(self, asked: str) -> None:
        if asked in self.gaps:
            raise UnsupportedError(asked, REASON)

    def arp_scan(self, source: str) -> Text:
        self._refuse("arp_scan")
        return super().arp_scan(source)

    def perform(self, verb: Verb, targets: Sequence[str]) -> Text:
        self._refuse("perform")
        return super().perform(verb, targets)

    def frames_between(self, start: float, end: float) -> list[Frame]:
        self._refuse("frames")
        return super().frames_between(start, end)


def lab_with_gaps(story: str, *gaps: str) -> Lab:
    live = LiveWithGaps(Recording.open(shipped(story)), story)
    live.gaps = gaps
    return Lab(RecordingFallback(live, lambda: RecordedBackend(Recording.open(shipped(story)), story)))


def test_fallback_backend_query_answered_by_recording_and_marked(capsys: pytest.CaptureFixture[str]) -> None:
    lab = lab_with_gaps("arp", "arp_scan")
    scan = lab.arp_scan()
    assert scan.ADDRESS.tolist() == lab.pool()[:3]
    assert scan.provenance.source == "recorded"
    assert scan.provenance.fallback_reason == REASON
    assert not scan.provenance.checkable, "such an answer must never feed a check"
    assert REASON in capsys.readouterr().out
    assert "border-left" in scan._repr_html_()
    assert lab.nodes().provenance.source == "live", "the next look is live again"


def test_fallback_backend_frames_announced(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab_with_gaps("arp", "frames").observation().frames("arp")
    assert f"answered by the recording, because {REASON}" in capsys.readouterr().out


def test_fallback_backend_action_switches_until_next_at() -> None:
    lab = lab_with_gaps("bgp", "perform")
    lab.delete(manifests.l2advertisement)
    assert lab.start_router().provenance.fallback_reason == REASON
    assert lab.router == "router"
    assert lab.run(lab.router, "vtysh -c 'show bgp summary'").provenance.fallback_reason == REASON
    lab.at("opening")
    assert lab.nodes().provenance.source == "live"


def test_fallback_backend_compare_recording_not_live() -> None:
    lab = lab_with_gaps("bgp", "perform")
    with pytest.raises(KanslibError, match=r"open_lab\('bgp', backend='recorded'\)"):
        lab.compare()
    lab.delete(manifests.l2advertisement)
    lab.start_router()  # from here on the recording answers
    assert lab.compare().DIFFERENCE.sum() == 0


def test_fallback_backend_not_recorded_raises_live_reason() -> None:
    lab = lab_with_gaps("failover", "arp_scan")
    with pytest.raises(KanslibError, match=REASON):
        lab.arp_scan(source="nobody")
