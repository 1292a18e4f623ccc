"""Questions and answers between machines: who gets a question, who answers, and the layout at each width."""

from __future__ import annotations

import pytest

from kanslib.exceptions import UnknownNameError
from kanslib.lab.lab import Lab
from kanslib.render.arp_conversation import ARPConversation
from kanslib.render.figure import WIDTHS
from tests.figures import faults, texts
from tests.types import OpenLab


@pytest.fixture(params=["recorded", "simulated"])
def asked(request: pytest.FixtureRequest, open_lab: OpenLab) -> Lab:
    """A lab whose client asked for svc1."""
    lab = open_lab("arp", backend=request.param)
    if request.param == "simulated":
        lab.curl("svc1")
    lab.at("opening")
    return lab


def test_conversation_question_goes_to_all_and_answer_to_the_asker(asked: Lab) -> None:
    table = asked.observation().arp.conversation("svc1").table
    first, answer = table[asked.client == table.FROM].iloc[0], table[asked.client != table.FROM].iloc[0]
    assert first.TO.split(", ") == asked.nodes().NAME.tolist()
    assert (asked.leader("svc1"), asked.client) == (answer.FROM, answer.TO)


def test_conversation_answers_carry_the_captured_bytes(asked: Lab) -> None:
    answer = asked.observation().arp.conversation("svc1").answers[0].frame
    assert answer.arp
    assert (answer.arp.operation, answer.arp.sender_ip) == (2, asked.vip("svc1"))


@pytest.mark.parametrize("width", WIDTHS)
def test_conversation_texts_stand_apart(asked: Lab, width: int) -> None:
    seen = asked.observation()
    assert faults(seen.arp.conversation("svc1"), width) == []
    assert faults(seen.arp.conversation("svc1", asker=asked.leader("svc1")), width) == []


def test_conversation_of_two_answering_machines_is_drawn_whole(open_lab: OpenLab) -> None:
    lab = open_lab("arp", backend="simulated")
    lab.add_conflicting_host()
    lab.curl("svc1")
    figure = lab.observation().arp.conversation("svc1")
    assert len({one.mac for one in figure.answers}) == 2
    assert [faults(figure, width) for width in WIDTHS] == [[]] * len(WIDTHS)


def leaders_own(open_lab: OpenLab) -> ARPConversation:
    lab = open_lab("arp")
    return lab.observation("opening").arp.conversation("svc1", asker=lab.leader("svc1"))


def test_conversation_without_an_answer_says_so(open_lab: OpenLab) -> None:
    figure = leaders_own(open_lab)
    assert figure.messages
    assert "No machine answered." in [one.words for one in texts(figure, 640)]
    assert figure.describe().endswith("No machine answered.")


def test_conversation_without_a_question_says_so(open_lab: OpenLab) -> None:
    lab = open_lab("arp")
    figure = lab.observation("opening").arp.conversation("svc3", asker="myk8s-worker2")
    assert "No question of myk8s-worker2" in figure.describe()


def test_conversation_unknown_place_is_refused(open_lab: OpenLab) -> None:
    with pytest.raises(UnknownNameError):
        open_lab("arp").observation("opening").arp.conversation("svc1", asker="nobody")
