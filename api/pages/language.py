"""The language switch at the foot of every page."""

from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
from litestar import Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body

from api.security import local_path
from coop.settings import Settings

A_YEAR = 365 * 24 * 3600


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """The language that a visitor picked, and the page they were reading."""

    locale: Literal["en", "pl", "fr"]
    next: str = "/"


@post("/language", status_code=HTTPStatus.SEE_OTHER, include_in_schema=False)
async def choose(
    data: Annotated[Choice, Body(media_type=RequestEncodingType.URL_ENCODED)],
    settings: NamedDependency[Settings],
) -> Response[None]:
    """Remember the language in this browser and go back to the page."""
    cookie = Cookie(
        key="locale",
        value=data.locale,
        path="/",
        max_age=A_YEAR,
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )
    return Response(
        None,
        status_code=HTTPStatus.SEE_OTHER,
        headers={"Location": local_path(data.next, "/"), "Cache-Control": "no-store"},
        cookies=[cookie],
    )


routes = [choose]
