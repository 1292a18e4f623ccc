"""What kubectl printed of a refusal, read as the API server sent it: tests/data/refusals.json has both."""

from __future__ import annotations

import json

import pytest

from kanslib.k8s.refusals import read_refusal
from tests.data.record_refusals import FILE

# kubectl compares two specs for the others, with names of the cluster
ROWS = [row for row in json.loads(FILE.read_text(encoding="utf-8")) if "printed" in row]


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_read_refusal_who_and_in_which_words(row: dict[str, str]) -> None:
    refusal = read_refusal(row["printed"])
    assert refusal
    assert (refusal.component, refusal.message) == (row["component"], row["message"])


def test_read_refusal_of_a_webhook() -> None:
    words = (
        'admission webhook "ipaddresspoolvalidationwebhook.metallb.io" denied the request: '
        "resource must be created in metallb-system namespace"
    )
    refusal = read_refusal(f'Error from server: error when creating "STDIN": {words}')
    assert refusal
    assert (refusal.component, refusal.message) == ("metallb webhook", words)


def test_read_refusal_first_of_several() -> None:
    printed = (
        "Warning: a field is deprecated\n"
        'The Service "till" is invalid: \n* spec.ports: Required value\n* spec.type: Unsupported value: "x"\n'
        'Error from server (NotFound): error when creating "STDIN": namespaces "shop" not found\n'
    )
    refusal = read_refusal(printed)
    assert refusal
    expected = '[spec.ports: Required value, spec.type: Unsupported value: "x"]'
    assert refusal.message == f'Service "till" is invalid: {expected}'


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "service/till created",
        "Unable to connect to the server: EOF",
        "The connection to the server 192.0.2.1:6443 was refused - did you specify the right host or port?",
        "error: timed out waiting for the condition",
        "Error from server (Timeout): the server was unable to return a response in the time allotted",
        "Error from server: etcdserver: request timed out",
    ],
)
def test_read_refusal_nobody_refuses(printed: str) -> None:
    assert read_refusal(printed) is None
