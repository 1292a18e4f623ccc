"""The time machine: a recorded story of its own, and a slider that moves its clock."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from itertools import chain
from typing import Any

from kanslib.analysis import event_sources
from kanslib.analysis.arp import neighbors_at
from kanslib.analysis.observation import neighbor_updates
from kanslib.backends.recorded import RecordedBackend
from kanslib.exceptions import KanslibError, NotRecordedError
from kanslib.k8s.objects import qualified_name
from kanslib.lab import metallb, packet_path, places
from kanslib.lab.queries import ClusterView
from kanslib.render.answers import TabledAnswer
from kanslib.render.rows import Rows
from kanslib.render.time_machine import Scene, StoryTimeline, TimelineStop, scene_html

_ON_PAPER = 12  # scenes that a page without a kernel holds


class TimeMachine(TabledAnswer):
    """A recorded story, to be walked through: show it for a slider, `.at(seconds)` for a scene, `.table` for the stops.

    Its clock is its own: the lab's stays where it is.
    """

    def __init__(self, recorded: RecordedBackend, service: str) -> None:
        self._recorded, self._view, self._service = recorded, ClusterView(recorded), service
        self.provenance = recorded.provenance()
        story = recorded.story
        self._window = recorded.story_observation()
        self._memory = neighbor_updates(self._window)
        self._moments = recorded.moments()
        self.film = StoryTimeline(
            story.title, round(story.end - story.start, 1), tuple(self._stops()), self._attempts()
        )

    def _stops(self) -> list[TimelineStop]:
        """The acts, and what they led to: leaders, nodes, endpoints."""
        window = self._window
        events, nodes, slices = (window.watch_events(kind) for kind in ("events", "nodes", "endpointslices"))
        acts = [TimelineStop(round(moment.at or 0.0, 1), "actions", moment.name) for moment in self._moments]
        found = [
            TimelineStop(round(event.at, 1), event.kind, str(event))
            for event in event_sources.cluster_events(events, nodes, slices, window.zero)
            if event.at <= self.film_end
        ]
        return sorted(chain(acts, found), key=lambda stop: (stop.at, stop.lane != "actions"))

    @property
    def film_end(self) -> float:
        """How long the story lasts, in seconds."""
        return self._window.end - self._window.start

    def _attempts(self) -> dict[str, list[tuple[float, bool]]]:
        """When each Service was asked, and whether it answered; of the moments at which it had an address."""
        found: dict[str, list[tuple[float, bool]]] = {}
        names: dict[str, str] = {}
        for event in self._window.watch_events("services"):
            for ingress in event.object.get("status", {}).get("loadBalancer", {}).get("ingress", []):
                names[ingress["ip"]] = qualified_name(event.object)
        try:
            probes = self._window.probes()
        except NotRecordedError:
            return {}
        for row in probes:
            if row["to"] in names:
                found.setdefault(names[row["to"]], []).append((row["t"] - self._window.zero, bool(row["ok"])))
        return dict(sorted(found.items()))

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────

    def at(self, seconds: float) -> Scene:
        """Return the scene so many seconds after the opening, held within the story. No query of the learner's."""
        at = round(min(max(seconds, 0.0), self.film.end), 1)
        self._recorded.at_time(min(self._window.start + at, self._window.end))
        with self._view.held():
            walk, words = self._walk()
            return Scene(
                at, self.film.latest(at), metallb.draw_map(self._view), list(self._beliefs(at)), walk, words,
                self._recorded.provenance(),
            )  # fmt: skip

    def _beliefs(self, at: float) -> Iterator[dict[str, str]]:
        remembered, macs = neighbors_at(self._memory, self._window.zero + at), self._recorded.mac_owners()
        for name, vip in places.vips(self._view).items():
            mac = remembered.get(vip, "")
            yield {
                "SERVICE": name, "ADDRESS": vip, "LEADER BY THE API": metallb.leader(self._view, name) or "nobody",
                "CLIENT REMEMBERS": macs.get(mac, mac) or "nothing",
            }  # fmt: skip

    def _walk(self) -> tuple[str, str]:
        """The way of a packet from the client, as a picture and in words; why there is none, where there is none."""
        try:
            trace = packet_path.trace(self._view, self._service, None, None)
        except KanslibError as exc:
            words = f"No packet can be followed to {self._service} at this moment: {str(exc).splitlines()[0]}"
            return f"<p>{escape(words)}</p>", words
        return f"<p>{escape(trace.summary)}</p>{trace.svg()}", trace.summary

    def describe(self) -> str:
        """The story in words: every stop with its seconds."""
        lines = [f"{stop.at:7.1f} s  {stop.lane}: {stop.text}" for stop in self.film.stops]
        return "\n".join([f"{self.film.title}, {self.film.end:.0f} s:", *lines])

    def rows(self) -> Rows:
        """Return the stops: SECONDS after the opening, LANE, and WHAT happened."""
        return [{"SECONDS": stop.at, "LANE": stop.lane, "WHAT": stop.text} for stop in self.film.stops]

    # ── showing ──────────────────────────────────────────────────────────────────────────────────────────

    def body_html(self) -> str:
        """Return the story on paper: one scene for each action, folded; what a page without a kernel shows."""
        acts = [stop for stop in self.film.stops if stop.lane == "actions"]
        shown = acts[:_ON_PAPER]
        parts = []
        for place, stop in enumerate(shown):
            later = acts[place + 1].at if place + 1 < len(acts) else self.film.end
            scene = self.at(min(self._settled(stop), later))
            scene = replace(
                scene, trace_html=f"<p>{escape(scene.trace_summary)}</p>"
            )  # a drawn one is many times as large
            opened = " open" if place == 0 else ""
            summary = f"{stop.at:.0f} s: {escape(stop.text)}"
            parts.append(f"<details{opened}><summary>{summary}</summary>{scene_html(scene, self.film)}</details>")
        left = len(acts) - len(shown)
        more = f"<p>{left} more acts: with a kernel, the slider has them.</p>" if left else ""
        return f'<div class="kans-time">{"".join(parts)}{more}</div>'

    def _settled(self, stop: TimelineStop) -> float:
        moment = next(moment for moment in self._moments if moment.name == stop.text)
        return stop.at + round(moment.settled_after or 0.0, 1)

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, Any]:
        if "ipykernel" in sys.modules:
            from kanslib.exercises.forms import capture_keys, in_a_notebook, mimebundle
            from kanslib.render.time_machine_widget import time_machine_widget

            if in_a_notebook():
                widget = capture_keys(time_machine_widget(self.film, self.at))
                return mimebundle(widget, self._repr_html_(), self.describe())
        return {"text/html": self._repr_html_(), "text/plain": self.describe()}

    def __repr__(self) -> str:
        return self.describe()
