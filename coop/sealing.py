"""Sealing: secrets that the database must keep readable for us alone, encrypted with a key from the configuration.

There is a key for each purpose, derived from `secret_key`; what one of them protects, no other opens, and a stolen
database without the configuration gives none of it away.
"""

import hmac
import os
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from coop.settings import BadSettings, Settings

_NONCE = 12
"""Bytes; the length that AES-GCM is made for."""


def key_for(settings: Settings, purpose: str) -> bytes:
    """Return 256 bits that depend on the secret key and on `purpose`."""
    if not settings.secret_key:
        raise BadSettings("secret_key is not set; `coop init` makes one")
    return _derived(settings.secret_key, purpose)


@lru_cache(maxsize=64)
def _derived(secret_key: str, purpose: str) -> bytes:
    # The secret is uniformly random, so one HMAC is all of HKDF that is needed (RFC 5869, section 3.3).
    return hmac.digest(bytes.fromhex(secret_key), purpose.encode(), "sha256")


def seal(settings: Settings, purpose: str, plain: bytes, *, bound_to: bytes) -> bytes:
    """Encrypt `plain` for the database; it opens only beside what it is `bound_to`."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key_for(settings, purpose)).encrypt(nonce, plain, bound_to)


def unseal(settings: Settings, purpose: str, sealed: bytes, *, bound_to: bytes) -> bytes:
    """Decrypt what `seal` made; raises `cryptography.exceptions.InvalidTag` for anything else."""
    return AESGCM(key_for(settings, purpose)).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to)
