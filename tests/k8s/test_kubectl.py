"""The tables beside what kubectl printed, at every recorded step, column by column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import pytest

from kanslib.backends.recorded import RecordedBackend
from kanslib.k8s.objects import plural
from kanslib.lab.lab import Lab
from kanslib.recording import Recording
from kanslib.recording.format import CommandOutput
from kanslib.render.command_tables import column_rows

COMMANDS = {
    "nodes": "kubectl get nodes -o wide",
    "pods": "kubectl get pods -A -o wide",
    "services": "kubectl get svc -A -o wide",
    "endpointslices": "kubectl get endpointslices -A",
    "events": "kubectl get events -A --sort-by=.metadata.creationTimestamp",
}
METALLB = "kubectl get ipaddresspools,l2advertisements,bgppeers,bgpadvertisements,servicel2statuses -A"
# ages move while one looks
AGES = {"AGE", "LAST SEEN"}


@pytest.fixture(scope="module", params=["recording", "reference_recording"])
def any_recording(request: pytest.FixtureRequest) -> Recording:
    found: Recording = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def lab(any_recording: Recording) -> Lab:
    return Lab(RecordedBackend(any_recording))


@pytest.fixture(scope="module")
def reference_lab(reference_recording: Recording) -> Lab:
    return Lab(RecordedBackend(reference_recording))


def reads_of(recording: Recording, command: str) -> list[CommandOutput]:
    return [read for read in recording.reads() if read.command == command]


def without_ages(row: Mapping[Any, object]) -> dict[Hashable, object]:
    kept = {name: value for name, value in row.items() if name not in AGES}
    if "RESTARTS" in kept:
        kept["RESTARTS"] = str(kept["RESTARTS"]).partition(" ")[0]
    return kept


@pytest.mark.parametrize("kind", ["nodes", "pods", "services", "endpointslices"])
def test_kubectl_table_equals_recorded_get(any_recording: Recording, lab: Lab, kind: str) -> None:
    reads = reads_of(any_recording, COMMANDS[kind])
    assert len(reads) >= 49
    for read in reads:
        lab.at_time(read.end)
        printed = column_rows(any_recording.text(read.file))
        table = lab.table(kind)
        assert table.columns.tolist() == list(printed[0]), read.file
        assert list(map(without_ages, table.to_dict("records"))) == list(map(without_ages, printed)), read.file


def test_kubectl_events_equal_recorded_get(reference_recording: Recording, reference_lab: Lab) -> None:
    recording, lab = reference_recording, reference_lab
    # events of one second have no order of their own, so they compare as a bag
    for read in reads_of(recording, COMMANDS["events"]):
        lab.at_time(read.end)
        printed = column_rows(recording.text(read.file))
        table = lab.table("events")
        assert table.columns.tolist() == list(printed[0])
        assert Counter(map(_hashable, table.to_dict("records"))) == Counter(map(_hashable, printed)), read.file


def _hashable(row: Mapping[Any, object]) -> frozenset[tuple[Hashable, object]]:
    return frozenset(without_ages(row).items())


def test_kubectl_metallb_kinds_equal_recorded_get(reference_recording: Recording, reference_lab: Lab) -> None:
    recording, lab = reference_recording, reference_lab
    seen: Counter[str] = Counter()
    for read in reads_of(recording, METALLB):
        lab.at_time(read.end)
        for block in re.split(r"\n\n", recording.text(read.file).strip()):
            printed = column_rows(block)
            if not printed or "NAME" not in printed[0]:
                continue
            kind = plural(str(printed[0]["NAME"]).partition(".")[0])
            for row in printed:
                row["NAME"] = str(row["NAME"]).partition("/")[2]
            seen[kind] += 1
            assert lab.table(kind).columns.tolist() == list(printed[0])
            assert lab.table(kind).to_dict("records") == printed, read.file
    assert set(seen) == {"ipaddresspools", "l2advertisements", "bgppeers", "bgpadvertisements", "servicel2statuses"}


def test_age_within_two_seconds_of_kubectl(any_recording: Recording, lab: Lab) -> None:
    for read in reads_of(any_recording, COMMANDS["services"])[:6]:
        lab.at_time(read.end)
        printed = [str(row["AGE"]) for row in column_rows(any_recording.text(read.file))]
        for mine, theirs in zip(lab.services().AGE, printed, strict=True):
            if mine.rstrip("s").isdigit() and theirs.rstrip("s").isdigit():
                assert abs(int(mine.rstrip("s")) - int(theirs.rstrip("s"))) <= 2


def test_columns_of_empty_table(recording: Recording) -> None:
    lab = Lab(RecordedBackend(recording, "case-1"))
    assert lab.table("l2advertisements").empty
    assert "INTERFACES" in lab.table("l2advertisements").columns
