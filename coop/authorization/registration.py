"""Registration: software introduces itself (RFC 7591), in a demo only, and manages what it said (RFC 7592)."""

import hmac
import secrets
from datetime import timedelta

import msgspec
from sqlalchemy import delete, func, select, update

from coop.authorization import client_metadata, clients
from coop.authorization.client_assertions import UsedAssertion
from coop.authorization.client_metadata import BadRegistration, ClientMetadata, Correction
from coop.authorization.clients import BadClientMetadata, Client, digest
from coop.authorization.consents import Consent
from coop.authorization.grants import Grant
from coop.authorization.tokens import AccessToken, RefreshToken
from coop.errors import Invalid, NotAllowed, NotSignedIn, TooMany, Unavailable
from coop.fetching import Fetcher, check_url
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

PATH = "/oauth/register"
TOKEN_PREFIX = "coop_rat_"  # noqa: S105 - by which leaked tokens are found
MOST_AN_HOUR = 2000
LARGEST_SECTOR = 64_000


class RegistrationClosed(NotAllowed):
    """Software cannot introduce itself here; a steward registers networks."""

    code = "registration_closed"


class BadRegistrationToken(NotSignedIn):
    """The registration access token is not the one of this client."""

    code = "invalid_token"


async def admit(work: UnitOfWork) -> None:
    """Refuse software that nobody invited, or too much of it."""
    if not work.settings.demo:
        raise RegistrationClosed
    recent = await work.session.scalar(
        select(func.count())
        .select_from(Client)
        .where(Client.self_registered.is_(True), Client.created_at > work.wall - timedelta(hours=1))
    )
    if (recent or 0) >= MOST_AN_HOUR:
        raise TooMany(retry_after=3600)


async def check_sector(settings: Settings, told: ClientMetadata) -> None:
    """Read the document that joins several hosts into one sector (OpenID Connect Registration, section 5).

    It is fetched, so this comes before the unit of work. Were it not checked, anybody could claim the sector of a stranger,
    and with it the subjects by which people are known there.
    """
    address = told.sector_identifier_uri
    if address is None:
        return
    try:
        check_url(address, settings)
        async with Fetcher(settings) as fetcher:
            answer = await fetcher.send(
                "GET", address, headers={"Accept": "application/json"}, most=LARGEST_SECTOR
            )
        listed = msgspec.json.decode(answer.body, type=list[str])
    except (Invalid, Unavailable, msgspec.DecodeError, RecursionError) as error:
        raise BadClientMetadata(
            "sector_identifier_uri leads to no list of addresses that we can read."
        ) from error
    if answer.status != 200 or not set(told.redirect_uris) <= set(listed):  # noqa: PLR2004 - OK
        raise BadClientMetadata("Every redirect URI must be listed at sector_identifier_uri.")


async def register(work: UnitOfWork, told: ClientMetadata) -> dict[str, object]:
    """Register the client and return what it is told: its identifier, its secret once, and what we understood."""
    await admit(work)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    described = client_metadata.describe(told, work.settings)
    client, secret = await clients.add(work, described, registration_token=token)
    return _told(work.settings, client, secret, token)


async def managed(work: UnitOfWork, client_id: str, token: str) -> Client:
    """Return the client whose own registration access token this is; an unknown client and a wrong token look the same."""
    client = await clients.find(work, client_id)
    expected = client.registration_digest if client is not None else None
    if not hmac.compare_digest(expected or bytes(32), digest(token)) or client is None:
        raise BadRegistrationToken
    return client


def look(work: UnitOfWork, client: Client, token: str) -> dict[str, object]:
    """Return what is registered; the secret is kept as a digest, so it is not said again (RFC 7592, section 3)."""
    return _told(work.settings, client, None, token)


async def replace(
    work: UnitOfWork, client: Client, token: str, told: ClientMetadata, proof: Correction
) -> dict[str, object]:
    """Replace all metadata of the client, leaving its registration access token as it is (RFC 7592, section 2.2)."""
    if proof.client_id != client.client_id:
        raise BadRegistration("client_id is the one of the client that is changed.", field="client_id")
    if proof.client_secret is not None and not client.proves(proof.client_secret):
        raise BadRegistration("client_secret is the present one, or left out.", field="client_secret")
    former = client.sector
    secret = await clients.change(work, client, client_metadata.describe(told, work.settings))
    if client.sector != former:
        # Tokens of the old sector would be answered with subjects of the new one, which tells who is who.
        await _end_grants(work, client)
    return _told(work.settings, client, secret, token)


async def remove(work: UnitOfWork, client: Client) -> None:
    """Forget the client and all that was ever granted to it (RFC 7592, section 2.3).

    Tokens that it has in its own name open nothing without it, and are forgotten once they have expired.
    """
    granted = select(Grant.id).where(Grant.client_id == client.id)
    for token in (RefreshToken, AccessToken):
        await work.session.execute(delete(token).where(token.grant_id.in_(granted)))
    for owned in (Grant, Consent, UsedAssertion):
        await work.session.execute(delete(owned).where(owned.client_id == client.id))
    await work.session.delete(client)
    await work.session.flush()


async def _end_grants(work: UnitOfWork, client: Client) -> None:
    await work.session.execute(
        update(Grant)
        .where(Grant.client_id == client.id, Grant.revoked_at.is_(None))
        .values(revoked_at=work.wall)
    )
    await work.session.execute(
        update(Consent)
        .where(Consent.client_id == client.id, Consent.withdrawn_at.is_(None))
        .values(withdrawn_at=work.now)
    )


def _told(settings: Settings, client: Client, secret: str | None, token: str) -> dict[str, object]:
    body = client_metadata.registered(client)
    if secret is not None:
        body |= {"client_secret": secret, "client_secret_expires_at": 0}
    return body | {
        "registration_access_token": token,
        "registration_client_uri": settings.url(f"{PATH}/{client.client_id}"),
    }
