"""What is wrong with the outputs of a page: texts that overlap or are small, colours that cannot be seen."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page

from tests.contrast import contrast
from tests.gallery.frontends import Selectors

_INSPECT = (Path(__file__).parent / "inspect.js").read_text(encoding="utf-8")
_LEAST_TEXT, _LEAST_MARK, _LEAST_SIZE = 4.5, 3.0, 10.95  # WCAG 2.1, 1.4.3 and 1.4.11; px
_NBCLASSIC = ('"noUi-handle', '"cm-')  # what nbclassic draws itself: sliders without a name, pale colours in code
_STATIC = ('<span class="c1">',)  # what nbconvert colours itself: comments of code, too dim in its dark theme
_SLACK = 1.5  # px by which two texts may touch: the box of a text is larger than its ink
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Text:
    """A line of text on the page. The colour is as CSS prints it."""

    words: str
    box: Box
    size: float
    colour: str
    opacity: float

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Text:
        left, top, right, bottom = found["box"]
        less = (bottom - top) * 0.15  # what a typeface leaves free above and below its letters
        box = (left, top + less, right, bottom - less)
        return cls(found["words"], box, found["size"], found["colour"], found["opacity"])


def faults(page: Page, selectors: Selectors, figures_by_cell: Sequence[int]) -> tuple[list[str], list[Image.Image]]:
    """Return what is wrong with the page, and a photograph of each figure.

    `figures_by_cell`: how many figures each code cell has to show at least.
    """
    # from the top: what sticks to the edge of the window covers nothing there
    page.evaluate("document.querySelectorAll('*').forEach(one => { one.scrollTop = 0 })")
    cells = page.evaluate(_INSPECT, {"outputs": selectors.outputs, "cells": selectors.cells})
    found = [*_missing(cells, figures_by_cell), *_scrolls(page, selectors)]
    photographs = []
    places = page.locator("[data-gallery]")
    number = 0
    for cell in cells:
        for output in cell["outputs"]:
            texts = [Text.read(one) for one in output["texts"]]
            found += _overlaps(texts)
            found += [f"{one.size:.1f} px: {one.words!r}" for one in texts if one.size < _LEAST_SIZE]
            for figure in output["figures"]:
                photograph = Image.open(io.BytesIO(places.nth(number).screenshot(timeout=20_000))).convert("RGB")
                photographs.append(photograph)
                found += _invisible(photograph, figure)
                number += 1
    page.evaluate("document.querySelectorAll('[data-gallery]').forEach(one => one.removeAttribute('data-gallery'))")
    return list(dict.fromkeys(found)), photographs


def overlaps(page: Page, selectors: Selectors) -> list[str]:
    """Return the texts in the outputs of a page that overlap."""
    cells = page.evaluate(_INSPECT, {"outputs": selectors.outputs, "cells": selectors.cells})
    outputs = (output for cell in cells for output in cell["outputs"])
    return [fault for output in outputs for fault in _overlaps([Text.read(one) for one in output["texts"]])]


def axe(page: Page, selectors: Selectors) -> list[str]:
    """Return what axe-core finds in the outputs."""
    answer = Axe().run(page, context={"include": [[selectors.outputs]]}).response
    return [
        f"axe {one['id']}: {node['html'][:160]}"
        for one in answer["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
        if not any(own in node["html"] for own in (*_NBCLASSIC, *_STATIC))
    ]


def _missing(cells: Sequence[Mapping[str, Any]], wanted: Sequence[int]) -> Iterator[str]:
    if len(cells) != len(wanted):
        yield f"{len(cells)} code cells on the page, {len(wanted)} in the notebook"
    for number, (cell, least) in enumerate(zip(cells, wanted, strict=False), 1):
        drawn = sum(len(output["figures"]) for output in cell["outputs"])
        if drawn < least:
            yield f"code cell {number} shows {drawn} of {least} figures"


def _scrolls(page: Page, selectors: Selectors) -> Iterator[str]:
    for place in ("html", selectors.scroller):
        find = "place => (one => one ? one.scrollWidth - one.clientWidth : 0)(document.querySelector(place))"
        wider = page.evaluate(find, place)
        if wider > 1:
            yield f"{place} scrolls sideways by {wider} px"


def _overlaps(texts: Sequence[Text]) -> Iterator[str]:
    by_top = sorted(texts, key=lambda one: one.box[1])
    for place, one in enumerate(by_top):
        for other in takewhile(lambda later: later.box[1] < one.box[3], by_top[place + 1 :]):  # noqa: B023
            across = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
            down = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
            if across > _SLACK and down > _SLACK:
                yield f"{one.words!r} overlaps {other.words!r} by {across:.0f}×{down:.0f} px"


def _invisible(photograph: Image.Image, figure: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts and marks of a figure whose contrast to the ground around them is too low."""
    left, top = figure["box"][:2]
    for text in map(Text.read, (one for one in figure["texts"] if one["svg"])):
        around = _colours(photograph, _grown(_moved(text.box, -left, -top), 3))
        for ground, _ in around.most_common(1):
            if (ratio := _contrast(text.colour, text.opacity, ground)) < _LEAST_TEXT:
                yield f"contrast {ratio:.1f}: {text.words!r} {text.colour} on {ground}"
    for mark in figure["marks"]:
        box = _moved(mark["box"], -left, -top)
        around = _colours(photograph, _grown(box, 4)) - _colours(photograph, box)
        # a mark between two grounds, such as an axis below bars, is seen on one of them
        grounds = [ground for ground, count in around.items() if count > around.total() / 4]
        ratios = [_contrast(mark["colour"], 1.0, ground) for ground in grounds]
        if ratios and 1.05 < max(ratios) < _LEAST_MARK:
            yield f"contrast {max(ratios):.1f}: {mark['colour']} on {grounds}: {mark['name']}"


def _moved(box: Sequence[float], x: float, y: float) -> Box:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _colours(photograph: Image.Image, box: Box) -> Counter[Colour]:
    """Return how many pixels of each colour are in a box, as far as it is on the photograph."""
    left, top = max(round(box[0]), 0), max(round(box[1]), 0)
    right, bottom = min(round(box[2]), photograph.width), min(round(box[3]), photograph.height)
    if right <= left or bottom <= top:
        return Counter()
    part = photograph.crop((left, top, right, bottom))
    return Counter({colour: count for count, colour in part.getcolors(part.width * part.height) or []})  # type: ignore[misc]


def _grown(box: Box, by: float) -> Box:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _contrast(css: str, opacity: float, ground: Colour) -> float:
    numbers = [float(one) for one in re.findall(r"[\d.]+", css)]
    alpha = opacity * (numbers[3] if len(numbers) > 3 else 1.0)
    mixed = [round(one * alpha + under * (1 - alpha)) for one, under in zip(numbers[:3], ground, strict=True)]
    return contrast("#" + bytes(mixed).hex(), "#" + bytes(ground).hex())
