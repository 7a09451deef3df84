"""Plugging a network in, by a program to which a steward entrusted that."""

from http import HTTPStatus
from typing import Literal, cast

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.dependencies import AnyRequest
from api.v1.answers import NetworkAnswer, NewNetwork, PluggedIn
from api.v1.bearer import registrar_only
from api.v1.bodies import require_json
from api.v1.problems import problems
from coop.authorization import onboarding, recipes, supervision
from coop.authorization.clients import Client
from coop.authorization.onboarding import Onboarded
from coop.authorization.scopes import NETWORKS
from coop.settings import Settings
from coop.unit_of_work import Units


@post(
    "/networks",
    operation_id="registerNetwork",
    summary="Plug a network in",
    tags=["Networks"],
    guards=[registrar_only],
    before_request=require_json,
    security=[{"networkToken": [NETWORKS]}],
    responses=problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
)
async def register(
    request: AnyRequest, data: JSONBody[NewNetwork], units: NamedDependency[Units]
) -> Response[PluggedIn]:
    """Register the network, sign the covenant for it, and make its client.

    An address is plugged in once: asked again, the answer is 409 with the code `origin_taken`, and nothing changes.
    """
    # Software without a recipe is its owner's own, so that a misspelt kind is never taken for one of those.
    recipes.find(data.kind)
    async with units.open() as work:
        registrar = await work.session.get_one(Client, request.state["registrar"])
        reason = f"Through the API, by {registrar.name}."
        made = await onboarding.onboard(
            work,
            kind=data.kind,
            name=data.name,
            origin=data.origin,
            slug=data.slug,
            callback=data.callback,
            webhook=data.webhook,
            reason=reason,
        )
        if data.members_only:
            await supervision.gate(work, made.network, members_only=True, reason=reason, by=None)
    return Response(
        _told(units.settings, made),
        status_code=HTTPStatus.CREATED,
        headers={"Cache-Control": "no-store", "Location": units.settings.url("/v1/networks")},
    )


def _told(settings: Settings, made: Onboarded) -> PluggedIn:
    network, client = made.network, made.client
    return PluggedIn(
        network=NetworkAnswer(
            slug=network.slug,
            name=network.name,
            kind=network.kind,
            origin=network.origin,
            registered_at=network.created_at,
            covenant_version=made.covenant_version,
        ),
        issuer=settings.issuer,
        client_id=client.id,
        client_secret=made.client_secret or "",
        auth_method=cast("Literal['client_secret_basic', 'client_secret_post']", client.auth_method),
        redirect_uris=tuple(client.redirect_uris),
        post_logout_redirect_uris=tuple(client.post_logout_redirect_uris),
        backchannel_logout_uri=client.backchannel_logout_uri,
        scope=client.scope,
        webhook_secret=made.webhook_secret,
        configuration=made.configuration,
    )


routes = [register]
