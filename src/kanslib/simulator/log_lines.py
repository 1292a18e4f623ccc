"""Write a line of MetalLB's logs. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from kanslib.simulator.api_server import timestamp

LogValue = str | int | list[str]  # of a field in a line of JSON


def log_line(moment: float, **fields: LogValue) -> str:
    """Return a line of MetalLB's logs as `kubectl logs --timestamps` prints it; `moment`: Unix seconds."""
    written_at = datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
    ordered = dict(sorted({**fields, "ts": timestamp(moment)}.items()))
    return f"{written_at} {json.dumps(ordered, separators=(',', ':'))}"
