"""What is presented at the endpoints that clients call all day: a client, and its token or code, loaded in one statement.

The protocol decides over these facts in memory (`server`), and what it decided is carried out under a guard (`effects`).
"""

import hmac
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, Select, Uuid, and_, bindparam, select
from sqlalchemy.orm import aliased

from coop.authorization.clients import Client, digest
from coop.authorization.grants import Grant
from coop.authorization.tokens import AccessToken, RefreshToken
from coop.database import UTCDateTime
from coop.identity.accounts import Account
from coop.membership import entitlements, standing
from coop.membership.entitlements import Entitlement
from coop.membership.standing import YEAR, Year, reaches
from coop.membership.terms import Term
from coop.prepared import Line, Prepared


class KnownClient(NamedTuple):
    """What the endpoints need of a client; its fields are columns of `Client`."""

    id: UUID
    network_id: UUID | None
    sector: str
    scope: str
    grant_types: list[str]
    auth_method: str
    secret_digest: bytes | None
    previous_secret_digest: bytes | None
    previous_secret_until: datetime | None
    id_token_algorithm: str
    profile_in_id_token: bool
    access_token_format: str

    @property
    def client_id(self) -> str:
        """The public identifier, in its one spelling."""
        return str(self.id)

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use a grant; the name is the one that Authlib calls."""
        return grant_type in self.grant_types

    def proves(self, secret: str, wall: datetime) -> bool:
        """Tell whether `secret` is this client's, or was until a moment ago."""
        told = digest(secret)
        if self.secret_digest is not None and hmac.compare_digest(told, self.secret_digest):
            return True
        return (
            self.previous_secret_digest is not None
            and self.previous_secret_until is not None
            and wall < self.previous_secret_until
            and hmac.compare_digest(told, self.previous_secret_digest)
        )


class Family(NamedTuple):
    """A grant as it stands: what a member allowed a client, and whether that still holds."""

    id: UUID
    client_id: UUID
    account_id: UUID
    session_id: UUID
    scope: str
    nonce: str | None
    claims: dict[str, object] | None
    authenticated_at: datetime
    amr_methods: list[str]
    redirect_uri: str
    code_challenge: str | None
    code_expires_at: datetime
    code_used_at: datetime | None
    revoked_at: datetime | None

    def get_redirect_uri(self) -> str:
        """Return the URI that the code went to; the name is the one that Authlib calls."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the scope; the name is the one that Authlib calls."""
        return self.scope


class Access(NamedTuple):
    """An access token as it stands."""

    digest: bytes
    client_id: UUID
    grant_id: UUID | None
    scope: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class Refresh(NamedTuple):
    """A refresh token as it stands."""

    digest: bytes
    grant_id: UUID
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None


class Facts(NamedTuple):
    """What was found: nothing of it is judged yet, but for the membership behind it."""

    client: KnownClient | None = None
    access: Access | None = None
    refresh: Refresh | None = None
    successor_waits: bool = False
    """Whether what followed the refresh token has not been used."""
    family: Family | None = None
    may_act: bool = False
    """Whether the family's account is neither locked nor erased."""
    entitled: Entitlement = entitlements.NONE

    def living_access(self, wall: datetime) -> Access | None:
        """Return the access token, unless it has expired or was revoked, or its family was, or its account may not act."""
        access = self.access
        if access is None or access.revoked_at is not None or access.expires_at <= wall:
            return None
        if access.grant_id is not None and (
            self.family is None or self.family.revoked_at is not None or not self.may_act
        ):
            return None
        return access


_Followed = aliased(RefreshToken)
_MAY_ACT = and_(Account.locked_at.is_(None), Account.erased_at.is_(None))


def _columns(of: type[NamedTuple], model: Any) -> list[ColumnElement[Any]]:  # noqa: ANN401 - any mapped class
    return [getattr(model, name) for name in of._fields]


_CLIENT = _columns(KnownClient, Client)
_FAMILY = _columns(Family, Grant)
_ACCESS = _columns(Access, AccessToken)
_REFRESH = _columns(Refresh, RefreshToken)
_ASKED = Client.id == bindparam("client", type_=Uuid())
_DIGEST = bindparam("presented", type_=LargeBinary(32))
_NOW = bindparam("now", type_=UTCDateTime())


def _with_account(statement: Select[Any]) -> Select[Any]:
    """Add whether the family's account may act, and its membership: a row for each year, mostly one."""
    return (
        statement.add_columns(Account.id, *YEAR)
        .outerjoin(Account, and_(Account.id == Grant.account_id, _MAY_ACT))
        .outerjoin(Term, and_(Term.account_id == Account.id, reaches(_NOW)))
        .order_by(Term.ordinal)
    )


