"""Signing: key pairs, JWTs in the compact serialization (RFC 7515), and the recognition of our own signatures.

Keys are made, published and verified through joserfc. The signature itself is asked of `cryptography` directly: every
sign-in waits for it, and what a general library checks of a header is known of ours.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jws
from joserfc._rfc7515.model import JWSAlgModel
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, KeyParameters, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

ALGORITHMS = ("ES256", "RS256", "EdDSA")
_RSA_BITS = 2048
_COORDINATE = 32
"""Bytes of each half of an ES256 signature (RFC 7518, section 3.4)."""

Key = ECKey | OKPKey | RSAKey
_KINDS: dict[str, type[ECKey] | type[OKPKey] | type[RSAKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}


class NotOurs(Exception):
    """A token that cannot be read, or that the key does not verify."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key that was opened."""

    algorithm: str
    kid: str
    signature: Callable[[bytes], bytes]

    def jwt(self, claims: Mapping[str, object], *, kind: str) -> str:
        """Return `claims` as a JWT whose `typ` is `kind`."""
        signed = _header(self.algorithm, self.kid, kind) + b"." + text(msgspec.json.encode(claims))
        return (signed + b"." + text(self.signature(signed))).decode()


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a token says that we signed once."""

    kind: str
    claims: dict[str, object]


def generate(algorithm: str) -> Key:
    """Make a key pair; its `kid` is the thumbprint of the public half (RFC 7638). An RSA pair takes a while."""
    use: KeyParameters = {"use": "sig", "alg": algorithm}
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", use, auto_kid=True)
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", use, auto_kid=True)
    return RSAKey.generate_key(_RSA_BITS, use, auto_kid=True)


def opened(algorithm: str, kid: str, pem: bytes) -> Signer:
    """Return what signs with the private key in `pem`."""
    return Signer(algorithm, kid, _signature(serialization.load_pem_private_key(pem, None)))


def kid_of(token: str) -> str | None:
    """Return the identifier of the key by which a token says it was signed; it proves nothing yet."""
    try:
        kid = jws.extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError):
        return None
    return kid if isinstance(kid, str) else None


def recognise(token: str, algorithm: str, public: Mapping[str, str]) -> Recognised:
    """Return what `token` says, if the key whose public half is given signed it by just this algorithm."""
    key = _KINDS[public["kty"]].import_key(dict(public))
    try:
        read = jws.deserialize_compact(token, key, registry=_Registry(algorithms=[algorithm]))
        claims = msgspec.json.decode(read.payload, type=dict[str, object])
    except (JoseError, ValueError, msgspec.MsgspecError) as error:
        raise NotOurs from error
    return Recognised(str(read.headers().get("typ", "JWT")), claims)


def text(value: bytes) -> bytes:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=")


class _Registry(JWSRegistry):
    """What joserfc may verify with; it would warn of the name EdDSA, which OpenID Connect clients still know it by."""

    def get_alg(self, name: str) -> JWSAlgModel:
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


@lru_cache(maxsize=64)
def _header(algorithm: str, kid: str, kind: str) -> bytes:
    return text(msgspec.json.encode({"alg": algorithm, "kid": kid, "typ": kind}))


def _signature(key: object) -> Callable[[bytes], bytes]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    if isinstance(key, ec.EllipticCurvePrivateKey):
        by_curve, sha256 = key, ec.ECDSA(hashes.SHA256())

        def halves(signed: bytes) -> bytes:
            r, s = decode_dss_signature(by_curve.sign(signed, sha256))
            return r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)

        return halves
    if isinstance(key, rsa.RSAPrivateKey):
        by_rsa, pkcs1 = key, padding.PKCS1v15()
        return lambda signed: by_rsa.sign(signed, pkcs1, hashes.SHA256())
    raise TypeError(f"a {type(key).__name__} signs by none of our algorithms")
