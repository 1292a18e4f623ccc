"""The contrast of two colours, by WCAG 2.1 (https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio)."""

from __future__ import annotations

import wcag_contrast_ratio


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two #rrggbb colours, 1 to 21.

    >>> contrast("#000000", "#ffffff")
    21.0
    """
    ratio: float = wcag_contrast_ratio.rgb(_fractions(one), _fractions(other))
    return ratio


def _fractions(colour: str) -> tuple[float, ...]:
    return tuple(byte / 255 for byte in bytes.fromhex(colour.removeprefix("#")))
