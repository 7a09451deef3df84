"""Browsers that know an account: a mark left at sign-in, so that strangers who guess cannot shut the owner out."""

import hashlib
import hmac
import secrets
from uuid import UUID

from coop.settings import Settings


def mark(settings: Settings, account_id: UUID) -> str:
    """Return a mark for a browser in which the owner of the account has just signed in; it tells nobody whose."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_seal(settings, nonce, account_id)}"


def known(settings: Settings, presented: str | None, account_id: UUID) -> str | None:
    """Return which browser presented a true mark for this account, if it did; it signs nobody in."""
    nonce, _, seal = (presented or "").partition(".")
    if not nonce.isascii() or not seal.isascii():
        return None
    return nonce if hmac.compare_digest(seal, _seal(settings, nonce, account_id)) else None


def _seal(settings: Settings, nonce: str, account_id: UUID) -> str:
    message = f"browser that knows\0{nonce}\0{account_id}".encode()
    return hmac.digest(settings.secret_key.encode(), message, hashlib.sha256).hex()
