"""What was done in a lab."""

from __future__ import annotations

from kanslib.lab.lab import Lab


def performed(lab: Lab) -> list[str]:
    """Return the names of the actions so far, in order; a scripted moment that nobody came to has no AT."""
    moments = lab.moments()
    here = moments[moments.HERE != ""].MOMENT.item()
    reached = moments[moments.AT.notna() & (moments.MOMENT != "opening")].sort_values("AT", kind="stable")
    names = [str(name) for name in reached.MOMENT]
    return names[: names.index(here) + 1] if here in names else []
