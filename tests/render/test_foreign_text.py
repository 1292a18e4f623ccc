"""Names and texts of others in everything that is drawn: they add no element and no attribute.

Each figure, table, form and page is made twice: with a hostile text in names, labels, messages and logs, and with a
harmless one of the same length. A browser's parser has to find the same elements in both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import html5lib
import ipywidgets
import msgspec
import pytest
from typer.testing import CliRunner

import kanslib
from kanslib import notices
from kanslib.analysis.leadership import LeaderView
from kanslib.analysis.neighbors import NeighborAnalysis
from kanslib.analysis.observation_data import neighbor_updates
from kanslib.answer import Answer, Provenance
from kanslib.backends.observed_actions import observed_actions
from kanslib.cli.app import app
from kanslib.course.recordings import shipped
from kanslib.exercises.catalog import CATALOG
from kanslib.exercises.forms import create_form
from kanslib.iptables import Packet
from kanslib.lab.lab import Lab
from kanslib.recording import Recording
from kanslib.recording.writer import RecordingWriter
from kanslib.render.arp_timeline import ARPTimeline
from kanslib.render.arp_words import PlotContext
from kanslib.render.leadership_timeline import LeadershipTimeline
from kanslib.render.outage_timeline import OutageTimeline
from kanslib.render.packet_trace import Trace
from tests.types import OpenLab

NAME = "\"hostile='<hostile><script>alert(1)]]>-->{{7*7}}[red]&amp;"  # no blank and no slash, which end a name
HOSTILE = NAME + "</script></title></svg><img src=x onerror=alert(1)><hostile onclick=alert(1)>"
NOWHERE = Provenance("simulated", 0.0, "opening", "none")
ZONE = "topology.kubernetes.io/zone"
POOL = "metallb.universe.tf/address-pool"
RENAMED = re.compile(r"\b(svc3|webpod1|myk8s-worker3|ap-northeast-2a)\b")
ANSWERS: dict[str, Callable[[Lab, str], object]] = {
    "map": lambda lab, _: lab.map(),
    "hash order": lambda lab, text: lab.hash_order("svc2", joins=[text], leaves=["myk8s-worker"]),
    "pool": lambda lab, _: lab.pool(),
    "election": lambda lab, _: lab.election("svc2"),
    "services": lambda lab, _: lab.services(),
    "nodes": lambda lab, _: lab.nodes(),
    "pods": lambda lab, _: lab.pods(),
    "events": lambda lab, text: lab.events(f"svc3{text}"),
    "log": lambda lab, _: lab.log("speaker", "myk8s-worker2"),
    "moments": lambda lab, _: lab.moments(),
    "timeline": lambda lab, _: lab.observation().timeline(),
    "leadership": lambda lab, _: lab.observation().leadership("svc2"),
    "ARP conversation": lambda lab, _: lab.observation().arp.conversation("svc2"),
    "ARP timeline": lambda lab, _: lab.observation().arp.timeline(),
    "phases": lambda lab, _: lab.observation().phases(),
    "observed events": lambda lab, _: lab.observation().events(),
    "time machine": lambda lab, _: lab.time_machine("svc2"),
    "progress": lambda lab, _: lab.progress(),
}


def harmless(text: str) -> str:
    """Return a text of the same length and with the same words."""
    return re.sub(r"[^\w\s]", "x", text)


def elements(html: str) -> set[tuple[str, str]]:
    """Return every element with each of its attributes, as a browser finds them."""
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    found = {(str(node.tag), name) for node in tree.iter() for name in ("", *node.attrib)}
    assert not [one for one in found if "hostile" in one[0] + one[1] or one[1].startswith("on")]
    return found


def text_of(html: str) -> str:
    return "".join(html5lib.parse(html).itertext())


def figure_strings(value: object) -> Iterator[str]:
    """Return every string of a plotly figure: plotly reads each as HTML."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from figure_strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from figure_strings(one)


def drawn(answer: object) -> str:
    """Return an answer as a browser gets it."""
    assert isinstance(answer, Answer)
    shown: Iterable[str] = ()
    if isinstance(answer, (OutageTimeline, ARPTimeline)):
        shown = figure_strings(json.loads(str(answer.plotly().to_json())))
    return "\n".join([str(answer._repr_html_()), *shown])


def recording_with(text: str, folder: Path) -> Path:
    """Write the shipped recording with `text` behind names of a Service, a Pod, a node and a zone, and its titles."""
    shipped_one, writer, out = Recording.open(shipped("l2")), RecordingWriter(), folder / "renamed"
    escaped = json.dumps(text)[1:-1]
    for name in shipped_one.manifest.files:
        content = shipped_one.read(name)
        if name.startswith(("objects/", "probes/", "logs/")):
            content = RENAMED.sub(lambda found: found[0] + escaped, content.decode()).encode()
        writer.add(name, content)
    manifest = msgspec.structs.replace(
        shipped_one.manifest,
        title=shipped_one.manifest.title + text,
        versions={name: version + text for name, version in shipped_one.manifest.versions.items()},
        stories=tuple(msgspec.structs.replace(one, title=one.title + text) for one in shipped_one.manifest.stories),
        files=writer.entries(),
    )
    writer.write(manifest, out)
    return out


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {text: recording_with(text, tmp_path_factory.mktemp("recording")) for text in (NAME, harmless(NAME))}


