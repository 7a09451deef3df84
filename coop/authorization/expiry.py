"""What has expired is forgotten: tokens that open nothing any more, and grants of which nothing is left."""

from datetime import timedelta

from sqlalchemy import delete, exists

from coop.authorization.client_assertions import UsedAssertion
from coop.authorization.grants import Grant
from coop.authorization.tokens import AccessToken, RefreshToken
from coop.identity.sessions import BrowserSession
from coop.unit_of_work import Units

KEPT = timedelta(days=7)
"""How long a row outlives its usefulness, so that a replay is still recognised as one."""


async def forget_due(units: Units) -> None:
    """Delete tokens, grants and used assertions that expired a week ago; grants stay while their browser session does.

    They say which clients the member is signed in to, who must be told when the session ends.
    """
    async with units.open() as work:
        before = work.wall - KEPT
        await work.session.execute(delete(AccessToken).where(AccessToken.expires_at < before))
        await work.session.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))
        await work.session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < before))
        await work.session.execute(
            delete(Grant).where(
                Grant.code_expires_at < before,
                ~exists().where(AccessToken.grant_id == Grant.id),
                ~exists().where(RefreshToken.grant_id == Grant.id),
                ~exists().where(BrowserSession.lineage == Grant.session_id),
            )
        )
