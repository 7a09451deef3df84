"""Sealing: secrets that the database must keep readable for us alone, encrypted with a key from the configuration.

AES-256-GCM under a key that HKDF derives from `secret_key` for one purpose, so that what was sealed for one use cannot be
opened for another. A stolen database without the configuration gives none of them away.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coop.settings import BadSettings, Settings

_NONCE_BYTES = 12


def seal(settings: Settings, purpose: str, secret: bytes) -> bytes:
    """Return `secret` encrypted for `purpose`; sealing it twice gives different bytes."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_key(settings, purpose)).encrypt(nonce, secret, None)


def unseal(settings: Settings, purpose: str, sealed: bytes) -> bytes:
    """Return what was sealed for `purpose`."""
    try:
        return AESGCM(_key(settings, purpose)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except InvalidTag as error:
        raise BadSettings(
            "secret_key is not the one that sealed the secrets in this database; put the old one back"
        ) from error


def _key(settings: Settings, purpose: str) -> bytes:
    if not settings.secret_key:
        raise BadSettings("secret_key is not set; `coop init` makes one")
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return derivation.derive(bytes.fromhex(settings.secret_key))
