"""Every page of the website in a real Chromium without a network: from disk, and from a server on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from kanslib.course import chapters
from tests.browser import jupyter
from tests.browser.site_server import served
from tests.gallery.faults import overlaps
from tests.gallery.frontends import Selectors
from tests.site.links import broken_links

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not jupyter.CHROMIUM and not os.environ.get("CI"), reason="no Chromium on this machine"),
]
ARTEFACTS = Path(__file__).parent / "artefacts"
CHAPTERS = [f"chapters/{chapter.stem}" for chapter in chapters.shipped()]
SELECTORS = Selectors("div.cell", ".cell_output .output")
SLOWEST_PAINT = 1000  # ms
MOST_TRANSFERRED, MOST_SHIFTED = 300_000, 0.01  # bytes; cumulative layout shift
# what a person types, and the pages or sections of which one has to be in the first three
QUERIES = {
    "why does ping fail": ["03-arp.html#ping-the-vip"],
    "which node has the IP": ["03-arp.html"],
    "no answer": ["03-arp.html"],
    "install kans": ["docs/how-to/install.html"],
    "what is a leader": ["00q-fifteen-minutes.html", "05-election.html"],
    "how long is the outage": ["06-failover.html"],
    "gratuitous arp": ["03-arp.html#announcements"],
    "external ip pending": ["01-service-types.html#clusterip-nodeport-loadbalancer"],
    "why do requests fail after the node died": ["00q-fifteen-minutes.html#kill-the-leader", "06-failover.html"],
    "trace my own iptables rules": ["docs/how-to/own-rules.html"],
    "nftables kube-proxy": ["04-iptables.html#the-same-service-in-nftables"],
    "traffic policy local source ip": ["04-iptables.html#traffic-policy-local"],
    "bgp hold timer": ["07-bgp.html#a-node-falls-silent"],
    "duplicate ip address": ["03-arp.html#two-answers"],
    "how does metallb choose the leader": ["05-election.html"],
    "conntrack": ["06-failover.html#the-riddle"],
    "arp cache of the client": ["03-arp.html#what-the-client-remembers"],
    "pcap of my own cluster": ["docs/how-to/own-captures.html"],
    "run on my own cluster": ["docs/how-to/own-cluster.html"],
    "node not ready after 40 seconds": ["06-failover.html"],
    "ecmp": ["07-bgp.html#several-ways-to-one-address"],
    "exit code": ["docs/how-to/scripts.html#exit-codes"],
}
PHONE = {"latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8, "offline": False}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with jupyter.chromium() as browser:
        yield browser


def pages(site: Path) -> list[str]:
    return sorted(path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html"))


def watched(page: Page) -> list[str]:
    """Return a list that gets what a page says to the console, and each request that leaves the site."""
    found: list[str] = []
    page.on("console", lambda message: found.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    # the icon is asked for last, and going to the next page ends a request: that one did not fail
    page.on(
        "requestfailed", lambda one: None if one.failure == "net::ERR_ABORTED" else found.append(f"failed: {one.url}")
    )
    page.on("request", lambda one: found.append(f"request: {one.url}") if not one.url.startswith("file:") else None)
    return found


def test_links_between_pages_lead_somewhere(site: Path) -> None:
    assert len(pages(site)) > 40
    assert broken_links(site) == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_from_disk_have_no_faults(site: Path, browser: Browser, theme: str, width: int) -> None:
    """axe-core, which takes seconds for a chapter, looks at each theme and at each width once."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if theme == "dark" else "light", offline=True
    )
    page = context.new_page()
    said = watched(page)
    found = []
    for name in pages(site):
        page.goto((site / f"{name}.html").as_uri())
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        found += [f"{name}: {one}" for one in (*faults(page, ground, theme), *said)]
        if (theme, width) in (("light", 1440), ("dark", 390)):
            found += [f"{name}: {one}" for one in axe(page)]
        said.clear()
        if name in ("index", "gallery", "chapters/06-failover"):
            ARTEFACTS.mkdir(exist_ok=True)
            page.screenshot(path=ARTEFACTS / f"site-{name.replace('/', '-')}-{theme}-{width}.png")
    context.close()
    assert found == []


def faults(page: Page, ground: str, theme: str) -> Iterator[str]:
    brightness = sum(int(one) for one in ground[4:-1].split(",")[:3]) / 3
    if (brightness < 128) != (theme == "dark"):
        yield f"the ground is {ground}"
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wider > 0:
        yield f"scrolls sideways by {wider} px"
    for cell in page.evaluate(_CELLS_THAT_ARE_NONE):
        yield f"not set as a cell of a table: {cell}"
    yield from overlaps(page, SELECTORS)


def axe(page: Page) -> Iterator[str]:
    # from disk nothing can be fetched, so axe-core must not fetch the styles
    for one in Axe().run(page, options={"preload": False}).response["violations"]:
        yield f"axe {one['id']}: {one['nodes'][0]['html'][:160]}"


