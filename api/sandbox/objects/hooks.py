"""Events as they can be asked for, and the endpoints that they are sent to."""

import re

from api.sandbox.desk import Desk, fresh
from api.sandbox.listing import listed
from api.sandbox.operations import EXPAND, Operation, retrieve
from api.sandbox.parameters import Shape, address, flag, merged, metadata, need, text
from api.sandbox.problems import Doc, StripeProblem
from api.sandbox.terms import API_VERSION


def _event(raw: str, param: str) -> str:
    """Return the name of an event, or `*` for all: families such as `invoice.*` are no names."""
    if not re.fullmatch(r"\*|[a-z0-9_]+(\.[a-z0-9_]+)+", raw):
        raise StripeProblem(f"Invalid {param}: must be the name of an event, or *", param=param)
    return raw


_FIELDS: dict[str, Shape] = EXPAND | {
    "description": text,
    "enabled_events": [_event],
    "metadata": metadata,
    "url": address,
}


def make(
    desk: Desk, params: Doc, *, name: str | None = None, secret: str | None = None, old: str = ""
) -> Doc:
    """Keep a webhook endpoint; its secret is shown once."""
    secret = secret or fresh("whsec", 32)
    endpoint = desk.new(
        "webhook_endpoint",
        {
            "api_version": params.get("api_version") or API_VERSION,
            "application": None,
            "description": params.get("description"),
            "enabled_events": params.get("enabled_events") or ["*"],
            "metadata": merged({}, params.get("metadata")),
            "status": "enabled",
            "url": params["url"],
            "_secrets": [secret, old] if old else [secret],
        },
        name=name,
    )
    return endpoint | {"secret": secret}


def _create(desk: Desk, params: Doc) -> Doc:
    need(params, "enabled_events", "url")
    if not params["enabled_events"]:
        raise StripeProblem(
            "Missing required param: enabled_events.", code="parameter_missing", param="enabled_events"
        )
    return make(desk, params)


def _update(desk: Desk, params: Doc, name: str) -> Doc:
    endpoint = desk.get("webhook_endpoint", name)
    fields = {key: params[key] for key in ("description", "enabled_events", "url") if params.get(key)}
    if params.get("disabled") is not None:
        fields["status"] = "disabled" if params["disabled"] else "enabled"
    fields["metadata"] = merged(endpoint["metadata"], params.get("metadata"))
    return desk.save(endpoint | fields)


def _delete(desk: Desk, _params: Doc, name: str) -> Doc:
    desk.get("webhook_endpoint", name)
    desk.store.run("DELETE FROM deliveries WHERE endpoint = ? AND state = 'pending'", name)
    desk.store.run("DELETE FROM objects WHERE id = ?", name)
    return {"id": name, "object": "webhook_endpoint", "deleted": True}


OPERATIONS = [
    listed("event", "/v1/events", filters={"type": text, "types": [text]}, columns={"types": "type"}),
    retrieve("event", "/v1/events"),
    Operation("POST", "/v1/webhook_endpoints", _create, _FIELDS | {"api_version": text}),
    listed("webhook_endpoint", "/v1/webhook_endpoints", dated=False),
    retrieve("webhook_endpoint", "/v1/webhook_endpoints"),
    Operation("POST", "/v1/webhook_endpoints/{}", _update, _FIELDS | {"disabled": flag}),
    Operation("DELETE", "/v1/webhook_endpoints/{}", _delete),
]