@pytest.fixture
def labs(recordings: dict[str, Path], open_lab: OpenLab) -> dict[str, Lab]:
    labs = {text: open_lab("failover", recording=path) for text, path in recordings.items()}
    for lab in labs.values():
        lab.at("kill-node")
    return labs


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_answers_of_a_recording_add_no_element(labs: dict[str, Lab], name: str) -> None:
    hostile, other = (drawn(ANSWERS[name](lab, text)) for text, lab in labs.items())
    assert elements(hostile) <= elements(other)
    if name != "progress":
        assert "<hostile><script>" in text_of(hostile)


def test_leadership_of_hostile_names_adds_no_element() -> None:
    def figure(text: str) -> str:
        views = [LeaderView(text, 0.0, 5.0, text), LeaderView("mypc", 0.0, 5.0, "")]
        return drawn(LeadershipTimeline(views, text, text, NOWHERE))

    assert elements(figure(HOSTILE)) == elements(figure(harmless(HOSTILE)))


def test_arp_timeline_of_hostile_names_adds_no_element() -> None:
    failover = next(iter(observed_actions(Recording.shared(shipped("l2")), ["kill-node"])))
    seen = failover.observation
    arp, updates = NeighborAnalysis.of(seen.frames()), neighbor_updates(seen)

    def figure(text: str) -> str:
        services, places = (dict.fromkeys(names, text) for names in (failover.services, seen.mac_owners))
        context = PlotContext(seen, services, places, text)
        return drawn(ARPTimeline(arp, updates, context, NOWHERE))

    assert elements(figure(HOSTILE)) == elements(figure(harmless(HOSTILE)))


def test_annotations_of_a_manifest_add_no_element() -> None:
    def shown(text: str) -> str:
        cluster = {"kind": "Cluster", "nodes": [{"role": "control-plane", "labels": {ZONE: text}}]}
        metadata = {"name": "svc1", "annotations": {"note": text, POOL: text}}  # all else has to be a name
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        lab = kanslib.simulate("\n---\n".join(map(json.dumps, (cluster, service))))
        answers = (lab.map(), lab.services(), lab.nodes(), lab.events("svc1"), lab.table("svc"))
        return "\n".join(map(drawn, answers))

    assert elements(shown(HOSTILE)) <= elements(shown(harmless(HOSTILE)))
    assert HOSTILE in text_of(shown(HOSTILE))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_exercises_add_no_element(labs: dict[str, Lab]) -> None:
    hostile, other = ("\n".join(shown_exercises(lab, text)) for text, lab in labs.items())
    assert elements(hostile) <= elements(other)
    assert NAME in text_of(hostile)


def shown_exercises(lab: Lab, answer: str) -> Iterator[str]:
    """Yield an exercise of each kind as HTML: question, feedback to `answer`, hint and form; then a prediction."""
    for name in {exercise.kind: name for name, exercise in CATALOG.items()}.values():
        view = lab.exercise(name)
        yield from (view._repr_html_(), view.question_html(), view.check(answer).html(), view.hint().html())
        yield from form_html(create_form(view))
    prediction = lab.predict("leader-of-svc1", guess=answer)
    yield prediction._repr_html_()


def form_html(widget: ipywidgets.Widget) -> Iterator[str]:
    """Yield what the widgets of a form show as HTML; their descriptions are text."""
    assert not getattr(widget, "description_allow_html", False)
    if isinstance(widget, ipywidgets.HTML):
        yield widget.value
    for child in getattr(widget, "children", ()):
        yield from form_html(child)


def test_notice_adds_no_element(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(notices, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data["text/html"]))
    notices.show_notice(HOSTILE, notices.FALLBACK_COLOUR, "kans-not-live")
    assert elements(shown[0]) <= {*elements("<div class='' style=''>")}
    assert HOSTILE in text_of(shown[0])


@pytest.mark.parametrize("text", [HOSTILE, "'\"hostile=", "{{7*7}}", "]]>", "&amp;", "</svg><hostile>"])
def test_trace_of_a_hostile_comment_adds_no_element(text: str, tmp_path: Path) -> None:
    def picture(comment: str) -> str:
        dump = (
            f"*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m comment --comment {json.dumps(comment)} -j ACCEPT\nCOMMIT\n"
        )
        outcomes = kanslib.iptables.parse(dump).trace(Packet("192.0.2.1", "198.51.100.1", "tcp", 1, 80, "eth0"))
        return drawn(Trace(outcomes, comment, Provenance("simulated", 0.0, "opening", comment)))

    assert elements(picture(text)) == elements(picture(harmless(text)))
    assert text in text_of(picture(text))


def timeline_page(*arguments: str | Path) -> str:
    """Return the page of `kans timeline`."""
    out = Path(str(arguments[-1])).with_suffix(".html")
    ran = CliRunner().invoke(app, ["timeline", *map(str, arguments), "--out", str(out)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_timeline_page_of_a_recording_adds_no_element(recordings: dict[str, Path]) -> None:
    hostile, other = (timeline_page("--action", "kill-node", path) for path in recordings.values())
    assert elements(hostile) <= elements(other)
    assert NAME in text_of(hostile)


def test_timeline_page_of_own_logs_adds_no_element(tmp_path: Path) -> None:
    def page(text: str) -> str:
        log = tmp_path / f"speaker@{text}.log"
        message = json.dumps({"msg": f"memberlist: Suspect {text} has failed, no acks received"})
        log.write_text(f"2026-11-23T13:31:18.000000000Z {message}\n")
        return timeline_page("--zero", "2026-11-23T13:31:10", log)

    assert elements(page(NAME)) == elements(page(harmless(NAME)))
    assert NAME in text_of(page(NAME))
