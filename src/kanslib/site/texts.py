"""The texts of the site that no chapter and no document has: the first page, captions, notices."""

from __future__ import annotations

from kanslib.i18n import tr


def of_pages() -> dict[str, str]:
    """Return the texts of the templates by their names, in the chosen language."""
    return {
        "title": tr("kanslib: a MetalLB cluster that you can hold in your hand"),
        "description": tr(
            "A course on Kubernetes Services of type LoadBalancer on bare metal: MetalLB, ARP, iptables, leader "
            "election, failover, BGP."
        ),
        "skip": tr("Skip to content"),
        "course": tr("Course"),
        "documentation": tr("Documentation"),
        "search": tr("Search"),
        "search_here": tr("Search this site"),
        "search_needs_script": tr("The search needs scripts, which do not run in this browser."),
        "language": tr("Language"),
        "pages": tr("Pages"),
        "on_this_page": tr("On this page"),
        "theme": tr("Light, dark, or as the system has it"),
        "question": tr("How does a Kubernetes LoadBalancer work where there is no cloud?"),
        "lead": tr(
            "The machine that answers for an address dies. See which requests fail, for how long, and why. A recording "
            "of a real cluster with MetalLB answers your questions. There is nothing to install."
        ),
        "start": tr("Where to start"),
        "fifteen": tr("Read the fifteen minutes"),
        "fifteen_hint": tr("a leader dies: guess, then look"),
        "chapters_door": tr("Open the chapters"),
        "chapters_hint": tr("2 hours as a workshop, or 5 to 6 hours in full"),
        "binder": tr("Start it for real"),
        "binder_hint": tr("on Binder, in a minute or two"),
        "here": tr(
            "You do not run anything here: under each grey code box is its recorded output. Write a guess before you "
            "scroll on. The mark “workshop” is for the sections of the 2-hour path."
        ),
        "run_chapter": tr("Run this chapter on Binder"),
        "picture": tr(
            "A recorded failover. At second 0 the leader dies: the node that answers for svc1 and svc2. Each bar shows "
            "how long one change took; the VIP is the external address of a Service. Below are the requests to each "
            "Service: dark means that none was answered, partly dark that some were, and stragglers are single late "
            "failures. The requests up to the next action are counted; a chapter that watches for a shorter time "
            "counts fewer."
        ),
        "chapters": tr("Chapters"),
        "own_cluster": tr("On your own cluster"),
        "without_script": tr(
            "This browser runs no JavaScript. With it, this page checks your answers, and a slider moves the time "
            "machine. Without it, the time machine shows its first moment. Solutions are folded below the questions."
        ),
        "missing": tr("There is no page at this address."),
        "missing_words": tr("A page may have another name in this release. The search finds it."),
        "untranslated": tr("This page is not translated yet. Here it is in English."),
    }


def captions() -> dict[str, str]:
    """Return the captions of the navigation and the titles of the pages that the site itself makes."""
    return {
        "course": tr("Course"),
        "how-to": tr("How to"),
        "contribute": tr("Contribute"),
        "reference": tr("Reference"),
        "background": tr("Background"),
        "decisions": tr("Decisions"),
        "gallery": tr("Gallery"),
        "gallery_words": tr(
            "One figure of each kind. It leads to the section where it stands. As a file, it is SVG with a light and a "
            "dark style of its own."
        ),
    }
