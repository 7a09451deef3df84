"""Passkeys: WebAuthn ceremonies whose challenges live in the database, expire, and serve once.

A browser offers passkeys only to a host that has a name: the relying party is the issuer's host, and an issuer at a
bare IP address (the demo's 127.0.0.1) has none.
"""

import base64
import ipaddress
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, NotFound, Refused
from coop.identity import accounts, sessions
from coop.identity.accounts import Account
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units, new_id

LIFETIME = timedelta(minutes=5)
MOST = 20
"""Passkeys of one account; more is a mistake or a mischief."""
LARGEST = 20_000
"""Characters of an authenticator's response."""

Purpose = Literal["join", "add", "sign_in"]


class Passkey(Base):
    """One authenticator that may sign an account in; the private half never leaves the person's device."""

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True, repr=False)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(), repr=False)
    sign_count: Mapped[int]
    synced: Mapped[bool]
    transports: Mapped[list[str]] = mapped_column(JSON)
    name: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None] = mapped_column(default=None)


class Challenge(Base):
    """A ceremony that has begun; taking its row is the only way to finish it, and it can be taken once."""

    __tablename__ = "passkey_challenges"

    challenge: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)
    purpose: Mapped[str] = mapped_column(String(10))
    account_id: Mapped[UUID | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class NoPasskeys(Refused):
    """Passkeys need a host with a name, and this service runs at a bare address; use a password."""

    code = "no_passkeys"


class BadPasskey(Invalid):
    """That passkey could not be used here. Try again, or use another way to sign in."""

    code = "bad_passkey"
    title = "That passkey could not be used"


class LastWayIn(Refused):
    """This passkey is the only way into the account; add another one or a password first."""

    code = "last_way_in"


class NoPasskey(NotFound):
    """There is no such passkey."""

    code = "no_passkey"


@dataclass(frozen=True, slots=True)
class Ceremony:
    """A challenge that was taken, the answer to it, and the account that it was made for."""

    challenge: bytes
    response: str
    account_id: UUID | None


def relying_party(settings: Settings) -> str | None:
    """Return the relying party's identifier, or nothing where browsers would refuse it."""
    host = urlsplit(settings.issuer).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


async def begin_registration(work: UnitOfWork, *, purpose: Purpose, account_id: UUID, handle: str) -> str:
    """Return the options, as JSON, for making a passkey of this account; the account may be yet to come."""
    held = await of_account(work, account_id)
    if len(held) >= MOST:
        raise Refused("An account has at most 20 passkeys; remove one first.")
    challenge = _challenge(work, purpose, account_id)
    import webauthn  # noqa: PLC0415 - ten megabytes, for attestations of every make: who needs none carries none
    from webauthn.helpers import options_to_json, structs  # noqa: PLC0415

    return options_to_json(
        webauthn.generate_registration_options(
            rp_id=_party(work.settings),
            rp_name=work.settings.name,
            user_id=account_id.bytes,
            user_name=handle,
            user_display_name=handle,
            challenge=challenge,
            timeout=int(LIFETIME.total_seconds() * 1000),
            # Discoverable and verified by PIN or body: one touch is both factors, and nobody types a name.
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=key.credential_id) for key in held],
        )
    )


