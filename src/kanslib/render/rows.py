"""Rows of a table: each a mapping from column to value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = dict[str, object]
Rows = Sequence[Mapping[str, object]]
