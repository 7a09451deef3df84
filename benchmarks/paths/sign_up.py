"""Somebody joins with a handle and a password, which is hashed with argon2id."""

import secrets

from benchmarks.cooperative import Cooperative, handle
from benchmarks.load import Load, form
from benchmarks.paths import Path

FORMS = 2000
PASSWORD = "violet tram under seven bridges"  # noqa: S105 - of accounts that live for seconds


async def load(cooperative: Cooperative) -> Load:
    """Send each form once, from addresses all over, since sign-ups from one are limited."""
    del cooperative
    return Load(tuple(_joining() for _ in range(FORMS)), "once", status=303)


def _joining() -> bytes:
    away = {"X-Forwarded-For": ".".join(["10", *(str(part) for part in secrets.token_bytes(3))])}
    fields = {"handle": handle(10**9 + secrets.randbelow(10**18)), "password": PASSWORD}
    return form("/sign-up", fields, away)


PATHS = (Path("sign-up", load, beside="argon2id"),)
