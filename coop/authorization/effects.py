"""What the protocol decided, carried out: each effect under a guard, so that of many at once one takes place."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Exists, Update, Uuid, bindparam, exists, insert, null, select, update

from coop.authorization.clients import digest
from coop.authorization.grants import Grant
from coop.authorization.tokens import REFRESH_LIFETIME, AccessToken, RefreshToken
from coop.database import UTCDateTime
from coop.prepared import Line, Prepared


@dataclass(frozen=True, slots=True)
class Issue:
    """Issue an access token to a client in its own name."""

    client_id: UUID
    access_token: str = field(repr=False)
    scope: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Redeem:
    """Use a code up, and issue what it is good for."""

    issue: Issue
    grant_id: UUID
    refresh_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rotate:
    """Use a refresh token up, and issue its successor and an access token."""

    issue: Issue
    grant_id: UUID
    presented: str = field(repr=False)
    successor: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Issue another access token beside a successor that was issued a moment ago and waits to be used."""

    issue: Issue
    grant_id: UUID
    successor: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EndFamily:
    """End a grant with all its tokens."""

    grant_id: UUID


@dataclass(frozen=True, slots=True)
class RevokeAccess:
    """Revoke one access token."""

    digest: bytes = field(repr=False)


Effect = Issue | Redeem | Rotate | Repeat | EndFamily | RevokeAccess

_GRANT = bindparam("grant", type_=Uuid())
_WALL = bindparam("wall", type_=UTCDateTime())
_ACCESS_EXPIRES = bindparam("access_expires", type_=UTCDateTime())
_REFRESH_EXPIRES = bindparam("refresh_expires", type_=UTCDateTime())
_ACCESS_COLUMNS = ("digest", "client_id", "grant_id", "scope", "issued_at", "expires_at")
_REFRESH_COLUMNS = ("digest", "grant_id", "issued_at", "expires_at")


def _access(grant: Any) -> list[Any]:  # noqa: ANN401 - a parameter, a column, or nothing
    return [
        bindparam("access", type_=AccessToken.digest.type),
        bindparam("client", type_=Uuid()),
        grant,
        bindparam("granted", type_=AccessToken.scope.type),
        _WALL,
        _ACCESS_EXPIRES,
    ]


def _refresh(grant: Any) -> list[Any]:  # noqa: ANN401 - a parameter or a column
    return [bindparam("refresh", type_=RefreshToken.digest.type), grant, _WALL, _REFRESH_EXPIRES]


_USE_CODE: Update = (
    update(Grant)
    .where(Grant.id == _GRANT, Grant.code_used_at.is_(None), Grant.revoked_at.is_(None))
    .values(code_used_at=_WALL)
)
_LIVING_FAMILY: Exists = exists().where(Grant.id == RefreshToken.grant_id, Grant.revoked_at.is_(None))
_USE_REFRESH: Update = (
    update(RefreshToken)
    .where(
        RefreshToken.digest == bindparam("presented", type_=RefreshToken.digest.type),
        RefreshToken.used_at.is_(None),
        _LIVING_FAMILY,
    )
    .values(used_at=_WALL)
)


class _Using:
    """Uses something up and issues tokens for it: one statement on PostgreSQL, several in a transaction on SQLite."""

    def __init__(self, use: Update, grant: Any, *, refresh: bool):  # noqa: ANN401 - the column that names the grant
        self._use = Prepared(use.returning(grant))
        self._insert_refresh = _INSERT_REFRESH if refresh else None
        used = use.returning(grant.label("grant_id")).cte("used")
        issue = insert(AccessToken).from_select(
            _ACCESS_COLUMNS, select(*_access(used.c.grant_id)).select_from(used)
        )
        if refresh:
            following = insert(RefreshToken).from_select(
                _REFRESH_COLUMNS, select(*_refresh(used.c.grant_id)).select_from(used)
            )
            issue = issue.add_cte(following.returning(RefreshToken.grant_id).cte("following"))
        self._at_once = Prepared(issue.returning(AccessToken.grant_id))

    async def run(self, line: Line, values: dict[str, object]) -> bool:
        """Do it, and tell whether there was something left to use."""
        if not line.is_sqlite:
            return bool(await self._at_once.rows(line, **values))
        if not await self._use.rows(line, **values):
            return False
        if self._insert_refresh is not None:
            await self._insert_refresh.rows(line, **values)
        await _INSERT_ACCESS.rows(line, **values)
        return True


_INSERT_ACCESS = Prepared(insert(AccessToken).from_select(_ACCESS_COLUMNS, select(*_access(_GRANT))))
_INSERT_OWN_ACCESS = Prepared(insert(AccessToken).from_select(_ACCESS_COLUMNS, select(*_access(null()))))
_INSERT_REFRESH = Prepared(insert(RefreshToken).from_select(_REFRESH_COLUMNS, select(*_refresh(_GRANT))))
_REDEEM = _Using(_USE_CODE, Grant.id, refresh=True)
_REDEEM_ONCE = _Using(_USE_CODE, Grant.id, refresh=False)
_ROTATE = _Using(_USE_REFRESH, RefreshToken.grant_id, refresh=True)
_REPEAT = Prepared(
    insert(AccessToken)
    .from_select(
        _ACCESS_COLUMNS,
        select(*_access(RefreshToken.grant_id)).where(
            RefreshToken.digest == bindparam("refresh", type_=RefreshToken.digest.type),
            RefreshToken.used_at.is_(None),
            _LIVING_FAMILY,
        ),
    )
    .returning(AccessToken.grant_id)
)
_END_FAMILY = Prepared(
    update(Grant).where(Grant.id == _GRANT, Grant.revoked_at.is_(None)).values(revoked_at=_WALL)
)
_REVOKE_ACCESS = Prepared(
    update(AccessToken)
    .where(
        AccessToken.digest == bindparam("access", type_=AccessToken.digest.type),
        AccessToken.revoked_at.is_(None),
    )
    .values(revoked_at=_WALL)
)


async def carry_out(line: Line, effect: Effect) -> bool:
    """Carry `effect` out, and tell whether its guard still held: if not, somebody was quicker, and it has to be judged anew."""
    match effect:
        case Issue():
            await _INSERT_OWN_ACCESS.rows(line, **_values(line, effect))
            return True
        case Redeem(issue, grant_id, refresh_token):
            using = _REDEEM_ONCE if refresh_token is None else _REDEEM
            return await using.run(line, _values(line, issue, refresh_token, grant=grant_id))
        case Rotate(issue, grant_id, presented, successor):
            values = _values(line, issue, successor, grant=grant_id, presented=digest(presented))
            return await _ROTATE.run(line, values)
        case Repeat(issue, _, successor):
            return bool(await _REPEAT.rows(line, **_values(line, issue, successor)))
        case EndFamily(grant_id):
            await _END_FAMILY.rows(line, grant=grant_id, wall=line.wall)
            return True
        case RevokeAccess(revoked):
            await _REVOKE_ACCESS.rows(line, access=revoked, wall=line.wall)
            return True


def _values(line: Line, issue: Issue, refresh: str | None = None, **others: object) -> dict[str, object]:
    return {
        "access": digest(issue.access_token),
        "client": issue.client_id,
        "granted": issue.scope,
        "wall": line.wall,
        "access_expires": issue.expires_at,
        "refresh": None if refresh is None else digest(refresh),
        "refresh_expires": line.wall + REFRESH_LIFETIME,
        **others,
    }
