"""Consents: what a member lets a client know, under which name, until they withdraw it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.authorization import grants, notices, scopes
from coop.authorization.clients import Client
from coop.authorization.facts import Profile
from coop.database import Base
from coop.errors import NotFound
from coop.identity.accounts import Account
from coop.networks import aliases, links
from coop.networks.aliases import AliasTaken
from coop.networks.moving import claiming
from coop.unit_of_work import UnitOfWork


class NoConsent(NotFound):
    """You have not connected that network, or have cut it off."""

    code = "no_consent"


class Consent(Base):
    """One member's consent to one client, to scopes and to single claims (`scope` names both). The name never changes, and outlives withdrawal, so that nobody takes it over."""

    __tablename__ = "consents"
    __table_args__ = (UniqueConstraint("client_id", "name"),)

    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    name: Mapped[str] = mapped_column(String(64))
    scope: Mapped[str] = mapped_column(String(300))
    shares_email: Mapped[bool]
    shares_display_name: Mapped[bool]
    given_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)

    def covers(self, wanted: tuple[str, ...]) -> bool:
        """Tell whether nothing in `wanted` is new."""
        given = scopes.words(self.scope)
        return self.withdrawn_at is None and set(wanted) <= {*given, *scopes.claims_of(given)}


async def of(work: UnitOfWork, client_id: UUID, account_id: UUID) -> Consent | None:
    """Return what the member once decided about the client, also if it was withdrawn since."""
    return await work.session.get(Consent, (client_id, account_id))


def profile(account: Account, consent: Consent) -> Profile:
    """Return what the member shares, for claims to be made of it."""
    return Profile(
        name=consent.name,
        shares_display_name=consent.shares_display_name,
        shares_email=consent.shares_email,
        withdrawn_at=consent.withdrawn_at,
        display_name=account.display_name,
        email=account.email,
        email_verified_at=account.email_verified_at,
    )


async def name_of(work: UnitOfWork, client: Client, account_id: UUID) -> str | None:
    """Return the name under which the client, or another one of its network, knows the account already."""
    if client.network_id is not None:
        alias = await aliases.of(work, client.network_id, account_id)
        return None if alias is None else alias.alias
    consent = await of(work, client.id, account_id)
    return None if consent is None else consent.name


async def suggested_name(work: UnitOfWork, client: Client) -> str:
    """Return a fresh name that is free where the client is at home."""
    # Without a network only the constraint on consents knows; among twelve million names a collision is rare.
    return await aliases.suggest(work, client.network_id or client.id)


@dataclass(frozen=True, slots=True)
class OldAccounts:
    """What the client's network had before it joined, as far as this member may know."""

    offered: tuple[str, ...] = ()
    """Names of accounts that the member may go on with; none once they have a name there."""
    finds_by_email: bool = False
    """Whether the network knows the member's address, and can find the account by it."""


async def old_accounts(work: UnitOfWork, client: Client, account: Account, *, named: bool) -> OldAccounts:
    """Return the accounts on the client's network that are this member's to claim, or the one that they claimed."""
    if client.network_id is None:
        return OldAccounts()
    if named:
        known = await claiming.known_by_address(work, client.network_id, account.id)
        return OldAccounts(finds_by_email=known)
    offered = tuple(await claiming.offered(work, client.network_id, account))
    return OldAccounts(offered, finds_by_email=bool(offered))


async def is_free(work: UnitOfWork, client: Client, name: str) -> bool:
    """Tell whether a name can be had where the client is at home."""
    return client.network_id is None or await aliases.free(work, client.network_id, name)


async def give(
    work: UnitOfWork,
    client: Client,
    account: Account,
    *,
    wanted: tuple[str, ...],
    name: str,
    shares_email: bool,
    shares_display_name: bool,
) -> Consent:
    """Remember that the member lets the client know all that is `wanted`, and link them to its network."""
    fixed = await name_of(work, client, account.id)
    if fixed is None:
        fixed = await _choose(work, client, account, name)
    consent = await of(work, client.id, account.id)
    if consent is None:
        consent = Consent(
            client_id=client.id,
            account_id=account.id,
            name=fixed,
            scope="",
            shares_email=False,
            shares_display_name=False,
            given_at=work.now,
        )
        try:
            async with work.session.begin_nested():
                work.session.add(consent)
        except IntegrityError as error:
            # Either the same person pressed twice, or somebody took the name in the same moment.
            consent = await of(work, client.id, account.id)
            if consent is None:
                raise AliasTaken(field="alias") from error
    former = () if consent.withdrawn_at is not None else scopes.words(consent.scope)
    consent.scope = scopes.joined(dict.fromkeys((*former, *wanted)))
    # A switch that was not shown was not touched.
    if scopes.EMAIL in wanted:
        consent.shares_email = shares_email
    if "name" in scopes.claims_of(wanted):
        consent.shares_display_name = shares_display_name
    consent.given_at = work.now
    consent.withdrawn_at = None
    if client.network_id is not None:
        await links.link(work, client.network_id, account.id)
    await work.session.flush()
    return consent


async def of_account(work: UnitOfWork, account_id: UUID) -> list[tuple[Client, Consent]]:
    """Return every client that may know something of the account, by name."""
    rows = await work.session.execute(
        select(Client, Consent)
        .join(Consent, Consent.client_id == Client.id)
        .where(Consent.account_id == account_id, Consent.withdrawn_at.is_(None))
        .order_by(Client.name, Client.id)
    )
    return [(client, consent) for client, consent in rows]


async def withdraw(work: UnitOfWork, client: Client, account_id: UUID) -> None:
    """Take the consent back: every token dies at once, and the client is told to sign the member out.

    The network loses its link unless another client has one.
    """
    consent = await of(work, client.id, account_id)
    if consent is None or consent.withdrawn_at is not None:
        return
    consent.withdrawn_at = work.now
    consent.shares_email = consent.shares_display_name = False
    await grants.revoke_for(work, account_id, client.id)
    await notices.of_client(work, client, account_id)
    await work.session.flush()
    if client.network_id is None:
        return
    others = await work.session.scalar(
        select(func.count())
        .select_from(Consent)
        .join(Client, Client.id == Consent.client_id)
        .where(
            Client.network_id == client.network_id,
            Consent.account_id == account_id,
            Consent.withdrawn_at.is_(None),
        )
    )
    if not others:
        await links.unlink(work, client.network_id, account_id)


async def share(
    work: UnitOfWork, client_id: UUID, account_id: UUID, *, email: bool, display_name: bool
) -> None:
    """Change what a client may know of what it asked for; what it did not ask for stays unshared."""
    consent = await of(work, client_id, account_id)
    if consent is None or consent.withdrawn_at is not None:
        raise NoConsent
    # A single claim may have been consented to without its scope.
    asked = scopes.claims_of(scopes.words(consent.scope))
    consent.shares_email = email and "email" in asked
    consent.shares_display_name = display_name and "name" in asked


async def _choose(work: UnitOfWork, client: Client, account: Account, name: str) -> str:
    if client.network_id is not None:
        return (await claiming.take(work, client.network_id, account, name)).alias
    if not aliases.GRAMMAR.fullmatch(name):
        raise aliases.BadAlias(field="alias")
    owner = await work.session.scalar(select(Account.id).where(Account.handle == name))
    if owner not in {None, account.id}:
        raise AliasTaken(field="alias")
    return name
