"""Aliases: the name a member bears on one network, so that names do not connect what subjects keep apart.

A name that an account bore there before the network joined is kept for its owner as an alias of nobody yet; see
`coop.networks.moving`.
"""

import hmac
import re
import secrets
import unicodedata
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    exists,
    or_,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, insert_once
from coop.errors import Invalid, Refused, Unavailable
from coop.identity import handles
from coop.identity.accounts import Account
from coop.networks.words import ADJECTIVES, NOUNS
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

GRAMMAR = re.compile(r"[a-z][a-z0-9_]{1,29}", re.ASCII)
"""What every network's software accepts: Mastodon cuts at 30 characters, Matrix refuses names of digits only."""
LONGEST = 64
"""Characters of a name that a network gave before; what `GRAMMAR` allows is shorter."""

_TRIES = 20


class BadAlias(Invalid):
    """A name has 2 to 30 small letters, digits and underscores, and begins with a letter."""

    code = "bad_alias"


class AliasTaken(Invalid):
    """Somebody on this network has that name or one that looks like it, or it is another member's own; choose a different one."""

    code = "alias_taken"


class AliasFixed(Refused):
    """You have a name on this network already, and names there do not change."""

    code = "alias_fixed"


class Alias(Base):
    """A name on one network: its owner's for ever, or kept for an owner who has not come yet; never anybody else's.

    Networks tell names apart without regard to case, so the database does as well.
    """

    __tablename__ = "aliases"
    __table_args__ = (
        UniqueConstraint("network_id", "account_id"),
        CheckConstraint("(account_id IS NULL) = (chosen_at IS NULL)", name="chosen"),
        Index("ix_aliases_network_id_skeleton", "network_id", "skeleton"),
    )

    network_id: Mapped[UUID] = mapped_column(ForeignKey("networks.id"), primary_key=True)
    folded: Mapped[str] = mapped_column(String(LONGEST), primary_key=True, init=False, repr=False)
    skeleton: Mapped[str] = mapped_column(String(LONGEST), init=False, repr=False)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"), index=True, default=None)
    alias: Mapped[str] = mapped_column(String(LONGEST))
    chosen_at: Mapped[datetime | None] = mapped_column(default=None)

    def __post_init__(self) -> None:
        """Derive what the name is the same as, and what it looks like."""
        self.folded = folded(self.alias)
        self.skeleton = skeleton(self.alias)


class RetiredAlias(Base):
    """The keyed hash of a name whose owner was erased: nobody on that network may bear it again, and nobody can read it here."""

    __tablename__ = "retired_aliases"

    network_id: Mapped[UUID] = mapped_column(ForeignKey("networks.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)


def folded(name: str) -> str:
    """Return `name` as software compares it: two names that fold alike are the same name."""
    return unicodedata.normalize("NFKC", name).casefold()


def skeleton(name: str) -> str:
    """Return what `name` looks like at a glance, letters of other scripts that pass for Latin ones included."""
    return handles.skeleton("".join(map(_latin, folded(name))))


@lru_cache(maxsize=4096)
def _latin(character: str) -> str:
    if character.isascii():
        return character
    # Its tables take eight megabytes of every process, and few names have such letters.
    from confusable_homoglyphs import confusables  # noqa: PLC0415

    alike = confusables.is_confusable(character, greedy=True, preferred_aliases=[])
    seen = (one["c"] for one in alike[0]["homoglyphs"]) if alike else ()
    return next((c.lower() for c in seen if len(c) == 1 and c.isascii() and c.isalnum()), character)


async def of(work: UnitOfWork, network_id: UUID, account_id: UUID) -> Alias | None:
    """Return the alias of an account on a network, if it has chosen one."""
    found: Alias | None = await work.session.scalar(
        select(Alias).where(Alias.network_id == network_id, Alias.account_id == account_id)
    )
    return found


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
        if owner not in {None, account_id} or not await free(work, network_id, alias):
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


async def free(work: UnitOfWork, network_id: UUID, name: str) -> bool:
    """Tell whether nobody on the network bears or bore `name` or one that looks like it, and it is kept for nobody."""
    seen = skeleton(name)
    taken = await work.session.scalar(
        select(
            or_(
                exists().where(Alias.network_id == network_id, Alias.skeleton == seen),
                exists().where(
                    RetiredAlias.network_id == network_id,
                    RetiredAlias.digest == _digest(work.settings, network_id, seen),
                ),
            )
        )
    )
    return not taken


async def retire_all(work: UnitOfWork, account_id: UUID) -> None:
    """Remember, without being able to read them, the names of an account that is erased."""
    for alias in await work.session.scalars(select(Alias).where(Alias.account_id == account_id)):
        await insert_once(
            work.session,
            RetiredAlias,
            network_id=alias.network_id,
            digest=_digest(work.settings, alias.network_id, alias.skeleton),
        )


def _digest(settings: Settings, network_id: UUID, seen: str) -> bytes:
    # Keyed with the one secret that is never rotated: these rows must stay true for ever.
    message = b"retired alias:" + network_id.bytes + seen.encode()
    return hmac.digest(settings.pairwise_secret.encode(), message, "sha256")


async def suggest(work: UnitOfWork, network_id: UUID) -> str:
    """Return a pleasant name that is free on this network; fresh each time, so that it tells nothing."""
    for _ in range(_TRIES):
        name = f"{secrets.choice(ADJECTIVES)}_{secrets.choice(NOUNS)}{secrets.randbelow(900) + 100}"
        handle = await work.session.scalar(select(exists().where(Account.handle == name)))
        if not handle and await free(work, network_id, name):
            return name
    # Twenty misses among twelve million names mean a fault elsewhere, not bad luck.
    raise Unavailable
