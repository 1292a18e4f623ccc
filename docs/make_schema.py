"""Write src/kanslib/k8s/schema.json: the fields of every kind that the simulator knows, and their types.

`python docs/make_schema.py SWAGGER METALLB`: Kubernetes v1.31.0 api/openapi-spec/swagger.json, and MetalLB v0.14.8
config/manifests/metallb-native.yaml. Descriptions are left out. A type is `string`, `int32`, `[]T` (a list), `{}T` (a
map), the name of a type, or an object of CustomResourceDefinition rules.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).parents[1] / "src" / "kanslib" / "k8s" / "schema.json"
KINDS = {
    "v1": ("Namespace", "Node", "Pod", "Service", "ConfigMap", "Secret"),
    "apps/v1": ("Deployment", "DaemonSet", "ReplicaSet"),
    "discovery.k8s.io/v1": ("EndpointSlice",),
}
_RULES = (
    "type",
    "required",
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "default",
)
_OPAQUE = {
    "Quantity": "quantity",
    "Time": "time",
    "MicroTime": "time",
    "IntOrString": "int-or-string",
    "FieldsV1": "any",
}


def _short(reference: str) -> str:
    return reference.rpartition(".")[2]


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of a field of a Go type."""
    if "$ref" in schema:
        return _OPAQUE.get(_short(schema["$ref"]), _short(schema["$ref"]))
    if schema["type"] == "array":
        return "[]" + _type(schema["items"])
    if schema["type"] == "object":
        return "{}" + _type(schema["additionalProperties"])
    return str(schema.get("format") or schema["type"])


def _go_types(definitions: Mapping[str, Any], reference: str, found: dict[str, dict[str, str]]) -> None:
    """Add a Go type and those of its fields."""
    name = _short(reference)
    if name in found or name in _OPAQUE:
        return
    properties = definitions[reference.removeprefix("#/definitions/")].get("properties", {})
    found[name] = {field: _type(schema) for field, schema in properties.items()}
    for schema in properties.values():
        for one in (schema, schema.get("items", {}), schema.get("additionalProperties", {})):
            if "$ref" in one:
                _go_types(definitions, one["$ref"], found)


def _rules(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of a CustomResourceDefinition without descriptions."""
    kept = {key: schema[key] for key in _RULES if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: _rules(one) for name, one in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            kept[key] = _rules(schema[key])
    return kept


def main(swagger: str, metallb: str) -> None:
    """Write the table."""
    definitions = json.loads(Path(swagger).read_text(encoding="utf-8"))["definitions"]
    types: dict[str, dict[str, str]] = {}
    kinds: dict[str, str] = {}
    for one, definition in definitions.items():
        for group in definition.get("x-kubernetes-group-version-kind", []):
            version = f"{group['group']}/{group['version']}".lstrip("/")
            if group["kind"] in KINDS.get(version, ()):
                kinds[f"{version} {group['kind']}"] = group["kind"]
                _go_types(definitions, one, types)
    custom = {}
    for document in yaml.safe_load_all(Path(metallb).read_text(encoding="utf-8")):
        if document and document["kind"] == "CustomResourceDefinition":
            spec = document["spec"]
            for version in spec["versions"]:
                schema = _rules(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "ObjectMeta"}
                if "x-kubernetes-validations" in json.dumps(version["schema"]):
                    schema["expressions"] = True  # it has rules in CEL, which are not read
                custom[f"{spec['group']}/{version['name']} {spec['names']['kind']}"] = schema
    rows = [
        f"{json.dumps(part)}: {{\n"
        + ",\n".join(f" {json.dumps(name)}: {json.dumps(one)}" for name, one in sorted(section.items()))
        + "\n}"
        for part, section in (("kinds", kinds), ("types", types), ("custom", custom))
    ]
    TARGET.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
