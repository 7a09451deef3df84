"""Idempotency keys: a repeated request is answered as the first time, and changes nothing."""

import hashlib

from api.sandbox.desk import Desk
from api.sandbox.problems import StripeProblem

LONGEST = 255


def fingerprint(method: str, path: str, body: bytes, account: str) -> str:
    """Return what two requests share exactly when they ask for the same."""
    return hashlib.sha256(b"\0".join([method.encode(), path.encode(), account.encode(), body])).hexdigest()


def recall(desk: Desk, key: str, mark: str) -> tuple[int, bytes] | None:
    """Return the first answer under this key, or refuse another request that uses it; old keys are forgotten."""
    if len(key) > LONGEST:
        raise StripeProblem(
            f"Idempotency keys may be up to {LONGEST} characters long.", kind="idempotency_error"
        )
    desk.store.run("DELETE FROM answers WHERE made <= ?", desk.instant - desk.terms.answers_live)
    rows = desk.store.rows("SELECT fingerprint, status, body FROM answers WHERE key = ?", key)
    if not rows:
        return None
    if rows[0]["fingerprint"] != mark:
        raise StripeProblem(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
            f"using a key other than '{key}' if you meant to execute a different request.",
            kind="idempotency_error",
        )
    return rows[0]["status"], rows[0]["body"]


def remember(desk: Desk, key: str, mark: str, status: int, body: bytes, made: float) -> None:
    """Keep an answer for a day."""
    desk.store.run(
        "INSERT INTO answers (key, fingerprint, status, body, made) VALUES (?, ?, ?, ?, ?)",
        key,
        mark,
        status,
        body,
        made,
    )