def test_link_to_a_place_in_a_long_page_leads_there(site: Path, browser: Browser) -> None:
    """The outputs above that place are laid out after the first view, or with it where the address has the place."""
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    address = (site / "chapters/06-failover.html").as_uri()
    at_the_top = "Math.abs(document.querySelector('#summary').getBoundingClientRect().top - 75) < 75"
    page.goto(f"{address}#summary")
    page.wait_for_function(at_the_top)
    page.goto(f"{address}?again")
    page.wait_for_function("document.body.classList.contains('kans-whole')")
    page.evaluate("location.hash = 'summary'")
    page.wait_for_function(at_the_top)
    page.close()


@pytest.mark.parametrize("place", ["disk", "server"])
def test_search_leads_to_the_section_that_has_the_words(site: Path, browser: Browser, place: str) -> None:
    with served(site) as address:
        page = browser.new_page()
        root = f"{site.as_uri()}/" if place == "disk" else address
        page.goto(f"{root}chapters/01-service-types.html")
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.get_by_role("textbox", name="Search").fill("the gratuitous announcement")
        page.keyboard.press("Enter")
        page.locator("ul.search li").first.wait_for()
        found = page.locator("ul.search li a").all_text_contents()
        assert found[0].startswith(("03 · ARP", "05 · ")), found
        assert " › " in found[0]
        marked = page.locator("ul.search li").first.locator("mark").all_text_contents()
        assert {word.lower()[:8] for word in marked} >= {"gratuito", "announce"}
        page.locator("ul.search li a").first.click()
        page.locator("h1", has_text=found[0].partition(" › ")[0]).wait_for()
        page.wait_for_function("scrollY > 200")
        assert errors == []
        page.close()


def test_search_answers_what_people_type(site: Path, browser: Browser) -> None:
    page, wrong = browser.new_page(), {}
    for query, places in QUERIES.items():
        page.goto(f"{(site / 'search.html').as_uri()}?q={quote(query)}")
        page.locator("ul.search li").first.wait_for()
        links = page.locator("ul.search li a").evaluate_all(
            "all => all.slice(0, 3).map(one => one.getAttribute('href'))"
        )
        if not any(place in link for place in places for link in links):
            wrong[query] = links
    page.close()
    assert wrong == {}


def test_search_has_no_markup_in_its_texts(site: Path) -> None:
    """`<pending>` and `<path>` are words of Kubernetes and of kans; a tag has a name of HTML, or an attribute."""
    data = (site / "_static" / "kans-search-text.js").read_text(encoding="utf-8")
    assert (
        re.findall(r"<(?:span|div|p|b|i|a|code|em|strong|br|table|details|small)\\b[^>]*>|<\\w+ [\\w-]+=|&\\w+;", data)
        == []
    )


@pytest.mark.parametrize("name", ["index", *CHAPTERS])
def test_first_view_on_a_slow_phone(site: Path, browser: Browser, name: str) -> None:
    """Bytes as GitHub Pages sends them. One of five visits has to be fast: the machine may be busy elsewhere."""
    visits: list[View] = []
    with served(site) as address:
        while len(visits) < 5 and (not visits or visits[-1].painted > SLOWEST_PAINT):
            visits.append(first_view(browser, f"{address}{name}.html"))
    print(name, *visits)
    assert max(visit.transferred for visit in visits) <= MOST_TRANSFERRED
    assert max(visit.shifted for visit in visits) <= MOST_SHIFTED
    assert min(visit.painted for visit in visits) <= SLOWEST_PAINT


@dataclass(frozen=True)
class View:
    """The first view of a page: bytes transferred, ms to its largest paint, and how much it shifted."""

    transferred: int
    painted: float
    shifted: float


def first_view(browser: Browser, address: str) -> View:
    """Open a page on a phone with a slow processor and a slow network."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.add_init_script(_WATCH)
    chrome = context.new_cdp_session(page)
    transferred: dict[str, int] = {}
    chrome.on("Network.loadingFinished", lambda one: transferred.update({one["requestId"]: one["encodedDataLength"]}))
    chrome.send("Network.enable")
    chrome.send("Network.emulateNetworkConditions", PHONE)
    chrome.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.goto(address)
    page.wait_for_timeout(500)
    painted, shifted = page.evaluate("[watched.painted, watched.shifted]")
    context.close()
    return View(sum(transferred.values()), round(painted), round(shifted, 4))


_CELLS_THAT_ARE_NONE = """
() => [...document.querySelectorAll("td, th")].filter(one => getComputedStyle(one).display !== "table-cell")
  .map(one => one.outerHTML.slice(0, 80))
"""
_WATCH = """
globalThis.watched = {painted: 0, shifted: 0}
const watch = (type, add) =>
  new PerformanceObserver(list => list.getEntries().forEach(add)).observe({type, buffered: true})
watch("largest-contentful-paint", one => { watched.painted = one.startTime })
watch("layout-shift", one => { watched.shifted += one.value })
"""
