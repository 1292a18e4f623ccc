from __future__ import annotations

import pytest

from tests.packets import malformed_captures


@pytest.fixture(scope="session")
def odd_captures() -> dict[str, bytes]:
    return dict(malformed_captures.all_of_them())
