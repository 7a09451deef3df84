"""What the sandbox serves beside the API: its style, its pages, and words for what went wrong."""

import json
from typing import Any

import structlog
from litestar import Request, Response, get
from litestar.enums import MediaType
from litestar.exceptions import HTTPException

from api.sandbox import checkout_page, fault_page, portal_page
from api.sandbox.problems import StripeProblem
from api.sandbox.rendering import STYLE, headers, page

log = structlog.get_logger()


@get("/sandbox.css", include_in_schema=False)
async def style() -> Response[bytes]:
    """Serve the one style sheet."""
    return Response(
        STYLE, media_type="text/css", headers=headers() | {"Cache-Control": "public, max-age=300"}
    )


def failure(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Say what went wrong: in Stripe's form to programs, as a page to people."""
    if isinstance(error, StripeProblem):
        problem = error
    elif isinstance(error, HTTPException) and error.status_code < 500:  # noqa: PLR2004 - a client's mistake
        words = {404: "There is nothing here.", 405: "That method is not used here."}
        problem = StripeProblem(
            words.get(error.status_code, "The request is not valid."), status=error.status_code
        )
    else:
        log.error("sandbox_failed", exc_info=error)
        problem = StripeProblem("Something went wrong in the sandbox.", status=500, kind="api_error")
    if "/v1/" in request.scope["path"]:
        return Response(
            json.dumps(problem.body).encode(), status_code=problem.status, media_type=MediaType.JSON
        )
    base: str = request.app.state.sandbox.url
    return page("sorry.html", {"message": problem.error["message"]}, base=base, status=problem.status)


routes = [style, *checkout_page.routes, *portal_page.routes, *fault_page.routes]
