"""Faults that can be armed: what goes wrong between two honest machines.

Webhooks are `lost`, `repeated` (detail: how many more times), `late` (detail: seconds) or `reordered` (held until the last
of them is here, then sent last come, first served; detail: the longest they are held).

Requests are turned away before anything is done (`failing`: 500, `limited`: 429), or they are applied and their answer
is late (`slow`; detail: seconds, in which their idempotency key is in use), lost on the way (`unanswered`: a 500 that
Stripe knows nothing of; `closed`: the connection ends) or itself a 500 (`broken`), which Stripe repeats for as long as
it remembers the key.

Banks may refuse a charge that nobody attends (`declined`), and send payouts and refunds back (`payout_returned`,
`refund_returned`).
"""

from dataclasses import dataclass

from api.sandbox.desk import Desk
from api.sandbox.problems import Doc

KINDS = {
    "lost": "Webhooks are never sent",
    "repeated": "Webhooks are sent again",
    "late": "Webhooks come late",
    "reordered": "Webhooks come in the opposite order",
    "failing": "Requests are refused with 500, and nothing is done",
    "limited": "Requests are refused with 429, and nothing is done",
    "slow": "Requests are applied, and answered late",
    "unanswered": "Requests are applied, but answered with 500",
    "closed": "Requests are applied, but the connection closes",
    "broken": "Requests are applied, answered with 500, and so again when repeated",
    "declined": "Renewals are declined by the bank",
    "payout_returned": "Payouts are sent back by the bank",
    "refund_returned": "Refunds are sent back by the bank",
}
DETAILS = {"repeated": 1.0, "late": 10.0, "reordered": 30.0, "slow": 5.0}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing to go wrong `times` times, for the events (or paths) that `match`."""

    kind: str
    times: int = 1
    match: str = "*"
    detail: float | None = None


def arm(desk: Desk, fault: Fault) -> None:
    """Arm a fault; the oldest that matches is used up first."""
    if fault.kind not in KINDS or not 1 <= fault.times <= 1000:  # noqa: PLR2004 - bounds of the form
        raise ValueError("There is no such fault.")
    detail = DETAILS.get(fault.kind, 0.0) if fault.detail is None else fault.detail
    desk.store.run(
        "INSERT INTO faults (kind, match, times, detail) VALUES (?, ?, ?, ?)",
        fault.kind,
        fault.match,
        fault.times,
        detail,
    )


def armed(desk: Desk) -> list[Doc]:
    """Return the faults that are still to happen."""
    return [dict(row) for row in desk.store.rows("SELECT * FROM faults ORDER BY seq")]


def clear(desk: Desk) -> None:
    """Let nothing go wrong any more, and let go of what was held."""
    desk.store.run("DELETE FROM faults")
    desk.store.run("UPDATE deliveries SET due = ? WHERE state = 'pending'", desk.wall)
