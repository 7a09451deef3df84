"""What is presented at the endpoints that clients call all day: a client, and its token or code, loaded in one statement.

The protocol decides over these facts in memory (`server`), and what it decided is carried out under a guard (`effects`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import LargeBinary, Select, Uuid, and_, bindparam, select

from coop.authorization import tokens
from coop.authorization.clients import JWT_FORMAT, Client, digest
from coop.authorization.consents import Consent
from coop.authorization.facts import Access, ActiveKey, Facts, Family, KnownClient, Profile, Refresh
from coop.authorization.grants import Grant
from coop.authorization.keys import KeyState, SigningKey
from coop.authorization.tokens import AccessToken, RefreshToken
from coop.database import UTCDateTime
from coop.identity.accounts import Account
from coop.membership import entitlements, standing
from coop.membership.standing import YEAR, Year, reaches
from coop.membership.terms import Term
from coop.prepared import Line, Prepared

_ASKED = Client.id == bindparam("client", type_=Uuid())
_DIGEST = bindparam("presented", type_=LargeBinary(32))
_NOW = bindparam("now", type_=UTCDateTime())
_SIGNS = and_(SigningKey.algorithm == Client.id_token_algorithm, SigningKey.state == KeyState.ACTIVE)
_CONSENTED = and_(Consent.client_id == Grant.client_id, Consent.account_id == Grant.account_id)
_MAY_ACT = and_(Account.id == Grant.account_id, Account.locked_at.is_(None), Account.erased_at.is_(None))


class _Group(NamedTuple):
    """Columns that are read together; the outer join found none where the first one is missing."""

    name: str
    of: Callable[..., Any]
    columns: list[Any]


def _group(name: str, of: Any, *sources: Any) -> _Group:  # noqa: ANN401 - any named tuple, any mapped classes
    """Return the group of `Facts` called `name`, its fields taken from the first source that has them."""
    columns = [
        next(getattr(source, field) for source in sources if hasattr(source, field)) for field in of._fields
    ]
    return _Group(name, of, columns)


_CLIENT = _group("client", KnownClient, Client)
_ACCESS = _group("access", Access, AccessToken)
_REFRESH = _group("refresh", Refresh, RefreshToken)
_FAMILY = _group("family", Family, Grant)
_PROFILE = _group("profile", Profile, Consent, Account)
_KEY = _group("key", ActiveKey, SigningKey)
_MAY = _Group("may_act", lambda account_id: account_id is not None, [Account.id])


@dataclass(frozen=True, slots=True)
class _Look:
    """A statement with the groups of facts that it finds: a row for each year of the member, mostly one."""

    prepared: Prepared
    groups: tuple[_Group, ...]

    async def facts(self, line: Line, **values: object) -> Facts:
        """Return what there is."""
        rows = await self.prepared.rows(line, now=line.now, **values)
        if not rows:
            return Facts()
        first, start, found = rows[0], 0, dict[str, Any]()
        for name, of, columns in self.groups:
            end = start + len(columns)
            if first[start] is not None:
                found[name] = of(*first[start:end])
            start = end
        if len(first) > start:
            found["entitled"] = _entitled(line, (row[start:] for row in rows))
        return Facts(**found)


def _entitled(line: Line, rows: Iterable[Sequence[Any]]) -> entitlements.Entitlement:
    # Mostly one row, so that they are put in order here: the database would set up a sort for each request.
    years = sorted((Year(*row) for row in rows if row[0] is not None), key=attrgetter("begins"))
    return entitlements.following_from(standing.judge(years, line.now), line.settings.zone)


def _look(statement: Select[Any], *groups: _Group) -> _Look:
    return _Look(Prepared(statement.with_only_columns(*(c for g in groups for c in g.columns))), groups)


def _look_with_member(statement: Select[Any], *groups: _Group) -> _Look:
    """Look also for whoever is behind the grant: whether they may act, what they share, their years."""
    wider = (
        statement.outerjoin(Account, _MAY_ACT)
        .outerjoin(Consent, _CONSENTED)
        .outerjoin(Term, and_(Term.account_id == Account.id, reaches(_NOW)))
    )
    columns = [c for g in (*groups, _FAMILY, _MAY, _PROFILE) for c in g.columns]
    return _Look(Prepared(wider.with_only_columns(*columns, *YEAR)), (*groups, _FAMILY, _MAY, _PROFILE))


_BY_CLIENT = _look(
    select(Client.id)
    .outerjoin(SigningKey, and_(_SIGNS, Client.access_token_format == JWT_FORMAT))
    .where(_ASKED),
    _CLIENT,
    _KEY,
)
_BY_ACCESS = _look_with_member(
    select(Client.id)
    .outerjoin(AccessToken, AccessToken.digest == _DIGEST)
    .outerjoin(Grant, Grant.id == AccessToken.grant_id)
    .where(_ASKED),
    _CLIENT,
    _ACCESS,
)
_BY_BEARER = _look_with_member(
    select(AccessToken.digest)
    .join(Client, Client.id == AccessToken.client_id)
    .outerjoin(Grant, Grant.id == AccessToken.grant_id)
    .where(AccessToken.digest == _DIGEST),
    _CLIENT,
    _ACCESS,
)
_BY_REFRESH = _look_with_member(
    select(Client.id)
    .outerjoin(RefreshToken, RefreshToken.digest == _DIGEST)
    .outerjoin(Grant, Grant.id == RefreshToken.grant_id)
    .outerjoin(SigningKey, _SIGNS)
    .where(_ASKED),
    _CLIENT,
    _REFRESH,
    _KEY,
)
_WAITING = Prepared(
    select(RefreshToken.digest).where(RefreshToken.digest == _DIGEST, RefreshToken.used_at.is_(None))
)
_BY_CODE = _look_with_member(
    select(Client.id)
    .outerjoin(Grant, Grant.code_digest == _DIGEST)
    .outerjoin(SigningKey, _SIGNS)
    .where(_ASKED),
    _CLIENT,
    _KEY,
)


async def by_client(line: Line, client_id: UUID) -> Facts:
    """Return the client."""
    return await _BY_CLIENT.facts(line, client=client_id)


async def by_access(line: Line, client_id: UUID, token: str) -> Facts:
    """Return the client, and an access token, whosever it is."""
    return await _BY_ACCESS.facts(line, client=client_id, presented=digest(token))


async def by_bearer(line: Line, token: str) -> Facts:
    """Return an access token and the client that it was issued to."""
    return await _BY_BEARER.facts(line, presented=digest(token))


async def by_refresh(line: Line, client_id: UUID, token: str) -> Facts:
    """Return the client, and a refresh token, whosever it is; if it was used, also whether what followed it was."""
    facts = await _BY_REFRESH.facts(line, client=client_id, presented=digest(token))
    if facts.refresh is None or facts.refresh.used_at is None:
        return facts
    following = digest(tokens.successor(line.settings, token))
    return facts._replace(successor_waits=bool(await _WAITING.rows(line, presented=following)))


async def by_code(line: Line, client_id: UUID, code: str) -> Facts:
    """Return the client, and the grant that a code belongs to, whosever it is."""
    return await _BY_CODE.facts(line, client=client_id, presented=digest(code))
