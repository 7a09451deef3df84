"""What everybody may read: the networks, the law and the motions."""

from http import HTTPStatus
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.dependencies import AnyRequest
from api.v1 import conditional
from api.v1.answers import Directory, Law, MotionAnswer, Motions, NetworkAnswer, PolicyAnswer
from api.v1.problems import problems
from coop import policies
from coop.governance import motions
from coop.governance.motions import Motion
from coop.networks import covenant, networks
from coop.unit_of_work import Units

CACHE = "public, max-age=60"


@get(
    "/networks",
    operation_id="listNetworks",
    summary="The networks that people can join",
    tags=["Public record"],
    responses=problems(),
)
async def list_networks(request: AnyRequest, units: NamedDependency[Units]) -> Response[Directory]:
    """List the networks by name, with the covenant that each has signed."""
    async with units.read() as work:
        found = await networks.directory(work)
        signed = await covenant.signed(work, [network.id for network in found])
    answer = Directory(
        networks=tuple(
            NetworkAnswer(
                slug=network.slug,
                name=network.name,
                kind=network.kind,
                origin=network.origin,
                registered_at=network.created_at,
                covenant_version=signed.get(network.id),
            )
            for network in found
        )
    )
    return conditional.answer(request, answer, cache=CACHE)


@get(
    "/policies/{kind:str}",
    operation_id="getLaw",
    summary="One kind of law, with its history",
    tags=["Public record"],
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
async def get_law(request: AnyRequest, kind: FromPath[str], units: NamedDependency[Units]) -> Response[Law]:
    """Tell what is in force and every version, each with the act that made it law."""
    if kind not in policies.KINDS:
        raise policies.NoSuchPolicy
    async with units.read() as work:
        in_force = await policies.in_force(work, policies.KINDS[kind])
        versions = await policies.history(work, policies.KINDS[kind])
    answer = Law(
        kind=kind,
        in_force=in_force.id,
        versions=tuple(
            PolicyAnswer(
                id=version.id,
                number=version.number,
                act=version.act,
                adopted_at=version.adopted_at,
                effective_at=version.effective_at,
                hash=version.hash,
                replaces=version.replaces,
                document=version.document,
            )
            for version in versions
        ),
    )
    return conditional.answer(request, answer, cache=CACHE)


@get(
    "/motions",
    operation_id="listMotions",
    summary="What was put to the members",
    tags=["Public record"],
    responses=problems(),
)
async def list_motions(request: AnyRequest, units: NamedDependency[Units]) -> Response[Motions]:
    """List the latest hundred motions that were announced, open or decided."""
    async with units.read() as work:
        found = await motions.listed(work, "open", "carried", "lost", "executed", "not_executed")
    answer = Motions(motions=tuple(_motion(motion) for motion in found))
    return conditional.answer(request, answer, cache=CACHE)


@get(
    "/motions/{motion_id:str}",
    operation_id="getMotion",
    summary="One motion",
    tags=["Public record"],
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
async def get_motion(
    request: AnyRequest, motion_id: FromPath[UUID], units: NamedDependency[Units]
) -> Response[MotionAnswer]:
    """Tell what a motion says, when it closes, and how it ended."""
    async with units.read() as work:
        motion = await motions.get(work, motion_id)
    if motion.announced_at is None:
        # A draft is a conversation among members until it is announced.
        raise motions.NoSuchMotion
    return conditional.answer(request, _motion(motion), cache=CACHE)


def _motion(motion: Motion) -> MotionAnswer:
    return MotionAnswer(
        id=motion.id,
        title=motion.title,
        text=motion.text,
        state=motion.state,
        motion_class=motion.motion_class,
        kind=motion.kind,
        opened_at=motion.announced_at,
        closes_at=motion.closes_at,
        effective_at=motion.effective_at,
        roll_size=motion.roll_size,
        quorum=motion.quorum,
        votes_for=motion.votes_for,
        votes_against=motion.votes_against,
        abstained=motion.abstained,
        verdict=motion.verdict,
    )


routes = [list_networks, get_law, list_motions, get_motion]
