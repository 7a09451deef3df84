"""Claiming: a member takes up the account they had on a network, by their verified address or by a link from there.

Whether an address is on a list is told to nobody but the member whose verified address it is.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from coop.database import changed
from coop.errors import Refused
from coop.identity.accounts import Account
from coop.networks import aliases, networks
from coop.networks.aliases import Alias, AliasFixed, AliasTaken
from coop.networks.moving.imported import ImportedAccount, digest_of
from coop.networks.networks import Network
from coop.unit_of_work import UnitOfWork

LINK_LIFETIME = timedelta(days=30)
MOST_OFFERED = 5
"""Accounts of one address that the consent page offers; more are a list that is wrong."""


class DeadClaimLink(Refused):
    """This link has expired, or a newer one was sent instead; ask the network for another."""

    code = "dead_claim_link"


class AccountClaimed(Refused):
    """That account has been claimed by somebody else; if it is yours, tell the network."""

    code = "account_claimed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An account on a network, and the name it bears there."""

    network: Network
    alias: str


async def offered(work: UnitOfWork, network_id: UUID, account: Account) -> list[str]:
    """Return the names of the accounts there that the member's verified address opens."""
    if account.email is None or account.email_verified_at is None:
        return []
    found = await work.session.scalars(
        select(Alias.alias)
        .join(
            ImportedAccount,
            (ImportedAccount.network_id == Alias.network_id) & (ImportedAccount.folded == Alias.folded),
        )
        .where(
            ImportedAccount.network_id == network_id,
            ImportedAccount.email_digest == digest_of(work.settings, network_id, account.email),
            ImportedAccount.claimed_at.is_(None),
        )
        .order_by(Alias.folded)
        .limit(MOST_OFFERED)
    )
    return list(found)


async def take(work: UnitOfWork, network_id: UUID, account: Account, name: str) -> Alias:
    """Give a member the name they ask for: their old account's if it is offered to them, else a fresh one."""
    if name in await offered(work, network_id, account):
        try:
            return await _claim(work, network_id, aliases.folded(name), account)
        except AccountClaimed as error:
            # By a link that somebody else held, a moment ago; another name can still be chosen.
            raise AliasTaken(field="alias") from error
    return await aliases.choose(work, network_id, account.id, name)


async def behind(work: UnitOfWork, token: str) -> Waiting:
    """Return the account that a link opens; programs that fetch links do not use it up."""
    imported = await _by_token(work, token)
    alias = await work.session.get_one(Alias, (imported.network_id, imported.folded))
    return Waiting(await networks.get(work, imported.network_id), alias.alias)


async def claim(work: UnitOfWork, account: Account, token: str) -> Waiting:
    """Make the account behind a link the member's own; of several who bring the link at once, one succeeds."""
    imported = await _by_token(work, token)
    network = await networks.get(work, imported.network_id)
    if network.state != networks.ACTIVE:
        raise networks.NetworkSuspended
    alias = await _claim(work, imported.network_id, imported.folded, account)
    return Waiting(network, alias.alias)


async def issue_links(work: UnitOfWork, network_id: UUID, handle: str | None = None) -> list[tuple[str, str]]:
    """Return the name and a fresh link of every unclaimed account there, or of one; older links lead nowhere now."""
    open_ = (
        select(Alias.alias, Alias.folded)
        .join(
            ImportedAccount,
            (ImportedAccount.network_id == Alias.network_id) & (ImportedAccount.folded == Alias.folded),
        )
        .where(Alias.network_id == network_id, ImportedAccount.claimed_at.is_(None))
        .order_by(Alias.folded)
    )
    if handle is not None:
        open_ = open_.where(Alias.folded == aliases.folded(handle))
    tokens = {
        folded: (alias, secrets.token_urlsafe(32)) for alias, folded in await work.session.execute(open_)
    }
    if tokens:
        await work.session.execute(
            update(ImportedAccount),
            [
                {
                    "network_id": network_id,
                    "folded": folded,
                    "token_digest": _digest(token),
                    "token_expires_at": work.wall + LINK_LIFETIME,
                }
                for folded, (_, token) in tokens.items()
            ],
        )
    return [(alias, work.settings.url(f"/claim/{token}")) for alias, token in tokens.values()]


async def known_by_address(work: UnitOfWork, network_id: UUID, account_id: UUID) -> bool:
    """Tell whether the member claimed an account there that the network knows by their address."""
    matched = await work.session.scalar(
        select(ImportedAccount.email_matched)
        .join(
            Alias, (Alias.network_id == ImportedAccount.network_id) & (Alias.folded == ImportedAccount.folded)
        )
        .where(Alias.network_id == network_id, Alias.account_id == account_id)
    )
    return bool(matched)


async def _claim(work: UnitOfWork, network_id: UUID, folded: str, account: Account) -> Alias:
    mine = await aliases.of(work, network_id, account.id)
    if mine is None:
        try:
            async with work.session.begin_nested():
                await _win(work, network_id, folded, account)
        except IntegrityError as error:
            # The same person pressed elsewhere, too, and got a name there in this moment.
            mine = await aliases.of(work, network_id, account.id)
            if mine is None:
                raise AccountClaimed(field="alias") from error
        else:
            return await work.session.get_one(Alias, (network_id, folded), populate_existing=True)
    if mine.folded != folded:
        raise AliasFixed(field="alias")
    return mine


async def _win(work: UnitOfWork, network_id: UUID, folded: str, account: Account) -> None:
    imported = await work.session.get(ImportedAccount, (network_id, folded), populate_existing=True)
    if imported is None:
        raise AccountClaimed(field="alias")
    verified = account.email if account.email_verified_at is not None else None
    matched = verified is not None and imported.email_digest == digest_of(work.settings, network_id, verified)
    # The address has served; nothing of it is kept.
    won = await changed(
        work.session,
        update(ImportedAccount)
        .where(
            ImportedAccount.network_id == network_id,
            ImportedAccount.folded == folded,
            ImportedAccount.claimed_at.is_(None),
        )
        .values(claimed_at=work.now, email_digest=None, email_matched=matched),
    )
    if not won or not await changed(
        work.session,
        update(Alias)
        .where(Alias.network_id == network_id, Alias.folded == folded, Alias.account_id.is_(None))
        .values(account_id=account.id, chosen_at=work.now),
    ):
        raise AccountClaimed(field="alias")


async def _by_token(work: UnitOfWork, token: str) -> ImportedAccount:
    found: ImportedAccount | None = await work.session.scalar(
        select(ImportedAccount).where(
            ImportedAccount.token_digest == _digest(token), ImportedAccount.token_expires_at > work.wall
        )
    )
    if found is None:
        raise DeadClaimLink
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