_BY_CLIENT = Prepared(select(*_CLIENT).where(_ASKED))
_BY_ACCESS = Prepared(
    _with_account(
        select(*_CLIENT, *_ACCESS, *_FAMILY)
        .select_from(Client)
        .outerjoin(AccessToken, AccessToken.digest == _DIGEST)
        .outerjoin(Grant, Grant.id == AccessToken.grant_id)
        .where(_ASKED)
    )
)
_BY_REFRESH = Prepared(
    _with_account(
        select(*_CLIENT, *_REFRESH, _Followed.digest, *_FAMILY)
        .select_from(Client)
        .outerjoin(RefreshToken, RefreshToken.digest == _DIGEST)
        .outerjoin(
            _Followed,
            and_(
                _Followed.digest == bindparam("following", type_=LargeBinary(32)), _Followed.used_at.is_(None)
            ),
        )
        .outerjoin(Grant, Grant.id == RefreshToken.grant_id)
        .where(_ASKED)
    )
)
_BY_CODE = Prepared(
    _with_account(
        select(*_CLIENT, *_FAMILY)
        .select_from(Client)
        .outerjoin(Grant, Grant.code_digest == _DIGEST)
        .where(_ASKED)
    )
)
_BY_BEARER = Prepared(
    _with_account(
        select(*_CLIENT, *_ACCESS, *_FAMILY)
        .select_from(AccessToken)
        .join(Client, Client.id == AccessToken.client_id)
        .outerjoin(Grant, Grant.id == AccessToken.grant_id)
        .where(AccessToken.digest == _DIGEST)
    )
)


async def by_client(line: Line, client_id: UUID) -> Facts:
    """Return the client."""
    rows = await _BY_CLIENT.rows(line, client=client_id)
    return Facts(client=KnownClient(*rows[0])) if rows else Facts()


async def by_access(line: Line, client_id: UUID, token: str) -> Facts:
    """Return the client, and an access token, whosever it is."""
    return _with_access(
        await _BY_ACCESS.rows(line, client=client_id, presented=digest(token), now=line.now), line
    )


async def by_bearer(line: Line, token: str) -> Facts:
    """Return an access token and the client that it was issued to."""
    return _with_access(await _BY_BEARER.rows(line, presented=digest(token), now=line.now), line)


async def by_refresh(line: Line, client_id: UUID, token: str, following: str) -> Facts:
    """Return the client, and a refresh token with what followed it, whosever it is."""
    rows = await _BY_REFRESH.rows(
        line, client=client_id, presented=digest(token), following=digest(following), now=line.now
    )
    if not rows:
        return Facts()
    columns = iter(rows[0])
    client = KnownClient(*islice(columns, len(_CLIENT)))
    refresh = _read(Refresh, columns)
    successor_waits = next(columns) is not None
    return _complete(Facts(client, refresh=refresh, successor_waits=successor_waits), columns, rows, line)


async def by_code(line: Line, client_id: UUID, code: str) -> Facts:
    """Return the client, and the grant that a code belongs to, whosever it is."""
    rows = await _BY_CODE.rows(line, client=client_id, presented=digest(code), now=line.now)
    if not rows:
        return Facts()
    columns = iter(rows[0])
    client = KnownClient(*islice(columns, len(_CLIENT)))
    return _complete(Facts(client), columns, rows, line)


def _with_access(rows: Sequence[Sequence[Any]], line: Line) -> Facts:
    if not rows:
        return Facts()
    columns = iter(rows[0])
    client = KnownClient(*islice(columns, len(_CLIENT)))
    return _complete(Facts(client, access=_read(Access, columns)), columns, rows, line)


def _complete(facts: Facts, columns: Iterator[Any], rows: Sequence[Sequence[Any]], line: Line) -> Facts:
    """Add the family, whether its account may act, and what follows from its years."""
    family = _read(Family, columns)
    may_act = next(columns) is not None
    years = [
        Year(*row[-len(YEAR) :]) for row in rows if row[-1 - len(YEAR)] is not None and row[-4] is not None
    ]
    entitled = entitlements.NONE
    if years:
        entitled = entitlements.following_from(standing.judge(years, line.now), line.settings.zone)
    return facts._replace(family=family, may_act=may_act, entitled=entitled)


_Row = TypeVar("_Row", Access, Refresh, Family)


def _read(kind: type[_Row], columns: Iterator[Any]) -> _Row | None:
    """Take the next columns as a `kind`; the outer join found none where the first, a key, is missing."""
    taken = list(islice(columns, len(kind._fields)))
    return None if taken[0] is None else kind(*taken)
