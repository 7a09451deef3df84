"""Claims: what a client is told of a member, here and nowhere else, and the ID Token that carries some of it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from coop import sealing
from coop.authorization import scopes
from coop.authorization.clients import Client
from coop.authorization.facts import Facts, Family, KnownClient, Profile
from coop.membership.entitlements import Entitlement
from coop.networks import subjects
from coop.settings import Settings

ID_TOKEN_LIFETIME = timedelta(hours=1)
JWT_ACCESS_LIFETIME = timedelta(minutes=5)
"""Of access tokens that services read by themselves: they cannot be taken back before."""
SUPPORTED = (
    "sub iss aud exp iat auth_time nonce acr amr at_hash sid preferred_username name email email_verified membership "
    "membership_until groups entitlements".split()
)
ACR_SINGLE = "aal1"
ACR_STRONG = "aal2"
"""Authenticator assurance as NIST SP 800-63B-4 counts it; a passkey that verified its user is two factors."""

Claims = dict[str, object]


def subject(settings: Settings, client: Client | KnownClient, account_id: UUID) -> str:
    """Return the subject identifier by which every client of one sector, and no other, knows the account."""
    return subjects.derive(settings, client.sector, account_id)


def sid(settings: Settings, client: Client | KnownClient, session_id: UUID) -> str:
    """Return the identifier of a browser session for clients of one sector; those of another cannot match it."""
    message = client.sector.encode() + b"\x00" + session_id.bytes
    mac = hmac.digest(sealing.key_for(settings, "session identifier"), message, "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def acr(amr: tuple[str, ...] | list[str]) -> str:
    """Return the assurance of a sign-in by these methods (RFC 8176)."""
    return ACR_STRONG if {"mfa", "user", "hwk", "swk"} & set(amr) else ACR_SINGLE


def of_standing(entitled: Entitlement) -> Claims:
    """Return what an entitlement tells."""
    told: Claims = {
        "membership": entitled.membership,
        "groups": list(entitled.groups),
        "entitlements": list(entitled.entitlements),
    }
    if entitled.until is not None:
        told["membership_until"] = entitled.until.isoformat()
    return told


def of_profile(profile: Profile | None, granted: Iterable[str], single: Iterable[str] = ()) -> Claims:
    """Return the claims of a person that they decided to share, within what was `granted`, and any `single` ones."""
    if profile is None or profile.withdrawn_at is not None:
        return {}
    shared: Claims = {"preferred_username": profile.name}
    if profile.shares_display_name and profile.display_name:
        shared["name"] = profile.display_name
    if profile.shares_email and profile.email:
        shared["email"] = profile.email
        shared["email_verified"] = profile.email_verified_at is not None
    opened = scopes.claims_of(granted) | set(single)
    return {claim: value for claim, value in shared.items() if claim in opened}


def asked(family: Family, place: str) -> tuple[str, ...]:
    """Return the claims of a person that the `claims` parameter asked for at a `place` (`userinfo`, `id_token`)."""
    named = (family.claims or {}).get(place)
    return tuple(str(claim) for claim in named) if isinstance(named, list) else ()


def userinfo(settings: Settings, client: KnownClient, family: Family, facts: Facts, scope: str) -> Claims:
    """Return the answer of the UserInfo endpoint (OpenID Connect Core, section 5.3)."""
    return {
        "sub": subject(settings, client, family.account_id),
        **of_profile(facts.profile, scopes.words(scope), asked(family, "userinfo")),
        **of_standing(facts.entitled),
    }


def id_token(
    settings: Settings,
    wall: datetime,
    client: KnownClient,
    family: Family,
    facts: Facts,
    access_token: str,
    *,
    scope: str,
    first: bool,
) -> Claims:
    """Return what the ID Token beside `access_token` says, within the same `scope`; its nonce only travels in the `first` one."""
    issued = int(wall.timestamp())
    told: Claims = {
        "iss": settings.issuer,
        "sub": subject(settings, client, family.account_id),
        "aud": client.client_id,
        "iat": issued,
        "exp": issued + int(ID_TOKEN_LIFETIME.total_seconds()),
        "auth_time": int(family.authenticated_at.timestamp()),
        "acr": _acr(family),
        "amr": family.amr_methods,
        "sid": sid(settings, client, family.session_id),
        "at_hash": _half_hash(access_token, client.id_token_algorithm),
        **of_standing(facts.entitled),
    }
    if first and family.nonce is not None:
        told["nonce"] = family.nonce
    granted = scopes.words(scope) if client.profile_in_id_token else ()
    return told | of_profile(facts.profile, granted, asked(family, "id_token"))


def access_token(
    settings: Settings,
    wall: datetime,
    client: KnownClient,
    family: Family | None,
    entitled: Entitlement,
    scope: str,
) -> Claims:
    """Return what an access token says that a network's services read by themselves (RFC 9068).

    Without a family the client acts in its own name, and is its own subject. Nothing in it tells who paid.
    """
    told: Claims = {
        "iss": settings.issuer,
        # Nobody named a resource (RFC 8707 is not offered), so the token is for what the issuer itself serves.
        "aud": settings.issuer,
        "sub": client.client_id if family is None else subject(settings, client, family.account_id),
        "client_id": client.client_id,
        "iat": int(wall.timestamp()),
        "exp": int((wall + JWT_ACCESS_LIFETIME).timestamp()),
        "jti": secrets.token_urlsafe(16),
    }
    if scope:
        told["scope"] = scope
    if family is not None:
        told |= {
            "auth_time": int(family.authenticated_at.timestamp()),
            "acr": _acr(family),
            "groups": list(entitled.groups),
            "entitlements": list(entitled.entitlements),
        }
    return told


def _acr(family: Family) -> str:
    """Return the assurance that is told: of the sign-in, or the lower one that the client asked for by its value."""
    return str((family.claims or {}).get("acr", acr(family.amr_methods)))


def _half_hash(token: str, algorithm: str) -> str:
    # OpenID Connect Core, section 3.1.3.6: by the hash of the signature, which for Ed25519 is SHA-512 (RFC 8032).
    digest = hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256
    whole = digest(token.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()
