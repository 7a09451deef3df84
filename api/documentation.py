"""The documentation of the API, of webhooks and of refusals: pages of our own, rendered from what the code declares."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.dependencies import Viewer
from api.errors import framework_refusals, status_of_kind
from api.pages.rendering import page
from api.v1.document import document
from coop.authorization.scopes import ENTITLEMENTS
from coop.errors import CoopError
from coop.networks import payloads
from coop.settings import Settings

SUBJECT = "rSVNNTkCdb0pv5AaB7_a-V-nr--BiqGPu2t6i9aT1pE"
TOLD_AT = datetime(2026, 3, 2, 12, 0, 4, tzinfo=UTC)


Field = tuple[str, str, str]
"""One property of an answer: its name, its type and what it means."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scope: str | None
    """What its token must be for, if it needs one."""
    fields: tuple[Field, ...]
    call: str
    answer: str
    responses: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal: its stable code, its usual status and what it says."""

    code: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """One type of webhook with an example."""

    type: str
    description: str
    example: str


@get("/docs/api", include_in_schema=False)
async def api(
    request: Request[object, object, State],
    settings: NamedDependency[Settings],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Show every operation and every webhook."""
    del viewer
    return page(
        "documentation/api.html",
        request,
        operations=operations(settings.issuer),
        webhooks=webhooks(settings.issuer),
        scopes=[ENTITLEMENTS],
    )


@get("/docs/errors", include_in_schema=False)
async def errors(
    request: Request[object, object, State], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """Show every refusal by its code; problem documents point here."""
    del viewer
    return page("documentation/errors.html", request, refusals=refusals())


@cache
def operations(issuer: str) -> tuple[Operation, ...]:
    """Return the operations of the OpenAPI document, in its order."""
    described = document(issuer)
    schemas = described["components"]["schemas"]
    return tuple(
        _operation(issuer, path, method, operation, schemas)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    )


@cache
def webhooks(issuer: str) -> tuple[Webhook, ...]:
    """Return every type of webhook with an example of its payload."""
    member = payloads.Member(subject=SUBJECT)
    covenant = payloads.Covenant(version=2, url=f"{issuer}/law/covenant")
    facts = (
        payloads.Linked(timestamp=TOLD_AT, data=member),
        payloads.Activated(timestamp=TOLD_AT, data=member),
        payloads.Ended(timestamp=TOLD_AT, data=member),
        payloads.Locked(timestamp=TOLD_AT, data=member),
        payloads.Unlocked(timestamp=TOLD_AT, data=member),
        payloads.Erased(timestamp=TOLD_AT, data=member),
        payloads.CovenantChanged(timestamp=TOLD_AT, data=covenant),
        payloads.Test(timestamp=TOLD_AT, data=payloads.Nothing()),
    )
    return tuple(
        Webhook(
            type=str(fact.__struct_config__.tag),
            description=_first_line(fact),
            example=_pretty(msgspec.to_builtins(fact)),
        )
        for fact in facts
    )


def refusals() -> list[Refusal]:
    """Return every refusal that exists, by code; not cached, since a package may still be loading."""
    own = {
        kind.code: Refusal(kind.code, int(status_of_kind(kind)), _first_line(kind))
        for kind in _kinds(CoopError)
    }
    others = {code: Refusal(code, int(status), detail) for code, status, detail in framework_refusals()}
    return [refusal for _, refusal in sorted((others | own).items())]


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> object:
    """Return a value that fits `schema`, made of the examples that it gives."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    given = schema.get("examples") or schema.get("enum")
    if given:
        return given[0]
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return example(choices[0], schemas) if choices else _of_type(schema, schemas)


def _of_type(schema: dict[str, Any], schemas: dict[str, Any]) -> object:
    match schema.get("type"):
        case "object":
            return {name: example(part, schemas) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [example(schema["items"], schemas)] if isinstance(schema.get("items"), dict) else []
        case "integer":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case _:
            return _TEXTS.get(schema.get("format", ""), "…")


_TEXTS = {
    "date-time": "2026-03-02T12:00:00Z",
    "date": "2027-03-31",
    "uuid": "6f2c1c4e-8a3e-4a35-9b1e-0c5f3f7a2b11",
}


def _operation(
    issuer: str, path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]
) -> Operation:
    done = next(status for status in operation["responses"] if status.startswith("2"))
    answered = operation["responses"][done]["content"]["application/json"]["schema"]
    asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    (scope,) = next(iter(operation["security"][0].values())) if "security" in operation else (None,)
    filled = path
    for parameter in operation.get("parameters", ()):
        filled = filled.replace(f"{{{parameter['name']}}}", str(example(parameter["schema"], schemas)))
    lines = [f"curl {issuer}{filled}"]
    if scope:
        lines.append("-H 'Authorization: Bearer ACCESS_TOKEN'")
    if asked:
        lines.append(f"--json '{json.dumps(example(asked, schemas))}'")
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        scope=scope,
        fields=tuple(_fields(answered, schemas)),
        call=" \\\n  ".join(lines),
        answer=_pretty(example(answered, schemas)),
        responses=tuple(
            (status, response["description"])
            for status, response in sorted(operation["responses"].items())
            if status != done
        ),
    )


def _fields(schema: dict[str, Any], schemas: dict[str, Any], prefix: str = "") -> Iterator[Field]:
    """Yield the properties of a schema, those of objects inside under their path."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for name, part in schema.get("properties", {}).items():
        inner = part["items"] if part.get("type") == "array" and isinstance(part.get("items"), dict) else part
        if "$ref" in inner:
            many = "[]" if inner is not part else ""
            yield from _fields(inner, schemas, f"{prefix}{name}{many}.")
        else:
            yield prefix + name, _type(part), part.get("description", "")


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(choice) for choice in schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return f"{_type(schema['items'])}[]"
    return str(schema.get("format") or schema.get("type") or "any")


def _kinds(base: type[CoopError]) -> Iterator[type[CoopError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _first_line(documented: object) -> str:
    return (documented.__doc__ or "").strip().splitlines()[0]


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


routes = [api, errors]
