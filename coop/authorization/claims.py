"""Claims: what a client is told of a member, here and nowhere else, and the ID Token that carries some of it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from coop import sealing
from coop.authorization import consents, keys, scopes
from coop.authorization.clients import Client
from coop.authorization.consents import Consent
from coop.authorization.grants import Grant
from coop.authorization.presented import Family, KnownClient
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.membership import entitlements
from coop.membership.entitlements import Entitlement
from coop.networks import subjects
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

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


async def standing(work: UnitOfWork, account_id: UUID) -> Claims:
    """Return what every network learns of a membership; nothing in it tells who paid."""
    return of_standing(await entitlements.of(work, account_id))


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


def of_profile(
    account: Account, consent: Consent | None, granted: Iterable[str], single: Iterable[str] = ()
) -> Claims:
    """Return the claims of a person that they decided to share, within what was `granted`, and any `single` ones."""
    if consent is None or consent.withdrawn_at is not None:
        return {}
    shared: Claims = {"preferred_username": consent.name}
    if consent.shares_display_name and account.display_name:
        shared["name"] = account.display_name
    if consent.shares_email and account.email:
        shared["email"] = account.email
        shared["email_verified"] = account.email_verified_at is not None
    opened = scopes.claims_of(granted) | set(single)
    return {claim: value for claim, value in shared.items() if claim in opened}


def asked(grant: Grant | Family | None, place: str) -> tuple[str, ...]:
    """Return the claims of a person that the `claims` parameter asked for at a `place` (`userinfo`, `id_token`)."""
    named = (grant.claims or {}).get(place) if grant is not None else None
    return tuple(str(claim) for claim in named) if isinstance(named, list) else ()


async def userinfo(
    work: UnitOfWork,
    client: Client | KnownClient,
    account_id: UUID,
    granted: Iterable[str],
    single: Iterable[str] = (),
) -> Claims:
    """Return the answer of the UserInfo endpoint (OpenID Connect Core, section 5.3)."""
    account = await accounts.get(work, account_id)
    consent = await consents.of(work, client.id, account_id)
    return {
        "sub": subject(work.settings, client, account_id),
        **of_profile(account, consent, granted, single),
        **await standing(work, account_id),
    }


async def id_token(
    work: UnitOfWork, client: Client | KnownClient, grant: Family, access_token: str, *, first: bool
) -> str:
    """Return the signed ID Token; its nonce only travels in the `first` one, not with refreshed tokens."""
    issued = int(work.wall.timestamp())
    told: Claims = {
        "iss": work.settings.issuer,
        "sub": subject(work.settings, client, grant.account_id),
        "aud": client.client_id,
        "iat": issued,
        "exp": issued + int(ID_TOKEN_LIFETIME.total_seconds()),
        "auth_time": int(grant.authenticated_at.timestamp()),
        "acr": _acr(grant),
        "amr": grant.amr_methods,
        "sid": sid(work.settings, client, grant.session_id),
        "at_hash": _half_hash(access_token, client.id_token_algorithm),
        **await standing(work, grant.account_id),
    }
    if first and grant.nonce is not None:
        told["nonce"] = grant.nonce
    granted = scopes.words(grant.scope) if client.profile_in_id_token else ()
    single = asked(grant, "id_token")
    if granted or single:
        account = await accounts.get(work, grant.account_id)
        consent = await consents.of(work, client.id, grant.account_id)
        told |= of_profile(account, consent, granted, single)
    return await keys.sign(work, client.id_token_algorithm, told)


def of_access_token(
    settings: Settings,
    wall: datetime,
    client: Client | KnownClient,
    grant: Family | None,
    entitled: Entitlement,
    scope: str,
) -> Claims:
    """Return what an access token says that a network's services read by themselves (RFC 9068).

    Without a grant the client acts in its own name, and is its own subject. Nothing in it tells who paid.
    """
    told: Claims = {
        "iss": settings.issuer,
        # Nobody named a resource (RFC 8707 is not offered), so the token is for what the issuer itself serves.
        "aud": settings.issuer,
        "sub": client.client_id if grant is None else subject(settings, client, grant.account_id),
        "client_id": client.client_id,
        "iat": int(wall.timestamp()),
        "exp": int((wall + JWT_ACCESS_LIFETIME).timestamp()),
        "jti": secrets.token_urlsafe(16),
    }
    if scope:
        told["scope"] = scope
    if grant is not None:
        told |= {
            "auth_time": int(grant.authenticated_at.timestamp()),
            "acr": _acr(grant),
            "groups": list(entitled.groups),
            "entitlements": list(entitled.entitlements),
        }
    return told


async def access_token(
    work: UnitOfWork,
    client: Client | KnownClient,
    grant: Family | None,
    entitled: Entitlement,
    scope: str,
) -> str:
    """Return such a token, signed."""
    told = of_access_token(work.settings, work.wall, client, grant, entitled, scope)
    return await keys.sign(work, client.id_token_algorithm, told, kind="at+jwt")


def _acr(grant: Family) -> str:
    """Return the assurance that is told: of the sign-in, or the lower one that the client asked for by its value."""
    return str((grant.claims or {}).get("acr", acr(grant.amr_methods)))


def _half_hash(token: str, algorithm: str) -> str:
    # OpenID Connect Core, section 3.1.3.6: by the hash of the signature, which for Ed25519 is SHA-512 (RFC 8032).
    digest = hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256
    whole = digest(token.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()
