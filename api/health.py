"""Health: whether this process answers, and whether it can do its work."""

from http import HTTPStatus
from typing import Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from coop.unit_of_work import Units


class Health(msgspec.Struct):
    """The state of one process, for load balancers and people on call."""

    status: Literal["ok", "degraded"]
    database: Literal["ok", "unreachable"]


@get("/health", include_in_schema=False, cache=False)
async def health(units: NamedDependency[Units]) -> Response[Health]:
    """Answer even while the database is away: the process lives, and says what it lacks."""
    try:
        async with units.reader.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError):
        return Response(Health("degraded", "unreachable"), status_code=HTTPStatus.SERVICE_UNAVAILABLE)
    return Response(Health("ok", "ok"))


routes = [health]
