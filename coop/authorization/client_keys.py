"""Keys of clients: what they registered, or publish at an address of theirs (RFC 7517), to prove their assertions by."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
import msgspec
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from coop.clock import Clock
from coop.errors import CoopError
from coop.fetching import Fetcher
from coop.settings import Settings

ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA")
"""Signatures by which a client may prove itself: never `none`, and no secret that we would have to keep readable."""

KEPT = timedelta(minutes=5)
"""How long a fetched set of keys is trusted without being looked at again."""
REST = timedelta(seconds=30)
"""How long an address is left alone after it was called in vain, however many unknown keys are presented meanwhile."""
LARGEST = 64_000
MOST_KEYS = 20
_MOST_ADDRESSES = 1000
_SHORTEST_RSA = 2048
_TOO_LONG_RSA = 8192

Key = ECKey | OKPKey | RSAKey
_KINDS: dict[str, type[ECKey] | type[OKPKey] | type[RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_CURVES = {"EC": "P-256", "OKP": "Ed25519"}
_KIND_OF_ALGORITHM = {"ES256": "EC", "RS256": "RSA", "PS256": "RSA", "EdDSA": "OKP"}
# Of every kind of key (RFC 7518, section 6): what only its owner may know. A symmetric key is nothing else.
_PRIVATE = frozenset("d p q dp dq qi oth k".split())


class Signatures(JWSRegistry):
    """The algorithms above, and no warning of EdDSA, whose old name is what applications write (RFC 9864)."""

    def __init__(self) -> None:
        # Names in the header that we do not use are no fault (RFC 7515, section 4).
        super().__init__(algorithms=ALGORITHMS, strict_check_header=False)

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return what verifies signatures of the algorithm `name`."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


SIGNATURES = Signatures()


class BadKeys(ValueError):
    """The document is no set of public keys that we could verify anything by."""


@dataclass(slots=True)
class _Published:
    """What an address said when it was last asked; nothing, if it was not understood."""

    keys: Sequence[Key] = ()
    asked_at: datetime | None = None
    in_vain_at: datetime | None = None
    """When it was asked for a key that was not there."""
    asking: anyio.Lock = field(default_factory=anyio.Lock)


class ClientKeys:
    """Finds the keys of clients, calling their addresses through the guarded client, outside every unit of work.

    One for each process; two processes that remember different moments only call an address once each.
    """

    def __init__(self, settings: Settings, clock: Clock):
        """Take from `settings` which addresses may be called."""
        self._settings = settings
        self._clock = clock
        self._published: dict[str, _Published] = {}

    async def of(self, address: str, algorithm: str, kid: str | None, *, in_vain: bool = False) -> list[Key]:
        """Return the keys published at `address` by which a signature of this `algorithm` and key name can be verified.

        With `in_vain`, those that are known already did not verify it: the client may have changed a key and kept its name.
        """
        published = self._published.setdefault(address, _Published())
        while len(self._published) > _MOST_ADDRESSES:
            del self._published[next(iter(self._published))]
        async with published.asking:
            wall = self._clock.wall()
            stale = published.asked_at is None or wall - published.asked_at >= KEPT
            # A key that is not known yet may be a fresh one, but whoever makes names up must not make us call for each.
            rested = published.in_vain_at is None or wall - published.in_vain_at >= REST
            lacking = in_vain or not fitting(published.keys, algorithm, kid)
            if stale or (lacking and rested):
                published.keys = await self._fetch(address)
                published.asked_at = wall
                found = fitting(published.keys, algorithm, kid)
                published.in_vain_at = wall if in_vain or not found else None
            return fitting(published.keys, algorithm, kid)

    async def _fetch(self, address: str) -> list[Key]:
        try:
            async with Fetcher(self._settings) as fetcher:
                answer = await fetcher.send(
                    "GET",
                    address,
                    headers={"Accept": "application/jwk-set+json, application/json"},
                    most=LARGEST,
                )
            return read(msgspec.json.decode(answer.body)) if answer.status == 200 else []  # noqa: PLR2004 - OK
        except (CoopError, BadKeys, msgspec.DecodeError, RecursionError):
            return []


def read(document: object) -> list[Key]:
    """Return the keys of a JWK set that can verify a signature; what else it holds is passed over (RFC 7517, section 5).

    Raises `BadKeys` if it is no set, or if it gives a secret away.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise BadKeys("A JWK set is an object with up to 20 keys.")
    if not all(isinstance(jwk, dict) for jwk in listed):
        raise BadKeys("Each key of a JWK set is an object.")
    if any(jwk.get("kty") == "oct" or _PRIVATE & set(jwk) for jwk in listed):
        raise BadKeys("A JWK set of a client holds public keys only.")
    return [key for jwk in listed if (key := _imported(jwk)) is not None]


def fitting(keys: Sequence[Key], algorithm: str, kid: str | None) -> list[Key]:
    """Return those of `keys` by which a signature of this `algorithm` and key name can be verified."""
    return [
        key
        for key in keys
        if key.key_type == _KIND_OF_ALGORITHM.get(algorithm)
        and key.get("alg") in {None, algorithm}
        and (kid is None or key.get("kid") == kid)
    ]


def _imported(jwk: dict[str, object]) -> Key | None:
    kind = str(jwk.get("kty"))
    if kind not in _KINDS or jwk.get("use", "sig") != "sig" or jwk.get("crv") != _CURVES.get(kind):
        return None
    try:
        # Only strings are what a signature needs; certificates and the like would have to be judged.
        key = _KINDS[kind].import_key({name: value for name, value in jwk.items() if isinstance(value, str)})
        public = key.public_key
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    bits = getattr(public, "key_size", _SHORTEST_RSA) if kind == "RSA" else _SHORTEST_RSA
    return key if _SHORTEST_RSA <= bits <= _TOO_LONG_RSA else None