async def begin_sign_in(work: UnitOfWork) -> str:
    """Return the options, as JSON, for signing in; they name no account, so they tell of none."""
    import webauthn  # noqa: PLC0415 - as above
    from webauthn.helpers import options_to_json, structs  # noqa: PLC0415

    return options_to_json(
        webauthn.generate_authentication_options(
            rp_id=_party(work.settings),
            challenge=_challenge(work, "sign_in", None),
            timeout=int(LIFETIME.total_seconds() * 1000),
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
    )


async def take(units: Units, response: str, *, purpose: Purpose, account_id: UUID | None = None) -> Ceremony:
    """Take the challenge that `response` answers, in a unit of its own: right or wrong, it is spent."""
    challenge = _answered(response)
    taken = delete(Challenge).where(Challenge.challenge == challenge, Challenge.purpose == purpose)
    if account_id is not None:
        taken = taken.where(Challenge.account_id == account_id)
    async with units.open() as work:
        found = (
            await work.session.execute(
                taken.where(Challenge.expires_at > work.wall).returning(Challenge.account_id)
            )
        ).first()
    if found is None:
        raise BadPasskey("That took too long, or was used already. Try again.", field="credential")
    return Ceremony(challenge, response, found[0])


async def add(work: UnitOfWork, account: Account, ceremony: Ceremony, *, name: str = "") -> Passkey:
    """Keep the passkey that was just made for `account`."""
    import webauthn  # noqa: PLC0415 - as above
    from webauthn.helpers.structs import CredentialDeviceType  # noqa: PLC0415

    if ceremony.account_id != account.id:
        raise BadPasskey(field="credential")
    try:
        made = webauthn.verify_registration_response(
            credential=ceremony.response,
            expected_challenge=ceremony.challenge,
            expected_rp_id=_party(work.settings),
            expected_origin=work.settings.issuer,
            require_user_verification=True,
        )
        transports = json.loads(ceremony.response)["response"].get("transports", [])
    except Exception as error:  # a parser of hostile bytes fails in many ways, which all mean this
        raise BadPasskey(field="credential") from error
    key = Passkey(
        account_id=account.id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        synced=made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        transports=[str(t)[:20] for t in transports[:10]] if isinstance(transports, list) else [],
        name=_named(name),
        created_at=work.wall,
    )
    try:
        async with work.session.begin_nested():
            work.session.add(key)
            await work.session.flush()
    except IntegrityError as error:
        raise BadPasskey("That passkey is in use already.", field="credential") from error
    return key


async def verify(work: UnitOfWork, ceremony: Ceremony) -> Passkey:
    """Return the passkey whose holder signed the challenge, having noted its counter."""
    import webauthn  # noqa: PLC0415 - as above

    try:
        claimed = json.loads(ceremony.response)
        credential_id = _decoded(claimed["rawId"])
        owner = UUID(bytes=_decoded(claimed["response"]["userHandle"]))
    except Exception as error:  # a parser of hostile bytes fails in many ways, which all mean this
        raise BadPasskey(field="credential") from error
    key = await work.session.scalar(
        select(Passkey).where(Passkey.credential_id == credential_id, Passkey.account_id == owner)
    )
    if key is None:
        raise BadPasskey("This service does not know that passkey.", field="credential")
    try:
        signed = webauthn.verify_authentication_response(
            credential=ceremony.response,
            expected_challenge=ceremony.challenge,
            expected_rp_id=_party(work.settings),
            expected_origin=work.settings.issuer,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except Exception as error:  # as above
        raise BadPasskey(field="credential") from error
    # Guarded by the counter that was checked: a copy of the authenticator that signs at the same moment is caught.
    noted = await work.session.execute(
        update(Passkey)
        .where(Passkey.id == key.id, Passkey.sign_count == key.sign_count)
        .values(sign_count=signed.new_sign_count, last_used_at=work.wall)
        .returning(Passkey.id)
    )
    if noted.first() is None:
        raise BadPasskey(field="credential")
    return key


def methods(key: Passkey) -> tuple[str, ...]:
    """Return the authentication methods (RFC 8176) that a sign-in with `key` proves."""
    return ("swk" if key.synced else "hwk", "user", "mfa")


async def of_account(work: UnitOfWork, account_id: UUID) -> list[Passkey]:
    """Return the passkeys of an account, the oldest first."""
    return list(
        await work.session.scalars(
            select(Passkey).where(Passkey.account_id == account_id).order_by(Passkey.created_at, Passkey.id)
        )
    )


async def remove(work: UnitOfWork, account_id: UUID, passkey_id: UUID, *, keep: UUID | None = None) -> None:
    """Forget a passkey, unless it is the last way into the account; every browser but the one to `keep` is signed out.

    The device that held it may be lost, and nobody can tell which browsers were signed in with it.
    """
    # Held, so that of two passkeys removed at once one stays.
    account = await accounts.hold(work, account_id)
    if account.password_digest is None and await _count(work, account_id) < 2:  # noqa: PLR2004 - this one and another
        raise LastWayIn
    removed = await work.session.execute(
        delete(Passkey)
        .where(Passkey.id == passkey_id, Passkey.account_id == account_id)
        .returning(Passkey.id)
    )
    if removed.first() is None:
        raise NoPasskey
    await sessions.end_with_credential(work, account_id, keep=keep)


async def _count(work: UnitOfWork, account_id: UUID) -> int:
    held = await work.session.scalar(
        select(func.count()).select_from(Passkey).where(Passkey.account_id == account_id)
    )
    return held or 0


def _party(settings: Settings) -> str:
    party = relying_party(settings)
    if party is None:
        raise NoPasskeys
    return party


def _challenge(work: UnitOfWork, purpose: Purpose, account_id: UUID | None) -> bytes:
    challenge = secrets.token_bytes(32)
    work.session.add(
        Challenge(
            challenge=challenge, purpose=purpose, account_id=account_id, expires_at=work.wall + LIFETIME
        )
    )
    return challenge


def _answered(response: str) -> bytes:
    """Return the challenge that the browser says it answers; it proves nothing until the signature is verified."""
    try:
        client_data = json.loads(_decoded(json.loads(response)["response"]["clientDataJSON"]))
        challenge, framed = _decoded(client_data["challenge"]), client_data.get("crossOrigin")
    except Exception as error:  # a parser of hostile bytes fails in many ways, which all mean this
        raise BadPasskey(field="credential") from error
    if framed:
        raise BadPasskey(field="credential")
    return challenge


def _named(name: str) -> str:
    return " ".join(name.replace("\0", "").split())[:60] or "Passkey"


def _decoded(text: str) -> bytes:
    """Return what base64url without padding spells; too much padding does no harm."""
    return base64.urlsafe_b64decode(f"{text}===")
