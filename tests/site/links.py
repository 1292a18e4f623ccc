"""The links of a site that lead to no page, no file or no place in a page: `python -m tests.site.links FOLDER`."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src", "action") and value and tag not in ("use", "base"):
                self.links.append(value)


def broken_links(site: Path) -> list[str]:
    """Return the broken links of a site, each as `page: link`. Links to other hosts are not asked for."""
    pages = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site.resolve()).as_posix()}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not urlsplit(link).scheme and not _leads_somewhere(path, link, pages)
    ]


def _leads_somewhere(path: Path, link: str, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages:
        return target.is_file()
    return not parts.fragment or unquote(parts.fragment) in pages[target].places


if __name__ == "__main__":
    sys.exit("\n".join(broken_links(Path(sys.argv[1]))) or 0)
