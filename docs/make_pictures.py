"""Make docs/pictures from the recorded course, for README.md: `python docs/make_pictures.py`.

Each picture is an SVG image for a light page and one for a dark page. A test compares the committed ones with these.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import htpy as h

import kanslib
from kanslib.lab.lab import Lab
from kanslib.render.figure import SIZES, WIDTHS, Drawing, Figure, wrap_text
from kanslib.render.figure.figure import Theme, svg_image
from kanslib.render.figure.marks import line, symbol, text
from kanslib.render.time_machine import Scene, StoryTimeline

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH = WIDTHS[-1]
THEMES: tuple[Theme, ...] = ("light", "dark")
_SCENES, _SECONDS = 7, 3.0  # of the animation, and how long each of them is shown
_HEADLINE = 3 * SIZES.line + 8  # px: what happened last, and where a packet goes


def pictures() -> dict[str, str]:
    """Return the text of each picture by its file name."""
    lab = _open_failover()
    machine = lab.time_machine()
    scenes = [machine.at(moment) for moment in machine.timeline.calm_moments()[:_SCENES]]
    drawn: dict[str, Figure] = {
        "failover": lab.observation("kill-node").timeline(),
        "time-machine": _Animation(machine.timeline, scenes),
    }
    return {
        f"{name}-{theme}.svg": f"{svg_image(figure.drawing(WIDTH), WIDTH, figure.describe(), theme)}\n"
        for name, figure in drawn.items()
        for theme in THEMES
    }


def _open_failover() -> Lab:
    with contextlib.redirect_stdout(io.StringIO()):
        return kanslib.open_lab(backend="recorded", story="failover")


@dataclass(frozen=True, repr=False)
class _Animation(Figure):
    """The timeline above its scenes, of which one is shown after the other; without motion the second."""

    timeline: StoryTimeline
    scenes: Sequence[Scene]

    def drawing(self, width: int) -> Drawing:
        axis, strip = self.timeline.axis(width), self.timeline.drawing(width)
        earlier = [self.scenes[0], *self.scenes]
        maps = [scene.map.since(before.map).drawing(width) for before, scene in zip(earlier, self.scenes, strict=False)]
        frames = [
            h.g(".frame", style=f"animation-delay:{_SECONDS * number:g}s;--delay:{_SECONDS * number:g}s")[
                _headline(scene, self.timeline.between(before.at, scene.at) or scene.latest),
                h.g(transform=f"translate(0 {_HEADLINE + strip.height:g})")[drawing.parts],
            ]
            for number, (before, scene, drawing) in enumerate(zip(earlier, self.scenes, maps, strict=False))
        ]
        end = strip.height - 2 * SIZES.line - 4
        hand = h.g(".hand")[line(0, 0, 0, end, "currentColor", 2), symbol("circle", 0, end, "currentColor", size=12)]
        parts = [h.g(transform=f"translate(0 {_HEADLINE})")[strip.parts, hand], h.g[frames]]
        height = _HEADLINE + strip.height + max(drawing.height for drawing in maps)
        return Drawing(
            self.timeline.title, height, parts, "\n".join(_style([axis.x(scene.at) for scene in self.scenes]))
        )

    def describe(self) -> str:
        return self.timeline.describe()


def _headline(scene: Scene, events: str) -> Iterator[h.Element]:
    yield text(2, 14, [h.tspan(font_weight="bold")[f"{scene.at:.1f} s"], f" · {events}"])
    for place, words in enumerate(wrap_text(scene.trace_summary, WIDTH - 4)[:2], 1):
        yield text(2, 14 + SIZES.line * place, words)


def _style(places: Sequence[float]) -> Iterator[str]:
    """Yield the CSS: each frame has its turn, and the hand of the clock moves to `places` (px)."""
    share, period = 100 / len(places), _SECONDS * len(places)
    yield f".frame{{opacity:0;animation:frame {period:g}s step-end infinite}}"
    yield f"@keyframes frame{{0%{{opacity:1}}{share:.3f}%,100%{{opacity:0}}}}"
    # it decays quickly, and lasts as long as a period: an animation cannot start anew in each
    yield f".kans-changed{{animation:flash {period:g}s cubic-bezier(0,1,0,1) var(--delay) infinite}}"
    yield "@keyframes flash{0%,3%{fill-opacity:.35;stroke-width:7}}"
    yield f".hand{{animation:hand {period:g}s ease-in-out infinite}}"
    stays = [
        f"{share * number:.3f}%,{share * (number + 0.85):.3f}%{{transform:translateX({x:g}px)}}"
        for number, x in enumerate(places)
    ]
    yield f"@keyframes hand{{{''.join(stays)}100%{{transform:translateX({places[0]:g}px)}}}}"
    yield "@media (prefers-reduced-motion:reduce){.frame,.hand,.kans-changed{animation:none}"
    yield f".frame:nth-of-type(2){{opacity:1}}.hand{{transform:translateX({places[1]:g}px)}}}}"


def main() -> None:
    """Write every picture."""
    PICTURES.mkdir(exist_ok=True)
    made = pictures()
    for old in PICTURES.iterdir():
        if old.name not in made:
            old.unlink()
    for name, content in made.items():
        (PICTURES / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
