import json
import re
from pathlib import Path

import jsonschema
import pytest
from standardwebhooks.webhooks import Webhook

from api.v1 import answers
from coop.clock import SystemClock
from coop.networks import deliveries, payloads

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "networks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("name", "made"),
    [("entitlement", answers.entitlement_schema), ("webhook-payload", payloads.schema)],
)
def test_the_kept_schemas_are_those_of_the_code(name: str, made: object) -> None:
    assert callable(made)
    assert (DOCS / "schemas" / f"{name}.schema.json").read_bytes() == made()


def test_the_examples_fit_the_schemas() -> None:
    entitlement, webhook = (json.loads(block) for block in blocks("json"))

    jsonschema.validate(entitlement, json.loads(answers.entitlement_schema()))
    jsonschema.validate(webhook, json.loads(payloads.schema()))


def test_the_example_of_verifying_runs() -> None:
    secret, body, now = "whsec_" + "A" * 43 + "=", json.dumps({"type": "member.linked"}), SystemClock().wall()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }
    names: dict[str, object] = {"secret": secret, "body": body, "headers": headers}

    for block in blocks("python"):
        exec(block, names)  # the block is ours

    assert names["fact"] == {"type": "member.linked"}


@pytest.mark.parametrize("kind", payloads.TYPES)
def test_every_type_of_webhook_is_documented(kind: str) -> None:
    assert f"| `{kind}` |" in TEXT


def test_the_documented_waits_are_those_of_the_code() -> None:
    hours = [int(wait.total_seconds()) // 3600 for wait in deliveries.BACK_OFF[3:]]

    assert "5 seconds, 5 minutes, 30 minutes, 2, 5, 10, 14, 20 and 24 hours" in TEXT
    assert hours == [2, 5, 10, 14, 20, 24]
    assert [wait.total_seconds() for wait in deliveries.BACK_OFF[:3]] == [5, 300, 1800]
