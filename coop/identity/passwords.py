"""Passwords: what one must be (NIST 800-63B-4), and argon2id off the event loop behind a bounded line.

The parameters are OWASP's: 19 MiB, two passes, one lane. Some forty milliseconds and nineteen megabytes each, so the
number at work and the number who wait are both bounded; whoever comes after that is asked to come back, and a flood
of sign-ins neither exhausts the memory nor delays the rest of the service.
"""

import contextlib
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import anyio
from anyio import to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from coop.errors import Invalid, Unavailable

SHORTEST = 15
"""Characters, for a password that stands alone (NIST 800-63B-4, section 3.1.1.2)."""
LONGEST = 1000
"""Bytes; there to bound the work, not the person."""
OWN = 8
"""Characters that must remain once common words, the handle and the co-op's name are taken out."""
VARIETY = 5
"""Different characters at least: fewer is one key held down."""
WAITING = 50
"""Passwords that may wait for each one at work; about two seconds' worth."""

# The digest of no password that anybody has, made with the same parameters: unknown accounts cost the same time.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$5IoWLRucyg6MpX4eYGSitgxb8EVaXren7aIdVaG45h8"
_argon2 = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1, hash_len=32, salt_len=16)


class WeakPassword(Invalid):
    """Use a password of at least 15 characters; several words in a row are best, and spaces are welcome."""

    code = "weak_password"
    title = "That password cannot be used"


class Busy(Unavailable):
    """Many people are signing in right now; try again in a few seconds."""

    code = "busy"


class Hasher:
    """Digests and verifies passwords in worker threads, at most `workers` at a time, with a bounded line."""

    def __init__(self, workers: int):
        """Admit `workers` at work and `WAITING` in line for each."""
        self._limiter = anyio.CapacityLimiter(workers)
        self._room = workers * (1 + WAITING)
        self._inside = 0

    async def digest(self, password: str) -> str:
        """Return what is stored of a password that `checked` let through."""
        with self._place():
            return await to_thread.run_sync(_argon2.hash, normalised(password), limiter=self._limiter)

    async def verify(self, digest: str | None, password: str) -> bool:
        """Tell whether `password` is the one behind `digest`; without a digest it takes as long, and it is not."""
        try:
            text = normalised(password)
        except WeakPassword:
            digest, text = None, ""
        with self._place():
            right = await to_thread.run_sync(_matches, digest or _NOBODY, text, limiter=self._limiter)
        return right and digest is not None

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._inside >= self._room:
            raise Busy
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


def checked(password: str, *, names: tuple[str, ...] = ()) -> str:
    """Return the normalised password, or refuse it; `names` are words that everybody can guess here.

    Long enough, not on the shipped list, not made of common words, the handle and the co-op's name: no other rule,
    since rules of composition only make passwords worse.
    """
    text = normalised(password)
    if len(text) < SHORTEST:
        raise WeakPassword(field="password")
    if len(set(text)) < VARIETY or _own(text, names) < OWN:
        raise WeakPassword(
            "That password is among the first that anybody would try; take a few words that belong together "
            "for you alone.",
            field="password",
        )
    return text


def normalised(password: str) -> str:
    """Return `password` in the one form in which it is compared (RFC 8265, OpaqueString), or refuse it.

    So that it does not matter which keyboard composed an accent; spaces stay, control characters never were typed.
    """
    if len(password) > LONGEST:
        raise WeakPassword("A password has at most 1000 bytes.", field="password")
    text = unicodedata.normalize(
        "NFC", "".join(" " if unicodedata.category(c) == "Zs" else c for c in password)
    )
    if any(unicodedata.category(c) in _UNTYPED for c in text):
        raise WeakPassword(
            "That password has characters that cannot be typed; paste it without line breaks.",
            field="password",
        )
    if len(text.encode()) > LONGEST:
        raise WeakPassword("A password has at most 1000 bytes.", field="password")
    return text


# Controls (NUL among them), lone surrogates, and code points that no character has.
_UNTYPED = {"Cc", "Cs", "Cn"}


def _own(text: str, names: tuple[str, ...]) -> int:
    """Count what remains of `text` once everything is taken out that anybody would guess."""
    rest = "".join(c for c in text.casefold() if c.isalnum())
    guessable = {"".join(c for c in name.casefold() if c.isalnum()) for name in names}
    for word in sorted(guessable | _common(), key=len, reverse=True):
        if len(word) > 2:  # noqa: PLR2004 - a handle of two letters occurs in every sentence
            rest = rest.replace(word, "")
    return len(rest)


@cache
def _common() -> frozenset[str]:
    source = Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in source.split() if not line.startswith("#"))


def _matches(digest: str, text: str) -> bool:
    try:
        return _argon2.verify(digest, text)
    except (VerificationError, InvalidHashError):
        return False
