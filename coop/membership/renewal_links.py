"""Links to one's renewal in the letters that announce it: they work without signing in, and tell whom they serve to nobody.

A link names a year by its random id and is signed, so that nobody can make or guess one. It opens nothing but that
year's renewal, and serves until the membership has been renewed or has ended.
"""

import base64
import binascii
import hmac
from uuid import UUID

from sqlalchemy import select

from coop import sealing
from coop.errors import NotFound
from coop.identity.accounts import Account
from coop.membership import terms
from coop.membership.terms import Term
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

_BYTES = 16


class DeadRenewalLink(NotFound):
    """This link leads nowhere any more. Sign in to see how your membership renews."""

    code = "dead_renewal_link"
    title = "This link leads nowhere any more"


def path(settings: Settings, term_id: UUID) -> str:
    """Return the path of the link to the renewal after a year."""
    token = base64.urlsafe_b64encode(term_id.bytes + _signature(settings, term_id)).decode().rstrip("=")
    return f"/renewal/{token}"


async def owner(work: UnitOfWork, token: str) -> UUID:
    """Return whose renewal a link opens; every link that opens none is answered alike."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise DeadRenewalLink from error
    if len(raw) != 2 * _BYTES:
        raise DeadRenewalLink
    term_id = UUID(bytes=raw[:_BYTES])
    if not hmac.compare_digest(raw[_BYTES:], _signature(work.settings, term_id)):
        raise DeadRenewalLink
    found = (
        await work.session.execute(
            select(Term, Account)
            .join(Account, Account.id == Term.account_id)
            .where(Term.id == term_id, Account.locked_at.is_(None), Account.erased_at.is_(None))
        )
    ).first()
    if found is None or found[0].last_instant <= work.now:
        raise DeadRenewalLink
    newest = await terms.latest(work, found[0].account_id)
    if newest is None or newest.id != term_id:
        raise DeadRenewalLink
    return found[1].id


def _signature(settings: Settings, term_id: UUID) -> bytes:
    return hmac.digest(sealing.key_for(settings, "renewal link"), term_id.bytes, "sha256")[:_BYTES]
