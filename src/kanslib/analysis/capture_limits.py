"""Say what a capture cannot show: MAC addresses that its link type does not keep, protocols that it has not. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kanslib.analysis.neighbor_messages import neighbor_message
from kanslib.i18n import Words, tr_later
from kanslib.packets.capture import Frame
from kanslib.packets.ethernet import LinkAddresses, link_addresses


class CaptureLimit(Words):
    """What is not known in a capture, why, and how to capture it."""

    NO_DESTINATION_MAC = tr_later(
        "the MAC address that a frame was sent to is not known (tcpdump -i any keeps none; capture on "
        "the interface: tcpdump -i eth0)"
    )
    NO_MAC = tr_later(
        "MAC addresses are not known (its link type has none; capture on an Ethernet interface: tcpdump -i eth0)"
    )
    NO_NEIGHBOR_MESSAGES = tr_later(
        "it has no ARP and no neighbor discovery, so a live node without endpoint can look like a dead "
        "one (capture with the filter: arp or icmp6 or tcp)"
    )


_BY_ADDRESSES = {
    LinkAddresses.SOURCE: CaptureLimit.NO_DESTINATION_MAC,
    LinkAddresses.NONE: CaptureLimit.NO_MAC,
}


def capture_limits(frames: Iterable[Frame]) -> tuple[CaptureLimit, ...]:
    """Return what these frames cannot show; nothing without TCP over IP, which everything else is about.

    >>> capture_limits([])
    ()
    """
    found: dict[CaptureLimit, None] = {}
    has_neighbor_messages = False
    for frame in frames:
        if neighbor_message(frame):
            has_neighbor_messages = True
        elif frame.tcp and (limit := _BY_ADDRESSES.get(link_addresses(frame.link))):
            found[limit] = None
        elif frame.tcp and not has_neighbor_messages:
            found[CaptureLimit.NO_NEIGHBOR_MESSAGES] = None
    if has_neighbor_messages or CaptureLimit.NO_MAC in found:
        found.pop(CaptureLimit.NO_NEIGHBOR_MESSAGES, None)
    return tuple(found)
