"""Dumps of rules that ship with the course beside its recordings.

>>> from kanslib.course import dumps
>>> len(dumps.nftables_leader().matching("goto external-").splitlines())  # three VIPs, three NodePorts
6
"""

from __future__ import annotations

from pathlib import Path

from kanslib.answer import Provenance, Text
from kanslib.i18n import tr

_HERE = Path(__file__).parent
_RECORDED = 1795745692.0  # 2026-11-27 02:14:52 UTC


def nftables_leader() -> Text:
    """Return what `nft list ruleset` printed where kube-proxy v1.37.2 had the leader of svc1 in nftables mode.

    The Services and endpoints are those of the story `iptables`. Its addresses are those of that recording.
    """
    about = Provenance(
        "recorded",
        _RECORDED,
        "opening",
        "kube-proxy v1.37.2, nft 1.0.6",
        (tr("for the Services and endpoints of the story {story!r}", story="iptables"),),
    )
    return Text((_HERE / "nftables-leader.nft").read_text(), about)
