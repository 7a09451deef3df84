"""Aliases: the name a member bears on one network, so that names do not connect what subjects keep apart."""

import re
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint, exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base
from coop.errors import Invalid, Refused, Unavailable
from coop.identity.accounts import Account
from coop.networks.words import ADJECTIVES, NOUNS
from coop.unit_of_work import UnitOfWork

GRAMMAR = re.compile(r"[a-z][a-z0-9_]{1,29}", re.ASCII)
"""What every network's software accepts: Mastodon cuts at 30 characters, Matrix refuses names of digits only."""

_TRIES = 20


class BadAlias(Invalid):
    """A name has 2 to 30 small letters, digits and underscores, and begins with a letter."""

    code = "bad_alias"


class AliasTaken(Invalid):
    """Somebody on this network has that name, or it is another member's own; choose a different one."""

    code = "alias_taken"


class AliasFixed(Refused):
    """You have a name on this network already, and names there do not change."""

    code = "alias_fixed"


class Alias(Base):
    """A member's name on one network: immutable, unique there, and never given to anybody else afterwards."""

    __tablename__ = "aliases"
    __table_args__ = (UniqueConstraint("network_id", "alias"),)

    network_id: Mapped[UUID] = mapped_column(ForeignKey("networks.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    alias: Mapped[str] = mapped_column(String(64))
    chosen_at: Mapped[datetime]


async def of(work: UnitOfWork, network_id: UUID, account_id: UUID) -> Alias | None:
    """Return the alias of an account on a network, if it has chosen one."""
    return await work.session.get(Alias, (network_id, account_id))


async def choose(work: UnitOfWork, network_id: UUID, account_id: UUID, alias: str) -> Alias:
    """Give an account its name on a network; one's own handle will do, another member's never.

    Of two that ask for the same name at once, the constraint lets one pass. A handle registered later may equal an
    older alias: whoever had the name on the network first keeps it there.
    """
    if not GRAMMAR.fullmatch(alias):
        raise BadAlias(field="alias")
    chosen = await of(work, network_id, account_id)
    if chosen is None:
        owner = await work.session.scalar(select(Account.id).where(Account.handle == alias))
        if owner not in {None, account_id}:
            raise AliasTaken(field="alias")
        chosen = Alias(network_id=network_id, account_id=account_id, alias=alias, chosen_at=work.now)
        try:
            async with work.session.begin_nested():
                work.session.add(chosen)
        except IntegrityError as error:
            mine = await of(work, network_id, account_id)
            if mine is None:
                raise AliasTaken(field="alias") from error
            # The same person pressed twice, and the other press came first.
            chosen = mine
    if chosen.alias != alias:
        raise AliasFixed(field="alias")
    return chosen


async def suggest(work: UnitOfWork, network_id: UUID) -> str:
    """Return a pleasant name that is free on this network; fresh each time, so that it tells nothing."""
    for _ in range(_TRIES):
        name = f"{secrets.choice(ADJECTIVES)}_{secrets.choice(NOUNS)}{secrets.randbelow(900) + 100}"
        taken = await work.session.scalar(
            select(
                or_(
                    exists().where(Alias.network_id == network_id, Alias.alias == name),
                    exists().where(Account.handle == name),
                )
            )
        )
        if not taken:
            return name
    # Twenty misses among twelve million names mean a fault elsewhere, not bad luck.
    raise Unavailable
