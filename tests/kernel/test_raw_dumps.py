"""The same for the raw recordings, which no recorder of ours has made."""

from __future__ import annotations

import pytest

from kanslib.recording import Recording

from .test_recorded_dumps import all_dumps


@pytest.mark.kernel_long
def test_trace_equals_kernel_on_raw_dumps(reference_recording: Recording) -> None:
    dumps, connections, squared, freedom = all_dumps(reference_recording)
    print(f"{dumps} dumps, {connections:,} connections, χ² {squared:.0f} at {freedom:.0f} degrees of freedom")
    assert dumps >= 100
    assert abs(squared - freedom) < 6 * (2 * freedom) ** 0.5, "all dice together"
