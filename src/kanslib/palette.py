"""The colours of every figure and notice, near Okabe and Ito's: a contrast of 3:1 or more on light and dark grounds."""

from __future__ import annotations

from collections.abc import Iterable

# green and purple are darker than Okabe and Ito's, so that they can be seen on a ground with a tint, too
BLUE, VERMILLION, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009570", "#bf6698", "#7d7d7d"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, GREY)  # for things that differ by their place in a list
# A Service has one colour in every figure. Vermillion and grey are not among them: they mean failure and what is unused
SERVICE_COLOURS = (BLUE, GREEN, PURPLE, "#a67f00", "#8a5fd6", "#9a5b2f", "#208fc0", "#b0407a")

# the ground and the text of a picture that stands alone, which inherits neither from the page around it
PAPER, INK = "#ffffff", "#333333"
DARK_GROUND, DARK_INK = "#111111", "#e0e0e0"
TOOLTIP, TOOLTIP_INK = "#2b2b2b", "#ffffff"  # of a text that covers others while it is shown, on every ground

# the page's own ground, for what stands over other things: of JupyterLab or of an image of ours, of VS Code, of Colab,
# else the browser's
GROUND = "var(--jp-layout-color0,var(--vscode-editor-background,var(--colab-primary-surface-color,Canvas)))"


def service_colours(services: Iterable[str]) -> dict[str, str]:
    """Return the colour of each Service, by its place in the order of names.

    `services`: all of the cluster, so that a Service has the same colour everywhere. The ninth has the first's again.

    >>> service_colours(["svc2", "svc1"])
    {'svc1': '#0072b2', 'svc2': '#009570'}
    """
    names = sorted(set(services))
    return {name: SERVICE_COLOURS[place % len(SERVICE_COLOURS)] for place, name in enumerate(names)}


def bar_style(colour: str) -> str:
    """Return the CSS of a bar in `colour` at the left of a notice.

    >>> bar_style(BLUE)
    'border-left:6px solid #0072b2;padding:.2em .8em'
    """
    return f"border-left:6px solid {colour};padding:.2em .8em"
