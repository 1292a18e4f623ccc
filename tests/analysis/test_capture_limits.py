"""What a capture cannot show is said, as data."""

from __future__ import annotations

import pytest

from kanslib.analysis.capture_limits import CaptureLimit, capture_limits
from kanslib.packets.ethernet import COOKED, COOKED_2, ETHERNET, RAW_IP
from tests.wire import NODE1, Wire, alive, failover6


@pytest.mark.parametrize(
    ("link", "limits"),
    [
        (ETHERNET, ()),
        (COOKED, (CaptureLimit.NO_DESTINATION_MAC,)),
        (COOKED_2, (CaptureLimit.NO_DESTINATION_MAC,)),
        (RAW_IP, (CaptureLimit.NO_MAC,)),
    ],
)
def test_capture_limits_of_link_types(link: int, limits: tuple[CaptureLimit, ...]) -> None:
    assert capture_limits(alive().read(link)) == limits
    assert capture_limits(failover6().read(link)) == limits


def test_capture_limits_filter_without_arp() -> None:
    wire = Wire()
    wire.request(0, 40000, NODE1)
    assert capture_limits(wire.read()) == (CaptureLimit.NO_NEIGHBOR_MESSAGES,)
