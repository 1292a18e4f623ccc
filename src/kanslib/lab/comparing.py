"""A recording beside a simulation of it, and a node's rules beside those that follow from the cluster's objects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kanslib.backends import factory
from kanslib.lab import packet_path
from kanslib.lab.queries import ClusterView

if TYPE_CHECKING:
    from kanslib.render.tables import Table

COLUMNS = ["WHAT", "RECORDED", "SIMULATED", "DIFFERENCE"]
RULE_COLUMNS = ["FOUND", "WRITER", "RULE"]
# who writes the chains whose names begin so, and the rules that lead to them
_WRITERS = {"KUBE-": "kube-proxy", "DOCKER_": "Docker", "KIND-MASQ-AGENT": "kindnet"}


def compare(view: ClusterView) -> Table:
    """Return each fact of this moment as it was recorded and as it is simulated; see `Lab.compare`."""
    from kanslib.comparison.simulation import compare_with_simulator
    from kanslib.render.tables import Table

    recorded, simulated = factory.recorded_and_simulated(view.backend)
    rows = [
        {"WHAT": pair.what, "RECORDED": pair.recorded, "SIMULATED": pair.simulated, "DIFFERENCE": pair.differs}
        for pair in compare_with_simulator(recorded, simulated)
    ]
    origin = view.provenance()
    other = "its recording" if origin.source == "simulated" else "a simulation of it"
    return Table.from_rows(rows, origin.with_notes(f"beside {other}"), COLUMNS)


def compare_rules(view: ClusterView, node: str) -> Table:
    """Return each nat rule of a node and of a model of kube-proxy, and where it was found; see `Lab.compare_rules`."""
    from kanslib.k8s import kubeproxy
    from kanslib.render.tables import Table

    ruleset, nodes = packet_path.rules(view, node), view.objects("nodes")
    config = kubeproxy.Config.of(nodes, kubeproxy.pod_range(nodes))
    lines = kubeproxy.nat_rules(view.objects("services"), view.objects("endpointslices"), node, config)
    only_computed = Counter(lines)
    found: list[tuple[str, str]] = []
    for rule in ruleset.rules():
        if rule.table == "nat":
            found.append(("both" if only_computed[rule.text] else "node", rule.text))
            only_computed[rule.text] -= 1
    found += [("computed", text) for text in (+only_computed).elements()]
    rows = [{"FOUND": where, "WRITER": _writer(text), "RULE": text} for where, text in found]
    return Table.from_rows(rows, ruleset.provenance.with_notes("beside a model of kube-proxy"), RULE_COLUMNS)


def _writer(rule: str) -> str:
    """Return who wrote a rule: whose its chain is, or the chain that it leads to; empty where that is not known.

    >>> _writer("-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT"), _writer("-A INPUT -j ACCEPT")
    ('Docker', '')
    """
    return next((who for start, who in _WRITERS.items() if f"-A {start}" in rule or f"-j {start}" in rule), "")
