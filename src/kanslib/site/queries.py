"""The queries that a reader may make in a broken cluster, with their answers: what a diagnosis in a page rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import htpy as h
import msgspec
import yaml
from markupsafe import Markup

from kanslib import open_lab
from kanslib.exceptions import KanslibError
from kanslib.exercises.catalog.queries import load_balancers
from kanslib.k8s.objects import name_of

if TYPE_CHECKING:
    from kanslib.lab.lab import Lab

Query = tuple[str, str, Callable[[], object]]  # as a learner writes it, its name among the evidence, and how to make it
_LINES_OF_INTEREST = "error|warn|svc"  # of the controller's log


class AnsweredQuery(msgspec.Struct, frozen=True, array_like=True):
    """A query as a learner writes it, its name among the evidence of a diagnosis, and its answer as HTML."""

    code: str
    evidence: str
    html: str


def answered_queries(story: str) -> list[AnsweredQuery]:
    """Return the queries that the recorded cluster answers at the opening of a story; nothing of it is shown."""
    from IPython.utils.capture import capture_output

    with capture_output():  # the lab introduces itself, and may warn
        lab = open_lab(story, backend="recorded")
        return [answered for query in _queries(lab) for answered in _answers(*query)]


def _answers(code: str, evidence: str, ask: Callable[[], object]) -> Iterator[AnsweredQuery]:
    try:
        answer = ask()
    except KanslibError:  # nobody recorded it
        return
    to_html = getattr(answer, "_repr_html_", None)
    html = to_html() if to_html else h.pre(tabindex=0)[answer if isinstance(answer, str) else repr(answer)]
    yield AnsweredQuery(code, evidence, str(Markup(html)))


def _queries(lab: Lab) -> Iterator[Query]:
    """Yield each query that a diagnosis knows, of each Service where it is about one; traffic comes last."""
    services = sorted(map(name_of, load_balancers(lab)))
    yield "lab.services()", "services", lab.services
    for name in services:
        yield f"lab.events({name!r})", "events", partial(lab.events, name)
        yield f"lab.leader({name!r})", "leader", partial(lab.leader, name)
        yield f"lab.election({name!r})", "election", partial(lab.election, name)
    yield "lab.neighbors()", "neighbors", lab.neighbors
    for kind in ("l2advertisements", "endpointslices", "daemonsets"):
        yield f"lab.table({kind!r})", kind, partial(lab.table, kind)
    yield "lab.objects('l2advertisements')", "l2advertisements", partial(_specs, lab, "l2advertisements")
    yield "lab.pool()", "pool", lab.pool
    yield "lab.network()", "network", lab.network
    yield "lab.pods()", "pods", lab.pods
    yield "lab.nodes()", "nodes", lab.nodes
    yield "lab.containers()", "containers", lab.containers
    yield "lab.log('controller')", "log", lambda: lab.log("controller").matching(_LINES_OF_INTEREST)
    yield "lab.arp_scan()", "arp_scan", lab.arp_scan
    for name in services:
        yield f"lab.curl({name!r}, times=5)", "curl", partial(lab.curl, name, times=5)


def _specs(lab: Lab, kind: str) -> str:
    """Return the objects of a kind with their names and their whole spec, as YAML."""
    return yaml.safe_dump([{name_of(one): one["spec"]} for one in lab.objects(kind)], sort_keys=False)
