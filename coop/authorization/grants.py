"""Grants: what a member allowed a client once. A grant begins as a code and is the family of every token that follows."""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, Update, func, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from coop.authorization.clients import Client, digest
from coop.database import Base
from coop.unit_of_work import UnitOfWork, new_id

CODE_PREFIX = "coop_ac_"
CODE_LIFETIME = timedelta(seconds=60)


class Grant(Base):
    """One authorization; revoking it makes its code, its refresh tokens and its access tokens worthless at once."""

    __tablename__ = "grants"

    id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=new_id)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("clients.id"), index=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), index=True)
    # The lineage of the browser session; not a foreign key, since it ends long before what was granted in it.
    session_id: Mapped[UUID] = mapped_column(index=True)
    scope: Mapped[str] = mapped_column(String(300))
    nonce: Mapped[str | None] = mapped_column(String(1000))
    authenticated_at: Mapped[datetime]
    amr_methods: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    redirect_uri: Mapped[str] = mapped_column(String(2000))
    code_challenge: Mapped[str | None] = mapped_column(String(128))
    code_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True, repr=False)
    code_expires_at: Mapped[datetime] = mapped_column(index=True)
    code_used_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    claims: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True), default=None)
    """What the `claims` parameter asked for (OpenID Connect Core, section 5.5): names of claims, by where they go, and `acr`."""

    def get_redirect_uri(self) -> str:
        """Return the URI that the code went to; the name is the one that Authlib calls."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the scope; the name is the one that Authlib calls."""
        return self.scope


async def begin(
    work: UnitOfWork,
    client: Client,
    *,
    account_id: UUID,
    session_id: UUID,
    scope: str,
    nonce: str | None,
    authenticated_at: datetime,
    amr: tuple[str, ...],
    redirect_uri: str,
    code_challenge: str | None,
    claims: dict[str, object] | None = None,
) -> str:
    """Record what the member allowed and return the code that the client redeems within a minute."""
    code = CODE_PREFIX + secrets.token_urlsafe(32)
    work.session.add(
        Grant(
            client_id=client.id,
            account_id=account_id,
            session_id=session_id,
            scope=scope,
            nonce=nonce,
            authenticated_at=authenticated_at,
            amr_methods=list(amr),
            created_at=work.wall,
            redirect_uri=redirect_uri,
            code_challenge=code_challenge,
            claims=claims,
            code_digest=digest(code),
            code_expires_at=work.wall + CODE_LIFETIME,
        )
    )
    return code


async def last_sign_ins(work: UnitOfWork, account_id: UUID) -> dict[UUID, datetime]:
    """Return when an account last signed in to each client, as far as that is still remembered."""
    rows = await work.session.execute(
        select(Grant.client_id, func.max(Grant.created_at))
        .where(Grant.account_id == account_id, Grant.code_used_at.is_not(None))
        .group_by(Grant.client_id)
    )
    return {client_id: moment for client_id, moment in rows}  # noqa: C416 - dict() does not know that a row is a pair


async def revoke_for(work: UnitOfWork, account_id: UUID, client_id: UUID) -> None:
    """Revoke everything that a member ever granted to a client."""
    await work.session.execute(
        _unrevoked(work).where(Grant.account_id == account_id, Grant.client_id == client_id)
    )


async def end_with_session(work: UnitOfWork, session_id: UUID) -> None:
    """Revoke what was granted in a browser session that ends, but for what was to go on without it.

    A code that is still under way to be redeemed goes as well: nobody is signed in by it yet.
    """
    bound = or_(Grant.scope.not_like("%offline_access%"), Grant.code_used_at.is_(None))
    await work.session.execute(_unrevoked(work).where(Grant.session_id == session_id, bound))


async def revoke_before(work: UnitOfWork, account_id: UUID, moment: datetime, *, kept: UUID | None) -> None:
    """Revoke all that an account had granted by `moment`, also for offline access, but in the session that is `kept`."""
    doomed = _unrevoked(work).where(Grant.account_id == account_id, Grant.created_at <= moment)
    await work.session.execute(doomed if kept is None else doomed.where(Grant.session_id != kept))


def _unrevoked(work: UnitOfWork) -> Update:
    return update(Grant).where(Grant.revoked_at.is_(None)).values(revoked_at=work.wall)
