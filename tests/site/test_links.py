"""Links between files of the repository as links between pages of the site."""

from __future__ import annotations

import pytest

from kanslib.repository import REPOSITORY
from kanslib.site.links import with_site_links

NAMES = {
    "index",
    "docs/index",
    "docs/decisions/index",
    "docs/how-to/own-rules",
    "docs/reference/lab",
    "chapters/03-arp",
}


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("../reference/lab.md", "../reference/lab.md"),
        ("own-rules.md#a-packet", "own-rules.md#a-packet"),
        ("../README.md", "../index.md"),
        ("../decisions", "../decisions/index.md"),
        ("../../notebooks/en/03-arp.ipynb", "../../chapters/03-arp.ipynb"),
        ("../../notebooks/en", "../../index.md"),
        ("../examples", REPOSITORY.file("docs/examples")),
        ("../../LICENSE", REPOSITORY.file("LICENSE")),
        ("https://metallb.io/", "https://metallb.io/"),
        ("#here", "#here"),
    ],
)
def test_link_leads_to_a_page_or_to_the_repository(link: str, wanted: str) -> None:
    text = f"See [it]({link})."
    found = with_site_links(text, "docs/how-to/own-rules", "docs/how-to/own-rules.md", NAMES)
    assert found == f"See [it]({wanted})."


def test_code_is_left_alone() -> None:
    text = "[a](x.md)\n```sh\n[b](x.md)\n```\n[c](x.md)\n"
    found = with_site_links(text, "docs/index", "docs/README.md", NAMES)
    target = REPOSITORY.file("docs/x.md")
    assert found == f"[a]({target})\n```sh\n[b](x.md)\n```\n[c]({target})\n"
