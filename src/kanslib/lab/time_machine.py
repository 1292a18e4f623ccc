"""The time machine: a copy of a recorded story, and a slider that moves its clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from markupsafe import Markup

from kanslib.analysis import event_sources
from kanslib.analysis.neighbor_cache import neighbors_at
from kanslib.analysis.observation_data import neighbor_updates
from kanslib.backends.recorded import RecordedBackend
from kanslib.exceptions import KanslibError, NotRecordedError
from kanslib.i18n import tr
from kanslib.k8s.objects import qualified_name
from kanslib.lab import metallb, packet_path, places
from kanslib.lab.queries import ClusterView
from kanslib.notices import in_notebook
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Rows
from kanslib.render.time_machine import Scene, StoryTimeline, TimelineStop, story_html

if TYPE_CHECKING:
    from kanslib.render.packet_trace import Trace

_MAX_SCENES = 6  # scenes that a page without a kernel holds


class TimeMachine(TabledAnswer):
    """A recorded story under a slider: `.at(seconds)` returns a scene, `.table` has the stops.

    It has a clock of its own: the lab's moment stays.
    """

    def __init__(self, recorded: RecordedBackend, service: str) -> None:
        self._recorded, self._view, self._service = recorded, ClusterView(recorded), service
        self.provenance = recorded.provenance()
        story = recorded.story
        self._observation = recorded.story_observation()
        self._updates = neighbor_updates(self._observation)
        self._moments = recorded.moments()
        self.timeline = StoryTimeline(
            story.title, round(story.end - story.start, 1), tuple(self._stops()), self._attempts()
        )

    def _stops(self) -> list[TimelineStop]:
        """Return the actions, their effects on leaders, nodes and endpoints, and when each action had settled."""
        observation = self._observation
        events, nodes, slices = (observation.watch_events(kind) for kind in ("events", "nodes", "endpointslices"))
        actions = [TimelineStop(_tenth_after(moment.at or 0.0), "actions", moment.name) for moment in self._moments]
        settled = [
            TimelineStop(at, "settled", moment.name)
            for moment in self._moments
            if moment.settled_after and (at := _tenth_after((moment.at or 0.0) + moment.settled_after)) <= self.duration
        ]
        found = [
            TimelineStop(_tenth_after(event.at), event.kind, str(event))
            for event in event_sources.cluster_events(events, nodes, slices, observation.zero)
            if event.at <= self.duration
        ]
        return sorted(chain(actions, settled, found), key=lambda stop: (stop.at, stop.lane != "actions"))

    @property
    def duration(self) -> float:
        """The length of the story in seconds."""
        return self._observation.end - self._observation.start

    def _attempts(self) -> dict[str, list[tuple[float, bool]]]:
        """Return the requests to each Service: seconds after the opening, and whether it answered."""
        found: dict[str, list[tuple[float, bool]]] = {}
        names: dict[str, str] = {}
        for event in self._observation.watch_events("services"):
            for ingress in event.object.get("status", {}).get("loadBalancer", {}).get("ingress", []):
                names[ingress["ip"]] = qualified_name(event.object)
        try:
            probes = self._observation.probes()
        except NotRecordedError:
            return {}
        for row in probes:
            if row["to"] in names:
                found.setdefault(names[row["to"]], []).append((row["t"] - self._observation.zero, bool(row["ok"])))
        return dict(sorted(found.items()))

    def at(self, seconds: float) -> Scene:
        """Return the scene so many seconds after the opening, held within the story. It is not a query."""
        at = round(min(max(seconds, 0.0), self.timeline.end), 1)
        self._recorded.at_time(min(self._observation.start + at, self._observation.end))
        with self._view.held():
            trace, trace_summary = self._trace()
            return Scene(
                at, self.timeline.latest(at), metallb.draw_map(self._view), list(self._addresses(at)),
                trace, trace_summary, self._recorded.provenance(),
            )  # fmt: skip

    def _addresses(self, at: float) -> Iterator[dict[str, str]]:
        remembered, macs = neighbors_at(self._updates, self._observation.zero + at), self._recorded.mac_owners()
        for name, vip in places.vips(self._view).items():
            mac = remembered.get(vip, "")
            yield {
                "SERVICE": name, "ADDRESS": vip, "LEADER BY THE API": metallb.leader(self._view, name) or tr("nobody"),
                "CLIENT REMEMBERS": macs.get(mac, mac) or tr("nothing"),
            }  # fmt: skip

    def _trace(self) -> tuple[Trace | None, str]:
        """Return the trace of a packet from the client and its summary; or None and why there is none."""
        try:
            trace = packet_path.trace(self._view, self._service, None, None)
        except KanslibError as exc:
            return None, tr(
                "No packet can be traced to {service} at this moment: {exc}",
                service=self._service,
                exc=str(exc).splitlines()[0],
            )
        return trace, trace.summary

    def describe(self) -> str:
        """Return the story in words: every stop with its seconds."""
        return self.timeline.describe()

    def rows(self) -> Rows:
        """Return the stops: SECONDS after the opening, LANE, and WHAT happened."""
        return self.timeline.rows()

    def body_html(self) -> Markup:
        """Return the timeline and its first scenes: what a page without a kernel shows."""
        moments = self.timeline.calm_moments()
        scenes = [self.at(moment) for moment in moments[:_MAX_SCENES]]
        return story_html(self.timeline, scenes, len(moments) - len(scenes))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if not in_notebook():
            display({"text/html": self._repr_html_(), "text/plain": self.describe()}, raw=True)
            return
        from kanslib.exercises.forms import capture_keys, display_on_paper
        from kanslib.render.time_machine_widget import time_machine_widget

        display_on_paper(self._repr_html_(), self.describe())
        display(capture_keys(time_machine_widget(self.timeline, self.at)))

    def __repr__(self) -> str:
        return self.describe()


def _tenth_after(seconds: float) -> float:
    """Return the first tenth of a second at which what happened at `seconds` can be seen."""
    return math.ceil(round(seconds * 10, 3)) / 10
