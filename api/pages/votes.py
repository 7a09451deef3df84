"""Votes: the motions, one motion with its question and its ballot, and what the count found."""

import difflib
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages import clauses
from api.pages.entrance import onward, told
from api.pages.prose import prose
from api.pages.rendering import locale_of, page
from coop.errors import NotFound
from coop.governance import announcement, ballots, electorate, motions, roll
from coop.governance.patches import Change
from coop.governance.tally import read_majority
from coop.policies import Voting, in_force
from coop.settings import Settings
from coop.unit_of_work import Units

LONG_TEXT = 200
"""Characters; a longer value is shown by the lines that change."""


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """What the ballot's form sends."""

    choice: Annotated[str, msgspec.Meta(max_length=20)] = ""


@get("/votes", include_in_schema=False)
async def votes(
    request: AnyRequest, units: NamedDependency[Units], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """List the motions: open, under discussion, waiting to take effect, past."""
    async with units.read() as work:
        now = work.now
        opened = await motions.listed(work, "open")
        discussed = await motions.listed(work, "discussion", "draft")
        carried = await motions.listed(work, "carried")
        past = await motions.listed(work, "executed", "lost", "not_executed")
        awaiting = await roll.awaiting(work, viewer.account_id) if viewer else []
        may_propose = await electorate.includes(work, viewer.account_id) if viewer else False
    return page(
        "votes/list.html",
        request,
        opened=sorted(opened, key=lambda motion: (motion.closes_at or now, motion.id)),
        awaiting={motion.id for motion in awaiting},
        discussed=discussed,
        carried=carried,
        past=past,
        may_propose=may_propose,
        now=now,
        utc=utc,
    )


@get("/votes/{motion_id:uuid}", include_in_schema=False)
async def vote(
    request: AnyRequest,
    motion_id: FromPath[UUID],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Show one motion: the question, what changes, both sides, the rules, and the ballot."""
    return await show(request, units, viewer, motion_id)


@post("/votes/{motion_id:uuid}/check", include_in_schema=False)
async def check(
    request: AnyRequest,
    motion_id: FromPath[UUID],
    data: URLEncodedBody[Answer],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Show the answer once more before it is cast: it cannot be changed afterwards."""
    try:
        choice = ballots.read_choice(data.choice)
    except ballots.BadChoice as refusal:
        return await show(request, units, signed_in, motion_id, errors={"choice": refusal.message})
    async with units.read() as work:
        motion = await motions.get(work, motion_id)
        await ballots.require_open(work, motion, signed_in.account_id)
    return page("votes/check.html", request, motion=motion, choice=choice)


@post("/votes/{motion_id:uuid}/cast", include_in_schema=False)
async def cast(
    motion_id: FromPath[UUID],
    data: URLEncodedBody[Answer],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Cast the ballot; neither the address that follows nor any log says how."""
    choice = ballots.read_choice(data.choice)
    async with units.open() as work:
        await ballots.cast(work, motion_id, signed_in.account_id, choice)
    return onward(f"/votes/{motion_id}")


@get("/votes/{motion_id:uuid}/result", include_in_schema=False)
async def result(
    request: AnyRequest,
    motion_id: FromPath[UUID],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    settings: NamedDependency[Settings],
) -> Response[bytes]:
    """Show what the count found, why, and what changes when."""
    del viewer
    async with units.read() as work:
        motion = await motions.get(work, motion_id)
        if motion.result is None:
            raise NotFound("This vote has not been counted yet.")
        proposed = await announcement.proposed(work, motion)
    return page(
        "votes/result.html",
        request,
        motion=motion,
        result=motion.result,
        changes=written(proposed, settings, locale_of(request)),
        utc=utc,
    )


@get("/votes/{motion_id:uuid}/card", include_in_schema=False)
async def card(motion_id: FromPath[UUID], units: NamedDependency[Units]) -> Response[bytes]:
    """Give the rule card byte for byte, so that anybody can compute its hash."""
    async with units.read() as work:
        motion = await motions.get(work, motion_id)
    if motion.card is None:
        raise NotFound("This motion has not been announced yet; its words may still change.")
    return Response(motion.card.encode(), media_type=MediaType.JSON, headers={"Cache-Control": "no-cache"})


async def show(
    request: AnyRequest,
    units: Units,
    viewer: Viewer | None,
    motion_id: UUID,
    *,
    errors: dict[str, str] | None = None,
    argument: str = "",
) -> Response[bytes]:
    """Render the page of one motion, with `errors` beside what was typed."""
    async with units.read() as work:
        motion = await motions.get(work, motion_id)
        voting = (await in_force(work, Voting)).document
        proposed = await announcement.proposed(work, motion)
        used = await roll.used(work, motion_id, viewer.account_id) if viewer else None
        entitled = await electorate.includes(work, viewer.account_id) if viewer else False
        turnout = await roll.turnout(work, motion_id) if motion.state == "open" else 0
        taking = motion.state == "open" and motion.closes_at is not None and work.now < motion.closes_at
        freezes_at = motions.freezes_at(motion, voting)
        ready = motion.state == "discussion" and freezes_at is not None and work.now >= freezes_at
    rules = announcement.read_card(motion)
    return page(
        "votes/motion.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        motion=motion,
        prose=prose,
        card=rules,
        rule=read_majority(rules.majority) if rules else None,
        voting=voting,
        changes=written(proposed, request.app.state.settings, locale_of(request)),
        used=used,
        entitled=entitled,
        mine=viewer is not None and viewer.account_id == motion.proposer_id,
        may_argue=viewer is not None
        and viewer.account_id != motion.proposer_id
        and motion.argument_against_by in {None, viewer.account_id},
        turnout=turnout,
        taking=taking,
        freezes_at=freezes_at,
        ready=ready,
        argument=argument or motion.argument_against,
        errors=told(request, errors or {}),
        utc=utc,
    )


def written(changes: list[Change], settings: Settings, locale: str) -> list[dict[str, object]]:
    """Return each change with its values as people write them; a long text by the lines that change."""
    found: list[dict[str, object]] = []
    for change in changes:
        old, new = (
            clauses.shown(change.field, value, settings, locale) for value in (change.old, change.new)
        )
        long = max(len(old), len(new)) > LONG_TEXT
        lines = [
            line
            for line in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
            if not line.startswith(("---", "+++", "@@"))
        ]
        found.append(
            {
                "label": clauses.label(change.field),
                "old": old,
                "new": new,
                "lines": lines if long else [],
            }
        )
    return found


def utc(moment: datetime | None) -> str:
    """Write an instant in UTC, beside the local one: a deadline means the same everywhere."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


routes = [votes, vote, check, cast, result, card]
