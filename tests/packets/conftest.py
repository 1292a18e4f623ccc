from __future__ import annotations

import pytest

from tests.packets import odd


@pytest.fixture(scope="session")
def odd_captures() -> dict[str, bytes]:
    return dict(odd.all_of_them())
