"""False edits of the course's texts and answers: the tests of its claims find each of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kanslib.lab.lab import Lab
from tests.notebooks.claims import Claim
from tests.notebooks.prose import flat
from tests.notebooks.test_claims import ALL, TEXTS, missing_quotes, unproved
from tests.types import OpenLab

EDITS = [  # a place, its words, and false ones
    ("01-21", "The Service has no event", "The Service has an event"),
    ("01-23", "Both Pods answer", "One Pod answers"),
    ("02-27", "took the lowest free addresses", "took the highest free addresses"),
    ("03-65", "It asks three times", "It asks twice"),
    ("03-65", "No machine answers", "The next node answers"),
    ("04-01", "Two Pods are behind svc1", "Three Pods are behind svc1"),
    ("05-05", "svc3 has another leader", "svc3 has the same leader"),
    ("07-09", "announced no prefix", "announced a prefix"),
    ("08-07", "No machine answers", "The leader answers"),
    ("00q-24", "Clients and DNS keep the address", "Clients and DNS never keep the address"),
    ("does-pending-complain", "here no component tries", "here the controller tries"),
]
# the claim of a place, and an answer of the lab that makes it false
ANSWERS: list[tuple[str, str, str, Callable[..., object]]] = [
    ("05-05", "svc3 has another leader", "leader", lambda *_: "myk8s-worker"),
    ("02-27", "The controller took the lowest free addresses", "vip", lambda *_: "172.18.255.250"),
    (
        "04-00",
        "no interface of the leader has that address",
        "vip",
        lambda self, _service: self.address(self.leader("svc1")),
    ),
]


@pytest.mark.parametrize(("place", "true", "false"), EDITS)
def test_false_edit_of_a_text_is_found(place: str, true: str, false: str) -> None:
    text = flat(TEXTS[place])
    edited = text.replace(true, false)
    assert edited != text
    assert missing_quotes(place, text) == unproved(place, text) == []
    assert missing_quotes(place, edited) or unproved(place, edited)


@pytest.mark.parametrize(("place", "quote", "query", "answer"), ANSWERS)
def test_false_answer_of_a_lab_is_found(
    place: str,
    quote: str,
    query: str,
    answer: Callable[..., object],
    open_lab: OpenLab,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = _claim(place, quote)
    claim.check(open_lab(claim.story))
    monkeypatch.setattr(Lab, query, answer)
    with pytest.raises(AssertionError):
        claim.check(open_lab(claim.story))


def _claim(place: str, quote: str) -> Claim:
    return next(one for claims in ALL.values() for one in claims.claims if (one.place, one.quote) == (place, quote))
