"""Importing a network's accounts: what the rehearsal found, done; a second run changes nothing."""

import itertools
from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from coop.errors import Refused
from coop.networks import aliases
from coop.networks.aliases import Alias
from coop.networks.moving import imported
from coop.networks.moving.files import Row
from coop.networks.moving.imported import ImportedAccount, digest_of
from coop.networks.moving.rehearsal import Rehearsal, rehearse
from coop.networks.networks import Network
from coop.unit_of_work import UnitOfWork

_CHUNK = 1000

_KEPT = ("email_digest", "token_digest", "token_expires_at")
"""What stays known of an account that was renamed."""

Facts = dict[str, object]
"""Columns of an imported account."""


class NamesMoved(Refused):
    """Somebody took a name on that network in the same moment; nothing was imported. Run the import again."""

    code = "names_moved"


async def carry_out(work: UnitOfWork, network_id: UUID, rows: list[Row]) -> Rehearsal:
    """Import `rows` into the network, all that can be, and say what became of each."""
    # Two imports into one network take turns; people go on choosing names, and the constraint judges between.
    await work.session.execute(
        select(Network.id).where(Network.id == network_id).with_for_update(key_share=True)
    )
    found = await rehearse(work, network_id, rows)
    try:
        async with work.session.begin_nested():
            fresh: list[tuple[Row, Facts]] = []
            for finding in found.findings:
                if finding.outcome == "new":
                    fresh.append((finding.row, {}))
                elif finding.outcome == "changed" and finding.former is not None:
                    if finding.former == aliases.folded(finding.row.handle):
                        await _bring_up_to_date(work, network_id, finding.row)
                    elif (kept := await _strike_off(work, network_id, finding.former)) is not None:
                        fresh.append((finding.row, kept))
            for part in _chunks(fresh):
                await _insert(work, network_id, part)
    except IntegrityError as error:
        raise NamesMoved from error
    return found


async def _bring_up_to_date(work: UnitOfWork, network_id: UUID, row: Row) -> None:
    folded = aliases.folded(row.handle)
    facts: Facts = {}
    if row.says_email:
        facts["email_digest"] = _digest(work, network_id, row)
    if row.external_id is not None:
        facts["external_id"] = row.external_id
    await imported.renew(work, network_id, folded, **facts)
    # It may be written with other capitals now.
    await work.session.execute(
        update(Alias)
        .where(Alias.network_id == network_id, Alias.folded == folded, Alias.account_id.is_(None))
        .values(alias=row.handle)
    )


async def _strike_off(work: UnitOfWork, network_id: UUID, former: str) -> Facts | None:
    """Give up the name of an account that was renamed, and return what is known of the account unless it was claimed."""
    kept = (
        await work.session.execute(
            delete(ImportedAccount)
            .where(
                ImportedAccount.network_id == network_id,
                ImportedAccount.folded == former,
                ImportedAccount.claimed_at.is_(None),
            )
            .returning(*(getattr(ImportedAccount, name) for name in _KEPT))
        )
    ).first()
    if kept is None:
        return None
    await work.session.execute(delete(Alias).where(Alias.network_id == network_id, Alias.folded == former))
    return dict(zip(_KEPT, kept, strict=True))


async def _insert(work: UnitOfWork, network_id: UUID, fresh: list[tuple[Row, Facts]]) -> None:
    names = [
        {
            "network_id": network_id,
            "alias": row.handle,
            "folded": aliases.folded(row.handle),
            "skeleton": aliases.skeleton(row.handle),
        }
        for row, _ in fresh
    ]
    accounts = []
    for (row, kept), name in zip(fresh, names, strict=True):
        facts: Facts = dict.fromkeys(_KEPT) | kept
        if row.says_email:
            facts["email_digest"] = _digest(work, network_id, row)
        accounts.append(
            {
                "network_id": network_id,
                "folded": name["folded"],
                "external_id": row.external_id,
                "imported_at": work.now,
                "email_matched": False,
            }
            | facts
        )
    await work.session.execute(insert(Alias), names)
    await work.session.execute(insert(ImportedAccount), accounts)


def _digest(work: UnitOfWork, network_id: UUID, row: Row) -> bytes | None:
    return digest_of(work.settings, network_id, row.email) if row.email else None


def _chunks(fresh: list[tuple[Row, Facts]]) -> Iterator[list[tuple[Row, Facts]]]:
    remaining = iter(fresh)
    while chunk := list(itertools.islice(remaining, _CHUNK)):
        yield chunk
