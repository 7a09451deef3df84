"""The sandbox as a Litestar application: mounted at a path of the main one, or on its own."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
from litestar import Litestar, Request, Response, route
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from api.sandbox import pages
from api.sandbox.endpoint import UNKNOWN, Answer, Asked, answering
from api.sandbox.forms import MOST_BYTES
from api.sandbox.problems import StripeProblem
from api.sandbox.sandbox import Instant, Sandbox, Webhook
from api.sandbox.terms import Terms


class _Closed(ASGIResponse):
    """An answer that begins and never comes: the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"1000"), (b"content-type", b"application/json")],
            }
        )


class _Lost(Response[bytes]):
    def to_asgi_response(self, *_args: object, **_kwargs: object) -> ASGIResponse:
        return _Closed(body=b"", status_code=200)


@route("/v1/{rest:path}", http_method=["GET", "POST", "DELETE"], status_code=200, include_in_schema=False)
async def answer_api(request: Request[Any, Any, Any], rest: FromPath[str]) -> Response[bytes]:
    """Answer a request to Stripe's API."""
    sandbox: Sandbox = request.app.state.sandbox
    headers = request.headers
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return _json(
                Answer(413, b'{"error": {"type": "invalid_request_error", "message": "Too large."}}')
            )
    asked = Asked(
        method=str(request.method),
        path="/v1/" + rest.strip("/"),
        query=request.scope["query_string"],
        body=body,
        authorization=headers.get("authorization", ""),
        version=headers.get("stripe-version", ""),
        key=headers.get("idempotency-key"),
        account=headers.get("stripe-account", ""),
        content_type=headers.get("content-type", ""),
    )
    if asked.key in sandbox.keys_in_use:
        in_use = StripeProblem(
            f"There is currently another in-progress request using this Idempotency Key '{asked.key}'.",
            status=409,
            code="idempotency_key_in_use",
        )
        return _json(Answer(409, json.dumps(in_use.body, indent=2).encode()))
    answer = await sandbox.serve(answering(asked))
    if answer.delay:
        with sandbox.using(asked.key):
            await anyio.sleep(answer.delay)
    if answer.lost == "closed":
        return _Lost(b"")
    if answer.lost:
        return _json(Answer(500, json.dumps(UNKNOWN.body).encode(), answer.headers))
    return _json(answer)


def _json(answer: Answer) -> Response[bytes]:
    return Response(answer.body, status_code=answer.status, headers=answer.headers, media_type=MediaType.JSON)


def create_sandbox(
    *,
    url: str,
    clock: Instant,
    path: Path | None = None,
    webhook: Webhook | None = None,
    terms: Terms | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    background: bool = True,
) -> Litestar:
    """Return the sandbox as an application whose `state.sandbox` is the `Sandbox` itself.

    `url` is where it is reached from outside, with the path it is mounted at; `clock` tells business time;
    without `path` everything is kept in memory; `background=False` leaves due tasks and webhooks to whoever
    calls `state.sandbox.settle()`. A mounting application must enter this one's `lifespan()`.
    """
    sandbox = Sandbox(url=url, clock=clock, path=path, webhook=webhook, terms=terms, transport=transport)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        try:
            if background:
                async with sandbox.working():
                    yield
            else:
                yield
        finally:
            sandbox.close()

    app = Litestar(
        route_handlers=[answer_api, *pages.routes],
        exception_handlers={Exception: pages.failure},
        lifespan=[lifespan],
        openapi_config=None,
        request_max_body_size=MOST_BYTES,
        pdb_on_exception=False,
        logging_config=None,
    )
    app.state.sandbox = sandbox
    return app
