"""A relying party that proves itself by a key of its own (private_key_jwt)."""

from dataclasses import dataclass, field
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from coop.authorization import client_assertions
from coop.authorization.client_keys import SIGNATURES
from coop.unit_of_work import Units
from tests.conftest import ISSUER, START
from tests.protocol.relying_party import RelyingParty, register

Key = ECKey | OKPKey | RSAKey


def new_key(algorithm: str = "ES256", kid: str = "first") -> Key:
    """Return a key pair of the kind that `algorithm` needs."""
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", {"kid": kid})
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", {"kid": kid})
    return RSAKey.generate_key(2048, {"kid": kid})


def published(*keys: Key) -> dict[str, object]:
    """Return the JWK set that a client shows of its keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


@dataclass
class SigningParty(RelyingParty):
    """A client with a key; every request carries a fresh assertion."""

    key: Key = field(default_factory=new_key)
    algorithm: str = "ES256"

    def assertion(self, *, header: dict[str, object] | None = None, **changes: object) -> str:
        """Return a good assertion, changed; None leaves a claim out."""
        now = START.timestamp()
        good: dict[str, object] = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": ISSUER,
            "iat": int(now),
            "exp": int(now) + 60,
            "jti": uuid4().hex,
        }
        claims = {name: value for name, value in (good | changes).items() if value is not None}
        head = {"alg": self.algorithm, "kid": self.key.kid} | (header or {})
        return jwt.encode(
            {k: v for k, v in head.items() if v is not None}, claims, self.key, registry=SIGNATURES
        )

    async def post(self, path: str, **form: str | None) -> httpx.Response:
        """Send a form with the client's proof, unless the form brings one."""
        proof = {"client_assertion_type": client_assertions.TYPE, "client_assertion": self.assertion()}
        sent = {name: value for name, value in (proof | form).items() if value is not None}
        return await self.wire.post(path, data=sent)


async def register_signing(
    units: Units,
    browser: httpx.AsyncClient,
    wire: httpx.AsyncClient,
    *,
    algorithm: str = "ES256",
    jwks_uri: str | None = None,
    key: Key | None = None,
    host: str = "signing.example",
) -> SigningParty:
    """Register a network whose client signs."""
    key = key or new_key(algorithm)
    keys: dict[str, object] = {"jwks_uri": jwks_uri} if jwks_uri else {"jwks": published(key)}
    plain = await register(units, browser, wire, host=host, auth_method="private_key_jwt", **keys)
    return SigningParty(
        plain.http,
        plain.wire,
        plain.client_id,
        None,
        plain.redirect_uri,
        plain.auth_method,
        {},
        key,
        algorithm,
    )
