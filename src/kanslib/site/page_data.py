"""The data of a page's interactive parts: small ones inside the page, large ones in a script that is loaded late."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import htpy as h
import msgspec
from markupsafe import Markup

SHOW_FOR_SITE: Final = "%load_ext kanslib.site.kernel"  # what a chapter's kernel runs first
FOLDER_VARIABLE: Final = "KANS_SITE_DATA"  # the environment variable that tells it where large data go
MOST_INSIDE = 6000  # bytes of data inside a page; its first view has a budget
SCRIPTS: Final = "data"  # their folder, below that of the site's own scripts
_SCRIPT: Final = "{}.js"


class PageData:
    """Where the data of pages goes. `folder`: the folder of the site's scripts, for what is too large for a page.

    A script is called after what it holds, so that pages share it. It works from disk, too, where a page may not fetch.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def embed(self, data: object) -> Markup:
        """Return an element that holds data (anything that msgspec can encode) as JSON, or the name of its script."""
        content = msgspec.json.encode(data)
        if len(content) <= MOST_INSIDE:
            return inside(data)
        return _json_element(b"null", self.store(content))

    def store(self, content: bytes) -> str:
        """Write JSON into a script; return the name that the page asks for."""
        name = hashlib.sha256(content).hexdigest()[:12]
        script = b'kansData("%s",%s);\n' % (name.encode(), content)
        path = self._folder / _SCRIPT.format(name)
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(script)
        return name


def inside(data: object) -> Markup:
    """Return an element that holds data (anything that msgspec can encode) as JSON."""
    return _json_element(msgspec.json.encode(data), "")


def _json_element(content: bytes, name: str) -> Markup:
    """Return the element; `<` is escaped, because a text of the data may hold `</script>` or `<!--`."""
    text = content.decode().replace("<", r"\u003c")
    return Markup(h.script(".kans-data", type="application/json", data_script=name or None)[Markup(text)])
