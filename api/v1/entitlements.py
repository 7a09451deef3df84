"""The question that networks ask most: is this person a member?"""

from http import HTTPStatus
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.dependencies import AnyRequest
from api.v1 import conditional
from api.v1.answers import Batch, BatchAnswer, EntitlementAnswer, SubjectText
from api.v1.bearer import asking_network, network_only
from api.v1.bodies import require_json
from api.v1.problems import problems
from coop.authorization.scopes import ENTITLEMENTS
from coop.errors import Invalid
from coop.membership import entitlements
from coop.membership.entitlements import Entitlement
from coop.networks import links
from coop.unit_of_work import UnitOfWork, Units

CACHE = "private, max-age=5"
"""Seconds by which an answer may lag; a lapsed member is refused well within a minute."""

_SECURITY = [{"networkToken": [ENTITLEMENTS]}]
_REFUSALS = problems(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


class BadSubject(Invalid):
    """A subject is the `sub` of an ID Token: letters, digits, hyphens and underscores."""

    code = "bad_subject"


@get(
    "/entitlements/{subject:str}",
    operation_id="getEntitlement",
    summary="Ask about one member",
    tags=["Entitlements"],
    guards=[network_only],
    security=_SECURITY,
    responses=_REFUSALS,
)
async def one(
    request: AnyRequest, subject: FromPath[str], units: NamedDependency[Units]
) -> Response[EntitlementAnswer]:
    """Tell whether the bearer of a subject is a member.

    Somebody whom this network does not know, or who cut it off, is answered like anybody without a membership.
    """
    try:
        msgspec.convert(subject, SubjectText)
    except msgspec.ValidationError as error:
        raise BadSubject(field="subject") from error
    async with units.line() as line:
        held = await links.entitlement_of(line, asking_network(request), subject)
    return conditional.answer(request, _answer(subject, held), cache=CACHE, vary="Authorization")


@post(
    "/entitlements",
    operation_id="getEntitlements",
    summary="Ask about up to a thousand members",
    tags=["Entitlements"],
    status_code=HTTPStatus.OK,
    guards=[network_only],
    before_request=require_json,
    security=_SECURITY,
    responses=_REFUSALS,
)
async def many(
    request: AnyRequest, data: JSONBody[Batch], units: NamedDependency[Units]
) -> Response[BatchAnswer]:
    """Answer for each subject, in the order asked."""
    async with units.read() as work:
        found = await _answers(work, asking_network(request), data.subjects)
    return Response(
        BatchAnswer(entitlements=found), headers={"Cache-Control": CACHE, "Vary": "Authorization"}
    )


async def _answers(
    work: UnitOfWork, network_id: UUID, subjects: tuple[str, ...]
) -> tuple[EntitlementAnswer, ...]:
    accounts = await links.accounts_behind(work, network_id, subjects)
    # Asked also when nobody is known, so that the time tells nothing either.
    known = await entitlements.of_many(work, list(accounts.values()))
    return tuple(
        _answer(subject, known[accounts[subject]] if subject in accounts else entitlements.NONE)
        for subject in subjects
    )


def _answer(subject: str, held: Entitlement) -> EntitlementAnswer:
    return EntitlementAnswer(
        subject=subject,
        membership=held.membership,
        membership_until=held.until,
        entitlements=held.entitlements,
        groups=held.groups,
    )


routes = [one, many]
