"""A time machine in a page without a kernel: its first scene, and the data of the others, which is loaded late."""

from __future__ import annotations

import htpy as h
from markupsafe import Markup

from kanslib.i18n import tr
from kanslib.lab.time_machine import TimeMachine
from kanslib.render.figure import WIDTHS
from kanslib.render.time_machine import STYLE, PacketPath, axis_insets
from kanslib.site.page_data import PageData
from kanslib.site.page_words import WORDS
from kanslib.site.scenes import collect_story

_NARROW, _MEDIUM, _WIDE = WIDTHS
# The slider lies over the timeline: its ends are those of the axis, its handle is a line through all lanes
_STYLE = f"""
.kans-strip{{position:relative}}
.kans-strip .kans-drawing{{overflow:visible}}
.kans-strip .kans-drawing svg{{max-width:none!important;min-width:0!important}}
.kans-strip>input{{left:calc(var(--left-{_MEDIUM}) - 10px);right:calc(var(--right-{_MEDIUM}) - 10px)}}
@container (max-width:{_MEDIUM - 1}px){{.kans-strip{{max-width:{_NARROW * 5 // 4}px}}
.kans-strip>input{{left:calc(var(--left-{_NARROW}) - 10px);right:calc(var(--right-{_NARROW}) - 10px)}}}}
@container (min-width:{_WIDE}px){{
.kans-strip>input{{left:calc(var(--left-{_WIDE}) - 10px);right:calc(var(--right-{_WIDE}) - 10px)}}}}
"""


def time_machine_html(machine: TimeMachine, data: PageData) -> Markup:
    """Return the timeline with a slider on it, buttons, the first scene, and the data of the others."""
    timeline, first = machine.timeline, machine.at(0)
    # a later scene may have a path where the first one has none
    style = STYLE + _STYLE + (PacketPath(first.trace).drawing(_NARROW).style if first.trace else "")
    insets = "".join(
        f"--left-{width}:{left:.3f}%;--right-{width}:{right:.3f}%;"
        for width, (left, right) in axis_insets(timeline).items()
    )
    slider = h.input(
        type="range", min=0, max=f"{timeline.end:g}", step="0.1", value=0, aria_label=tr(WORDS["seconds"]), hidden=True,
        autocomplete="off",
    )  # fmt: skip
    leaders = " · ".join(f"{row['SERVICE']} {row['LEADER BY THE API']}" for row in first.addresses)
    controls = h.div(".kans-time-controls")[
        h.button(type="button", name="before", title=tr(WORDS["before_title"]), disabled=True)[tr(WORDS["before"])],
        h.button(type="button", name="next", title=tr(WORDS["next_title"]), disabled=True)[tr(WORDS["next"])],
        h.span(".kans-time-headline", role="status")[timeline.headline(first.at, first.latest)],
        h.span(".kans-time-now")[f"{tr(WORDS['leaders_now'])}: {leaders}"],
    ]
    scene = h.div(".kans-scene")[
        h.div(".kans-map")[first.map.body_html()],
        h.div(".kans-path")[first.path_html()],
        h.div(".kans-table-place")[first.addresses_html(None)],
    ]
    return Markup(
        h.div(".kans-time", data_time_machine=True)[
            h.style[Markup(style)],
            machine.provenance.html() if machine.provenance else None,
            controls,
            h.div(".kans-strip", style=insets)[timeline.body_html(), slider],
            scene,
            h.p(".kans-legend")[tr(WORDS["legend"])],
            data.embed(collect_story(timeline, machine.at)),
        ]
    )
