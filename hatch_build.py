"""Compile the catalogues of kanslib's texts when a wheel is built: kanslib.po of each language to kanslib.mo."""

from __future__ import annotations

from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileCatalogues(BuildHookInterface):
    """A build hook of hatch, which finds it in this file."""

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Write a kanslib.mo beside each kanslib.po."""
        del version, build_data
        for source in Path(self.root, "src", "kanslib", "locale").glob("*/LC_MESSAGES/*.po"):
            with source.open("rb") as text, source.with_suffix(".mo").open("wb") as out:
                write_mo(out, read_po(text, locale=source.parts[-3]))
