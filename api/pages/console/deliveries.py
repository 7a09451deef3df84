"""A network's deliveries in its console: what it was told, whether that arrived, and telling it again."""

from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.console.access import PATH, act, at, look
from api.pages.entrance import onward, told
from api.pages.rendering import page
from coop.networks import deliveries, endpoints
from coop.unit_of_work import Units

HERE = f"{PATH}/deliveries"


class One(msgspec.Struct, forbid_unknown_fields=True):
    """The delivery to send again."""

    delivery: Annotated[str, msgspec.Meta(max_length=40)]


class Failed(msgspec.Struct, forbid_unknown_fields=True):
    """From which day on to send again what has not arrived; none means all of it."""

    since: Annotated[str, msgspec.Meta(max_length=20)] = ""


@get(HERE, include_in_schema=False)
async def latest(
    request: AnyRequest,
    slug: FromPath[str],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
    again: FromQuery[Annotated[int, msgspec.Meta(ge=0, le=10**9)] | None] = None,
) -> Response[bytes]:
    """List the latest deliveries, the newest first."""
    return await _latest(request, units, signed_in, slug, again=again)


@post(f"{HERE}/replay", include_in_schema=False)
async def replay(
    slug: FromPath[str],
    data: URLEncodedBody[One],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Send one delivery again."""
    async with units.open() as work:
        network = await act(work, signed_in, slug)
        await deliveries.replay(work, network.id, data.delivery)
    return onward(f"{at(slug, 'deliveries')}?again=1")


@post(f"{HERE}/replay-failed", include_in_schema=False)
async def replay_failed(
    request: AnyRequest,
    slug: FromPath[str],
    data: URLEncodedBody[Failed],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Send everything again that has not arrived."""
    since = None
    if data.since.strip():
        try:
            day = date.fromisoformat(data.since.strip())
        except ValueError:
            return await _latest(
                request,
                units,
                signed_in,
                slug,
                since=data.since,
                errors={"since": "Write the day as year-month-day, like 2026-03-02."},
            )
        since = datetime(day.year, day.month, day.day, tzinfo=UTC)
    async with units.open() as work:
        network = await act(work, signed_in, slug)
        count = await deliveries.replay_failed(work, network.id, since=since)
    return onward(f"{at(slug, 'deliveries')}?again={count}")


async def _latest(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    slug: str,
    *,
    again: int | None = None,
    since: str = "",
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    network = await look(units, viewer, slug)
    async with units.read() as work:
        found = await deliveries.recent(work, network.id)
        endpoint = await endpoints.find(work, network.id)
    return page(
        "console/deliveries.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        network=network,
        home=at(slug),
        deliveries=found,
        endpoint=endpoint,
        moment=datetime.fromisoformat,
        again=again,
        since=since,
        errors=told(request, errors or {}),
    )


routes = [latest, replay, replay_failed]
