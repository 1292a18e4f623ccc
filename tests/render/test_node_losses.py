"""The loss of a node in eight settings: one figure, its words and its rows."""

from __future__ import annotations

import re

import pytest

import kanslib
from kanslib.render.figure import WIDTHS
from kanslib.render.node_losses import NodeLosses
from tests.figures import faults, texts


@pytest.fixture(scope="module")
def losses() -> NodeLosses:
    return kanslib.node_losses("svc1")


@pytest.mark.parametrize("width", WIDTHS)
def test_node_losses_fit_at_each_width(losses: NodeLosses, width: int) -> None:
    assert faults(losses, width) == []
    words = [one.words for one in texts(losses, width)]
    assert sum(bool(re.fullmatch(r"[\d.]+ s lost|nothing lost", one)) for one in words) == 8
    assert (words.count("recorded"), words.count("simulated")) == (4, 4)
    assert sum(one.startswith("expected ") for one in words) == 8


def test_node_losses_border_says_who_observed(losses: NodeLosses) -> None:
    assert str(losses.svg()).count("stroke-dasharray") == 4


def test_node_losses_words_and_rows_say_the_same(losses: NodeLosses) -> None:
    sentences, rows = losses.describe().splitlines(), losses.table.to_dict("records")
    assert len(sentences) == len(rows) == 8
    for sentence, row in zip(sentences, rows, strict=True):
        assert f"policy {row['POLICY']}, node {row['NODE']}" in sentence
        assert f", {row['SOURCE']}; expected {row['EXPECTED']:.1f} s." in sentence
        assert row["PROVENANCE"].startswith(row["SOURCE"])
    assert losses.provenance is None


@pytest.mark.slow
def test_node_losses_without_layer_2() -> None:
    found = kanslib.node_losses("svc3")
    assert faults(found, WIDTHS[0]) == []
    assert "layer 2" not in {one.words for one in texts(found, WIDTHS[0])}


def test_node_losses_none_says_why() -> None:
    found = kanslib.node_losses("svc9")
    assert faults(found, WIDTHS[0]) == []
    assert "no loss of a node" in found.describe()
    assert len(found.table) == 0
