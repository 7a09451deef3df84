"""The end of an account: what signs in is deleted, what names somebody is taken out, and the handle is nobody's for ever.

The row itself stays as an identifier that leads to nobody, since the books and the register refer to it. Triggers keep it so.
"""

from sqlalchemy import delete

from coop.identity import handles
from coop.identity.accounts import Account, AccountErased
from coop.identity.links import MailLink
from coop.identity.passkeys import Challenge, Passkey
from coop.identity.recovery import RecoveryCode
from coop.identity.sessions import BrowserSession
from coop.unit_of_work import UnitOfWork

WAYS_IN = (Passkey, Challenge, RecoveryCode, MailLink, BrowserSession)


async def erase(work: UnitOfWork, account: Account) -> None:
    """Erase an account that the caller holds; whoever has to end something elsewhere hears of it while its links still run."""
    for rows in WAYS_IN:
        await work.session.execute(delete(rows).where(rows.account_id == account.id))
    await handles.retire(work, account.handle)
    account.handle = account.skeleton = f"erased-{account.id.hex}"
    account.display_name = account.email = account.email_verified_at = account.password_digest = None
    account.locale = work.settings.locale
    account.erased_at = work.now
    await work.session.flush()
    work.publish(AccountErased(account_id=account.id))
