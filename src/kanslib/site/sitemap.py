"""The site map: every page with its address, and the same page in other languages (sitemaps.org, protocol 0.9)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from xml.etree import ElementTree

from kanslib.site.content import language_folder

_MAP, _LINK = "http://www.sitemaps.org/schemas/sitemap/0.9", "http://www.w3.org/1999/xhtml"
_NOT_LISTED = {"404", "search", "progress"}  # what nobody looks for from outside


def sitemap(site: Path, base_url: str, fallbacks: Mapping[str, Collection[str]]) -> str:
    """Return the site map of a site that was written to a folder, as XML.

    base_url: with a slash at its end
    fallbacks: the languages, each with the names of its pages that are not translated
    """
    ElementTree.register_namespace("", _MAP)
    ElementTree.register_namespace("xhtml", _LINK)
    root = ElementTree.Element(f"{{{_MAP}}}urlset")
    for name in _pages(site, fallbacks):
        addresses = {
            language: f"{base_url}{language_folder(language)}{name}.html"
            for language, missing in fallbacks.items()
            if name not in missing
        }
        for address in addresses.values():
            entry = ElementTree.SubElement(root, f"{{{_MAP}}}url")
            ElementTree.SubElement(entry, f"{{{_MAP}}}loc").text = address
            for language, other in addresses.items() if len(addresses) > 1 else ():
                ElementTree.SubElement(entry, f"{{{_LINK}}}link", rel="alternate", hreflang=language, href=other)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _pages(site: Path, languages: Collection[str]) -> list[str]:
    """Return the names of the pages in the default language, which has each of them."""
    folders = {language_folder(language).rstrip("/") for language in languages}
    found = [path.relative_to(site).with_suffix("") for path in site.rglob("*.html")]
    names = {page.as_posix() for page in found if page.parts[0] not in folders}
    return sorted(names - _NOT_LISTED)
