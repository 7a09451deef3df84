"""Handles: the one public name of an account, immutable, never reused, and never one that passes for another.

The grammar is the intersection of what networks accept: Mastodon cuts at 30 characters and strips the rest, Matrix
refuses names of digits only. Networks key their own accounts on the name they are told, so that a handle given twice
would be a takeover there.
"""

import hashlib
import hmac
import re

from sqlalchemy import LargeBinary, bindparam, select
from sqlalchemy.orm import Mapped, mapped_column

from coop.database import Base, table_of
from coop.errors import Invalid
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

LONGEST = 30
GRAMMAR = re.compile(r"[a-z][a-z0-9_]{1,29}", re.ASCII)

RESERVED = frozenset(
    """
    about abuse account accounts admin administrator all anonymous api appeal appeals auditor auth authorize ballot
    billing board board_member bot coop cooperative copyright council daemon demo dev device dns docs dues elections
    everyone ftp gifts guest health help helpdesk here home hooks hostmaster http https imap info join law legal list
    localhost login logout mail mailbox mailer me member members moderator moderators motion nobody noc noreply
    no_reply null oauth official operator owner pay payment payments places policy pool pop postmaster privacy refund
    root sandbox security service settings sign_in sign_out sign_up signin signout signup smtp sponsor sponsors ssl
    staff static status steward stewards stripe support sysadmin system team terms test treasurer undefined usenet
    user users uucp verification verify votes webmaster welcome www you
    """.split()
)
"""Names that speak for the cooperative, or that software and mail systems take for their own (RFC 2142)."""

# What reads alike in most typefaces. `i` and `l` are left apart here, since Ian and Lan are both people.
_ALIKE = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"))
# What is read as a reserved name even by those who look: adm1n, supp0rt, st3ward, adm_in.
_DISGUISE = str.maketrans({"i": "l", "1": "l", "0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "_": None})


class BadHandle(Invalid):
    """A handle has 2 to 30 characters: a letter from a to z first, then letters, digits and _."""

    code = "bad_handle"
    title = "That handle cannot be used"


class HandleTaken(Invalid):
    """That handle, or one that looks like it, is taken; choose another."""

    code = "handle_taken"
    title = "That handle is taken"


class RetiredHandle(Base):
    """The keyed hash of a handle whose account was erased: nobody may bear it again, and nobody can read it here."""

    __tablename__ = "retired_handles"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True, repr=False)


_retired = table_of(RetiredHandle).c
_RETIRED = select(_retired.digest).where(_retired.digest == bindparam("digest"))


def checked(typed: str) -> str:
    """Return the handle that `typed` stands for, or refuse it and say why."""
    handle = typed.strip().removeprefix("@")
    if not handle:
        raise BadHandle("Choose a handle.", field="handle")
    if not handle.isascii():
        if _deceptive(handle[: LONGEST + 1]):
            raise BadHandle(
                "One of these letters only looks like a Latin one; use letters from a to z, digits and _.",
                field="handle",
            )
        raise BadHandle("Use only letters from a to z, digits and _.", field="handle")
    handle = handle.lower()
    if not GRAMMAR.fullmatch(handle):
        raise BadHandle(field="handle")
    if _bare(handle) in _RESERVED_BARE:
        raise BadHandle(
            "That handle is reserved, since it seems to speak for the cooperative; choose another.",
            field="handle",
        )
    return handle


def skeleton(handle: str) -> str:
    """Return what `handle` looks like at a glance; two accounts never share one."""
    for seen, meant in _ALIKE:
        handle = handle.replace(seen, meant)
    return handle


async def retire(work: UnitOfWork, handle: str) -> None:
    """Remember that `handle` was borne by an account that is now erased."""
    work.session.add(RetiredHandle(digest=_digest(work.settings, handle)))
    await work.session.flush()


async def retired(work: UnitOfWork, handle: str) -> bool:
    """Tell whether `handle`, or one that looks like it, belonged to an erased account."""
    found = await work.session.execute(_RETIRED, {"digest": _digest(work.settings, handle)})
    return found.first() is not None


def _digest(settings: Settings, handle: str) -> bytes:
    # Keyed with the one secret that is never rotated: these rows must stay true for ever.
    return hmac.digest(
        settings.pairwise_secret.encode(), b"retired handle:" + skeleton(handle).encode(), hashlib.sha256
    )


def _bare(handle: str) -> str:
    return skeleton(handle.translate(_DISGUISE))


def _deceptive(handle: str) -> bool:
    # Its tables take eight megabytes of every process, and few people type such letters.
    from confusable_homoglyphs import confusables  # noqa: PLC0415

    return bool(confusables.is_confusable(handle, greedy=False, preferred_aliases=["LATIN"]))


_RESERVED_BARE = frozenset(_bare(name) for name in RESERVED)
