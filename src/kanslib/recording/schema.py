"""Make the JSON Schema of recording format 1 from its types.

python -m kanslib.recording.schema > docs/recording-format.schema.json
"""

from __future__ import annotations

import json
import sys
from inspect import cleandoc
from typing import Any

import msgspec

from kanslib.recording.format import CommandOutput, Manifest, ProbeRow, WatchRow


def json_schema() -> dict[str, Any]:
    """Return the schema of manifest.json (JSON Schema 2020-12); `$defs` also has those of the rows of ndjson files.

    >>> sorted(json_schema()["$defs"])[:4]
    ['Action', 'CommandOutput', 'FileEntry', 'Manifest']
    """
    roots = (Manifest, WatchRow, CommandOutput, ProbeRow)
    _, definitions = msgspec.json.schema_components(roots, ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition["description"] = cleandoc(definition["description"])
    # a type cannot say that only LIST has no object: WatchRow checks it when it is made
    definitions["WatchRow"]["anyOf"] = [{"properties": {"type": {"const": "LIST"}}}, {"required": ["object"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Recording format 1: manifest.json, and under $defs the rows of its ndjson files",
        "$ref": "#/$defs/Manifest",
        "$defs": definitions,
    }


def main() -> None:
    """Print the schema."""
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")


if __name__ == "__main__":
    main()
