"""A recording beside a simulation of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kanslib.backends import factory
from kanslib.i18n import tr
from kanslib.lab.queries import ClusterView

if TYPE_CHECKING:
    from kanslib.render.tables import Table

COLUMNS = ["WHAT", "RECORDED", "SIMULATED", "DIFFERENCE"]


def compare(view: ClusterView) -> Table:
    """Return each fact of this moment as it was recorded and as it is simulated; see `Lab.compare`."""
    from kanslib.comparison.simulation import compare_with_simulator
    from kanslib.render.tables import Table

    recorded, simulated = factory.recorded_and_simulated(view.backend)
    rows = [
        {"WHAT": pair.what, "RECORDED": pair.recorded, "SIMULATED": pair.simulated, "DIFFERENCE": pair.differs}
        for pair in compare_with_simulator(recorded, simulated)
    ]
    origin = view.provenance()
    other = tr("its recording") if origin.source == "simulated" else tr("a simulation of it")
    return Table.from_rows(rows, origin.with_notes(tr("beside {other}", other=other)), COLUMNS)
