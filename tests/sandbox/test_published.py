# ruff: noqa: ANN401 - a shape may be anything
"""The sandbox against Stripe's published description: no parameter and no property of its own invention."""

from typing import Any

import pytest

from api.sandbox.endpoint import OPERATIONS
from api.sandbox.operations import Operation
from tests.sandbox import published

OWN = {"/v1/payment_pages/{}", "/v1/payment_pages/{}/confirm"}
"""What Stripe's hosted page and CLI use, and no description mentions."""
OFFERED = [operation for operation in OPERATIONS if operation.path not in OWN]


@pytest.mark.parametrize("operation", OFFERED, ids=lambda one: f"{one.method} {one.path}")
def test_every_operation_and_parameter_is_stripes(operation: Operation) -> None:
    known = published.parameters(operation.method, operation.path)
    assert _unknown(operation.shape, {"type": "object", "properties": known}) == []


def _unknown(shape: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    choices = schema.get("anyOf", [schema])
    if isinstance(shape, list):
        inner = [choice["items"] for choice in choices if "items" in choice]
        return _unknown(shape[0], inner[0], f"{at}[]") if inner else [at]
    if not isinstance(shape, dict):
        return []
    known: dict[str, Any] = {}
    for choice in choices:
        known |= choice.get("properties", {})
    return [
        fault
        for name, inner in shape.items()
        for fault in (_unknown(inner, known[name], f"{at}.{name}") if name in known else [f"{at}.{name}"])
    ]
