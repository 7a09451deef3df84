"""Proposals that wait for a second person."""

from typing import Literal
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.entrance import onward
from api.pages.rendering import page
from api.pages.steward.access import PATH, Nothing, admit_treasurer
from coop.billing.desk import acts, waiting
from coop.billing.reconciliation import differences
from coop.stewardship import approvals
from coop.unit_of_work import Units

HERE = f"{PATH}/proposals"


@get(HERE, include_in_schema=False)
async def waiting_list(
    request: AnyRequest,
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    done: FromQuery[Literal["", "proposed", "approved", "rejected"]] = "",
) -> Response[bytes]:
    """List what waits for a second pair of hands."""
    async with units.read() as work:
        await admit_treasurer(work, signed_in)
        found = [await acts.in_words(work, proposal) for proposal in await waiting.proposals(work)]
    return page("steward/proposals.html", request, proposals=found, me=signed_in.account_id, done=done)


@post(f"{HERE}/{{proposal_id:uuid}}/approve", include_in_schema=False)
async def approve(
    proposal_id: FromPath[UUID],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Approve what somebody else proposed; it is carried out at once."""
    del data
    async with units.open() as work:
        proposal = await waiting.proposal(work, proposal_id)
        if proposal.kind == differences.PROPOSAL:
            await differences.settle(work, proposal_id, signed_in.account_id)
        else:
            await acts.approve(work, proposal_id, by=signed_in.account_id)
    return onward(f"{HERE}?done=approved")


@post(f"{HERE}/{{proposal_id:uuid}}/reject", include_in_schema=False)
async def reject(
    proposal_id: FromPath[UUID],
    data: URLEncodedBody[Nothing],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Turn a proposal down; its proposer may do so, too."""
    del data
    async with units.open() as work:
        await approvals.reject(work, proposal_id, signed_in.account_id)
    return onward(f"{HERE}?done=rejected")


routes = [waiting_list, approve, reject]
