"""The OpenAPI 3.1 document of the API: read off the handlers and the structs, so that it cannot fall behind them."""

from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, OAuthFlow, OAuthFlows, SecurityScheme, Server, Tag

from api.errors import Problem
from api.v1 import answers, entitlements, networks, public
from coop.authorization.scopes import ENTITLEMENTS, NETWORKS
from coop.policies import KINDS
from coop.settings import Settings

VERSION = "1"
_STRUCTS = (
    Problem,
    answers.EntitlementAnswer,
    answers.Batch,
    answers.BatchAnswer,
    answers.Directory,
    answers.NewNetwork,
    answers.PluggedIn,
    answers.Law,
    answers.MotionAnswer,
    answers.Motions,
)
_PARAMETERS: dict[str, dict[str, Any]] = {
    "subject": msgspec.json.schema(answers.SubjectText),
    "kind": {"enum": list(KINDS)},
    "motion_id": {"type": "string", "format": "uuid"},
}
_ALWAYS_WHOLE = ("getEntitlements", "registerNetwork")
_DESCRIPTION = """\
What networks ask the cooperative, and what everybody may read of it. Refusals are problem documents (RFC 9457) with a
stable `code`. Login is OpenID Connect: see `/.well-known/openid-configuration`.
"""


@cache
def document(issuer: str) -> dict[str, Any]:
    """Return the document for the service at `issuer`."""
    network_token = SecurityScheme(
        type="oauth2",
        description="An access token that a client got in its own name: a network's own for `entitlements`.",
        flows=OAuthFlows(
            client_credentials=OAuthFlow(
                token_url=f"{issuer}/oauth/token",
                scopes={
                    ENTITLEMENTS: "Ask whether people are members.",
                    NETWORKS: "Plug networks in; only `coop client add` gives it.",
                },
            )
        ),
    )
    described = Litestar(
        [Router("/v1", route_handlers=[*entitlements.routes, *networks.routes, *public.routes])],
        dependencies={"units": Provide(lambda: None, sync_to_thread=False)},
        openapi_config=OpenAPIConfig(
            title="coop",
            version=VERSION,
            description=_DESCRIPTION,
            servers=[Server(url=issuer)],
            tags=[
                Tag(name="Entitlements", description="For networks, with a token of their own."),
                Tag(name="Networks", description="For whoever plugs networks in, with a token for that."),
                Tag(name="Public record", description="For everybody, without a token."),
            ],
            components=Components(security_schemes={"networkToken": network_token}),
        ),
        logging_config=None,
    ).openapi_schema.to_schema()
    # msgspec knows its own structs best: closed objects, bounds, discriminators.
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    described["components"]["schemas"] = schemas
    for operations in described["paths"].values():
        for operation in operations.values():
            _complete(operation)
    return described


def _complete(operation: dict[str, Any]) -> None:
    """Say what the framework cannot know: that a fresh copy is answered by 304, and the header that goes with 401."""
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _PARAMETERS[parameter["name"]]
    responses = operation["responses"]
    if "401" in responses:
        responses["401"]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}}
    if operation["operationId"] not in _ALWAYS_WHOLE:
        responses["200"]["headers"] = {"ETag": {"schema": {"type": "string"}, "required": True}}
        responses["304"] = {"description": "The copy that `If-None-Match` names is still true."}


@get("/openapi.json", include_in_schema=False)
async def openapi(settings: NamedDependency[Settings]) -> Response[bytes]:
    """Serve the document."""
    return Response(
        msgspec.json.encode(document(settings.issuer)),
        status_code=HTTPStatus.OK,
        media_type="application/json",
        headers={"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"},
    )


routes = [openapi]
