"""The desk: where one request, or one due task, is worked on inside one transaction of the store."""

import secrets
import string
from collections.abc import Iterable
from typing import cast

from api.sandbox.problems import Doc, StripeProblem, no_such
from api.sandbox.store import Store
from api.sandbox.terms import API_VERSION, Terms

_ALPHABET = string.ascii_letters + string.digits
PREFIXES = {
    "account": "acct",
    "balance_transaction": "txn",
    "billing_portal.configuration": "bpc",
    "billing_portal.session": "bps",
    "charge": "ch",
    "checkout.session": "cs_test",
    "customer": "cus",
    "dispute": "dp",
    "event": "evt",
    "invoice": "in",
    "invoice_payment": "inpay",
    "invoiceitem": "ii",
    "item": "li",
    "line_item": "il",
    "payment_intent": "pi",
    "payment_method": "pm",
    "payout": "po",
    "price": "price",
    "product": "prod",
    "refund": "re",
    "setup_attempt": "setatt",
    "setup_intent": "seti",
    "subscription": "sub",
    "subscription_item": "si",
    "test_helpers.test_clock": "clock",
    "transfer": "tr",
    "transfer_reversal": "trr",
    "webhook_endpoint": "we",
}
_TIMELESS = {"webhook_endpoint", "event"}


def fresh(prefix: str, length: int = 24) -> str:
    """Return a new id such as `cus_…`."""
    return prefix + "_" + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def public(doc: Doc) -> Doc:
    """Return what the caller may see: all but the sandbox's own notes, whose names begin with `_`."""
    return {key: value for key, value in doc.items() if not key.startswith("_")}


class Desk:
    """Objects, events and due tasks of one transaction, at one instant.

    `now` is business time in Unix seconds; on a test clock it is that clock's time. `wall` is the machine's,
    by which webhooks are sent.
    """

    def __init__(
        self,
        store: Store,
        terms: Terms,
        *,
        url: str,
        now: float,
        wall: float,
        clock: str = "",
        key: str | None = None,
    ):
        """`clock` is the id of a test clock, or empty; `key` the request's idempotency key."""
        self.store = store
        self.terms = terms
        self.url = url
        self.instant = now
        self.wall = wall
        self.clock = clock
        self.request: str | None = None
        self.key = key
        self.account = ""

    @property
    def now(self) -> int:
        """Business time in whole Unix seconds."""
        return int(self.instant)

    def new(self, kind: str, fields: Doc, *, name: str | None = None) -> Doc:
        """Keep a new object of a kind and return it."""
        doc: Doc = {
            "id": name or fresh(PREFIXES[kind]),
            "object": kind,
            "created": self.now,
            "livemode": False,
        }
        doc |= fields
        if self.clock and kind not in _TIMELESS:
            doc["_clock"] = self.clock
        self.store.insert(kind, doc)
        return doc

    def find(self, name: str | None) -> Doc | None:
        """Return the object with this id, if there is one."""
        return self.store.find(name) if name else None

    def get(self, kind: str, name: str, param: str = "id") -> Doc:
        """Return the object of a kind with this id, or refuse as Stripe does."""
        doc = self.find(name)
        if doc is None or doc["object"] != kind or doc.get("deleted"):
            raise no_such(kind.replace(".", " ").replace("_", " "), name, param)
        return doc

    def save(self, doc: Doc) -> Doc:
        """Keep the new state of an object."""
        self.store.update(doc)
        return doc

    def where(self, kind: str, **fields: object) -> list[Doc]:
        """Return the objects of a kind whose fields have these values, oldest first."""
        condition = " AND ".join(f"json_extract(body, '$.{field}') = ?" for field in fields) or "1"
        return self.store.select(kind, condition, *fields.values())

    def follow(self, doc: Doc) -> None:
        """Work at the time of the test clock that `doc` lives on, if it does."""
        name = cast(str, doc.get("_clock") or doc.get("test_clock") or "")
        if name and name != self.clock:
            self.clock = name
            self.instant = float(self.get("test_helpers.test_clock", name)["frozen_time"])

    def later(self, due: float, task: str, ref: str) -> None:
        """Put a task on the agenda."""
        self.store.run(
            "INSERT INTO agenda (clock, due, task, ref) VALUES (?, ?, ?, ?)", self.clock, due, task, ref
        )

    def emit(self, name: str, doc: Doc, before: Doc | None = None) -> Doc:
        """Record an event about the present state of `doc`, and queue it for every endpoint that wants it."""
        data: Doc = {"object": public(doc)}
        if before is not None:
            data["previous_attributes"] = {
                key: value for key, value in public(before).items() if doc.get(key) != value
            }
        endpoints = [
            endpoint
            for endpoint in self.store.select("webhook_endpoint")
            if endpoint["status"] == "enabled" and _wanted(endpoint["enabled_events"], name)
        ]
        event = self.new(
            "event",
            {
                "api_version": API_VERSION,
                "data": data,
                "pending_webhooks": len(endpoints),
                "request": {"id": self.request, "idempotency_key": self.key},
                "type": name,
            },
        )
        for endpoint in endpoints:
            self.queue(event, endpoint["id"])
        return event

    def queue(self, event: Doc, endpoint: str) -> None:
        """Queue a delivery, bending it by the first armed fault that matches (see `api.sandbox.faults`)."""
        state, due, rank, copies = "pending", self.wall, 0, 1
        fault = self.take_fault(("lost", "repeated", "late", "reordered"), event["type"])
        if fault is not None:
            match fault["kind"]:
                case "lost":
                    state = "lost"
                case "repeated":
                    copies = 1 + max(1, int(fault["detail"]))
                case "late":
                    due += fault["detail"]
                case _:
                    # Held until the last of them is here, then sent last come, first served.
                    rank, due = -1, self.wall + fault["detail"]
        for _ in range(copies):
            self.store.run(
                "INSERT INTO deliveries (event, type, endpoint, state, due, rank) VALUES (?, ?, ?, ?, ?, ?)",
                event["id"],
                event["type"],
                endpoint,
                state,
                due,
                rank,
            )
        if rank:
            self.store.run("UPDATE deliveries SET rank = -seq WHERE rank = -1")
            last = fault is not None and fault["times"] == 1
            self.store.run(
                "UPDATE deliveries SET due = ? WHERE rank < 0 AND state = 'pending'",
                self.wall if last else due,
            )

    def take_fault(self, kinds: Iterable[str], subject: str) -> Doc | None:
        """Use up one turn of the oldest armed fault of these kinds that matches `subject`."""
        for row in self.store.rows("SELECT * FROM faults ORDER BY seq"):
            if row["kind"] in kinds and _wanted([row["match"]], subject):
                self.store.run("UPDATE faults SET times = times - 1 WHERE seq = ?", row["seq"])
                self.store.run("DELETE FROM faults WHERE times <= 0")
                return dict(row)
        return None


def _wanted(patterns: Iterable[str], name: str) -> bool:
    """Whether a name meets one of the patterns: itself, `*`, or how it begins, as in `invoice.*` and `/v1/refunds*`."""
    return any(
        pattern in {"", name} or (pattern.endswith("*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )


def not_here(what: str, param: str | None = None) -> StripeProblem:
    """Say that Stripe can do this but the sandbox does not, so that nobody mistakes silence for success."""
    return StripeProblem(f"The sandbox does not offer {what}.", code="sandbox_limit", param=param)


def nothing(*names: str) -> Doc:
    """Return these fields with no value."""
    return dict.fromkeys(names)
