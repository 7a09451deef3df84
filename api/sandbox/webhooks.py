"""Webhooks on their way: signed, sent in order, and sent again until someone answers 2xx."""

import hashlib
import hmac
import json
from dataclasses import dataclass

import httpx

from api.sandbox.desk import Desk, public
from api.sandbox.problems import Doc


@dataclass(frozen=True)
class Delivery:
    """One attempt to be made."""

    number: int
    event: str
    url: str
    body: bytes
    signature: str
    attempts: int


def sign(body: bytes, secrets: list[str], timestamp: int) -> str:
    """Return the `Stripe-Signature` header: one `v1` for each secret, two while a secret is rotated."""
    signed = str(timestamp).encode() + b"." + body
    marks = (hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets)
    return ",".join([f"t={timestamp}", *(f"v1={mark}" for mark in marks)])


def ready(desk: Desk, *, most: int = 20, everything: bool = False) -> list[Delivery]:
    """Return the deliveries whose time has come; `everything` asks for those that wait as well."""
    rows = desk.store.rows(
        "SELECT * FROM deliveries WHERE state = 'pending' AND (due <= ? OR ?) ORDER BY due, rank, seq LIMIT ?",
        desk.wall,
        everything,
        most,
    )
    made = []
    for row in rows:
        endpoint, event = desk.find(row["endpoint"]), desk.find(row["event"])
        if endpoint is None or event is None or endpoint["status"] != "enabled":
            desk.store.run("UPDATE deliveries SET state = 'dropped' WHERE seq = ?", row["seq"])
            continue
        body = json.dumps(public(event), indent=2).encode()
        signature = sign(body, endpoint["_secrets"], int(desk.wall))
        made.append(Delivery(row["seq"], event["id"], endpoint["url"], body, signature, row["attempts"]))
    return made


async def send(client: httpx.AsyncClient, delivery: Delivery) -> str:
    """Send one delivery and return what came of it: a status, or the name of the failure."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": delivery.signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    try:
        # Redirects are failures, as with Stripe.
        answer = await client.post(delivery.url, content=delivery.body, headers=headers)
    except httpx.HTTPError as error:
        return type(error).__name__
    return str(answer.status_code)


def note(desk: Desk, delivery: Delivery, answer: str) -> None:
    """Record what came of an attempt, and plan the next one if it failed."""
    delays = desk.terms.delivery_delays
    if answer.startswith("2"):
        state, due = "delivered", desk.wall
        event = desk.find(delivery.event)
        if event is not None:
            desk.save(event | {"pending_webhooks": max(0, event["pending_webhooks"] - 1)})
    elif delivery.attempts < len(delays):
        state, due = "pending", desk.wall + delays[delivery.attempts]
    else:
        state, due = "failed", desk.wall
    desk.store.run(
        "UPDATE deliveries SET state = ?, due = ?, rank = 0, attempts = attempts + 1, answer = ? WHERE seq = ?",
        state,
        due,
        answer,
        delivery.number,
    )


def next_due(desk: Desk) -> float | None:
    """Return the instant at which the next delivery is due, if one waits."""
    due: float | None = desk.store.rows("SELECT min(due) AS due FROM deliveries WHERE state = 'pending'")[0][
        "due"
    ]
    return due


def recent(desk: Desk, most: int = 30) -> list[Doc]:
    """Return the latest deliveries, newest first."""
    return [dict(row) for row in desk.store.rows("SELECT * FROM deliveries ORDER BY seq DESC LIMIT ?", most)]


def resend(desk: Desk, number: int) -> None:
    """Send a delivery once more, whatever became of it."""
    desk.store.run(
        "UPDATE deliveries SET state = 'pending', due = ?, attempts = 0, rank = 0 WHERE seq = ?",
        desk.wall,
        number,
    )
