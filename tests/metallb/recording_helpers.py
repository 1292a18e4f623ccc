"""Every step of a recording: the objects of a moment, the texts that were read there, and who could hear the API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kanslib.k8s import kubeproxy
from kanslib.k8s.objects import KubeObject, WatchEvent, as_of, plural
from kanslib.metallb import memberlist
from kanslib.recording import Recording
from kanslib.recording.format import CommandOutput, Segment

CLUSTER_CIDR = "10.10.0.0/16"
OF_KUBE_PROXY = re.compile(
    r"KUBE-(SERVICES|EXT-|SVC-|SVL-|FW-|SEP-|NODEPORTS|POSTROUTING|MARK-MASQ|EXTERNAL-SERVICES|PROXY-FIREWALL|FORWARD)"
)
# kube-proxy walks Services in no fixed order, so in these chains only the order of one Service's rules is certain
SHARED = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")


@dataclass(frozen=True)
class RecordedCluster:
    """A recording, asked by moment."""

    recording: Recording

    def watch(self, kind: str) -> list[WatchEvent]:
        return self.recording.watch(kind) if kind in self.recording.under("objects") else []

    def at(self, moment: float, kind: str) -> list[KubeObject]:
        return as_of(self.watch(plural(kind)), moment)

    def objects(self, moment: float) -> Callable[[str], list[KubeObject]]:
        """What `lab.objects` would be at a moment."""
        return lambda kind: self.at(moment, kind)

    def reads(self, command: str) -> Iterator[CommandOutput]:
        """Every read of a command that printed something."""
        for read in self.recording.reads():
            if " ".join(read.command.split()) == command and read.rc == 0:
                yield read

    def text(self, read: CommandOutput) -> str:
        return self.recording.text(read.file)

    def segment_at(self, moment: float) -> Segment:
        """The segment of a moment; between two segments the one before."""
        segments = self.recording.manifest.segments
        return [segment for segment in segments if segment.start <= moment or segment is segments[0]][-1]

    def api_seen_until(self, node: str, moment: float) -> float:
        """Until when a node had heard of the API at a moment: always, unless its link was cut."""
        last = moment
        for act in self.recording.manifest.actions:
            for step in act.steps:
                if step.t <= moment and step.targets[:1] == (node,):
                    if step.verb == "link_down":
                        last = step.t
                    elif step.verb == "link_up":
                        last = moment
        return last


def rules_of(dump: str) -> dict[tuple[str, str], list[str]]:
    """The rules of kube-proxy's chains in an iptables-save, counters left out, by table and chain."""
    found: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in dump.splitlines():
        table = line[1:] if line.startswith("*") else table
        rule = re.match(r"(?:\[\d+:\d+\] )?(-A (\S+) .*)", line)
        if rule and table in ("nat", "filter") and OF_KUBE_PROXY.match(rule[2]):
            found.setdefault((table, rule[2]), []).append(rule[1])
    return found


def written(cluster: RecordedCluster, node: str, moment: float) -> dict[tuple[str, str], list[str]]:
    """What our kube-proxy writes there and then, in the same shape."""
    heard = cluster.api_seen_until(node, moment)
    config = kubeproxy.Config.of(cluster.at(heard, "nodes"), CLUSTER_CIDR)
    rules = kubeproxy.write(cluster.at(heard, "services"), cluster.at(heard, "endpointslices"), node, config)
    both = {("nat", chain): lines for chain, lines in rules.nat.items()}
    both |= {("filter", chain): lines for chain, lines in rules.filter.items()}
    return {key: lines for key, lines in both.items() if lines and OF_KUBE_PROXY.match(key[1])}


def comparable(rules: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    """The rules with those of the shared chains in order of Services; the last of KUBE-SERVICES stays last."""

    def service(line: str) -> str:
        comment = re.search(r'--comment "([^" ]+)', line)
        return "~" if "must be the last rule" in line else comment[1] if comment else ""

    return {key: sorted(lines, key=service) if key[1] in SHARED else lines for key, lines in rules.items()}


def speaker_logs(cluster: RecordedCluster) -> dict[str, list[str]]:
    """The logs of every node's speakers, one after the other."""
    found: dict[str, list[str]] = {}
    for name, file in sorted(cluster.recording.under("logs").items()):
        pod, _, node = name.partition("@")
        if pod.startswith("speaker-"):
            found.setdefault(node, []).append(cluster.recording.text(file))
    return found


def members_seen_by(cluster: RecordedCluster, node: str) -> list[tuple[float, frozenset[str]]]:
    """Whom a node's speakers thought alive, from when on: nobody once their Pod is gone."""
    known = {entry for log in speaker_logs(cluster).get(node, []) for entry in memberlist.membership_history(log)[1:]}
    known |= {
        (event.t, frozenset())
        for event in cluster.watch("pods")
        if event.type == "DELETED"
        and event.object["spec"].get("nodeName") == node
        and event.object["metadata"]["name"].startswith("speaker-")
    }
    return sorted(known, key=lambda entry: entry[0])


def alive(cluster: RecordedCluster, moment: float) -> frozenset[str]:
    """Whom the control plane's speaker thinks alive at a moment: it is never killed in the course."""
    known = [who for t, who in members_seen_by(cluster, cluster.segment_at(moment).control_plane) if t <= moment]
    return known[-1] if known else frozenset()
