"""The consent page: the very values that a network would be told, and the member's decision."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.oauth import parameters
from api.oauth.browser import grant, over, refusal, visit_of
from api.oauth.parameters import Unreadable
from api.pages.entrance import onward
from api.pages.rendering import page
from coop.authorization import claims, consents, interactions, redirects, requests, scopes
from coop.authorization.interactions import Step
from coop.authorization.requests import AuthorizationRequest, Denied, UnsafeRequest
from coop.errors import Invalid
from coop.identity import accounts
from coop.membership import entitlements
from coop.unit_of_work import Units


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What the consent form sends."""

    request: Annotated[str, msgspec.Meta(max_length=parameters.LARGEST)] = ""
    decision: Annotated[str, msgspec.Meta(max_length=10)] = ""
    alias: Annotated[str, msgspec.Meta(max_length=64)] = ""
    suggestion: Annotated[str, msgspec.Meta(max_length=64)] = ""
    email: Annotated[str, msgspec.Meta(max_length=10)] = ""
    display_name: Annotated[str, msgspec.Meta(max_length=10)] = ""


async def ask(
    request: AnyRequest,
    units: Units,
    viewer: Viewer,
    asked: AuthorizationRequest,
    *,
    typed: Decision | None = None,
    errors: dict[str, str] | None = None,
) -> Response[bytes]:
    """Show what would be shared, value by value."""
    async with units.read() as work:
        account = await accounts.get(work, viewer.account_id)
        former = await consents.of(work, asked.client.id, account.id)
        name = await consents.name_of(work, asked.client, account.id)
        old = await consents.old_accounts(work, asked.client, account, named=name is not None)
        own_handle = name is None and await consents.is_free(work, asked.client, account.handle)
        suggestion = typed.suggestion if typed and typed.suggestion and not errors else ""
        if name is None and not suggestion:
            suggestion = await consents.suggested_name(work, asked.client)
        entitled = await entitlements.of(work, account.id)
    shown = scopes.claims_of(asked.wanted)
    remembered = former if former is not None and former.withdrawn_at is None else None
    # A network that has the address already, and finds the old account by it, is told it unless that is switched off.
    preset = former is None and old.finds_by_email
    names = [*old.offered, suggestion, *([account.handle] if own_handle else [])]
    return page(
        "oauth/consent.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=(redirects.origin(asked.redirect_uri),),
        network=asked.client.name,
        place=redirects.host(asked.redirect_uri),
        query=asked.query,
        path_back=asked.path,
        handle=account.handle,
        name=name,
        suggestion=suggestion,
        offered=old.offered,
        finds_by_email=preset,
        own_handle=own_handle and account.handle not in old.offered,
        picked=typed.alias if typed and typed.alias in names else names[0],
        shows_profile="preferred_username" in shown,
        display_name=account.display_name if "name" in shown else None,
        email=account.email if "email" in shown else None,
        shares_email=(typed.email == "yes")
        if typed
        else preset or bool(remembered and remembered.shares_email),
        shares_display_name=(typed.display_name == "yes")
        if typed
        else bool(remembered and remembered.shares_display_name),
        offline=scopes.OFFLINE in asked.scope,
        # Shown as links; its logo is not (RFC 7591, section 2), since no page here loads anything from elsewhere.
        policy_page=asked.client.details.get("policy_uri"),
        terms_page=asked.client.details.get("tos_uri"),
        entitled=entitled,
        subject=claims.subject(units.settings, asked.client, account.id),
        errors=errors or {},
    )


@post("/oauth/consent", include_in_schema=False)
async def decide(
    request: AnyRequest,
    data: URLEncodedBody[Decision],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Follow the member's decision; the request is judged again, since the form might come from an old page."""
    settings = units.settings
    marker = request.cookies.get(interactions.cookie_name(settings))
    try:
        form = parameters.read(data.request.encode())
        async with units.read() as work:
            asked = await requests.read(work, form.values, form.repeated)
            step = await interactions.next_step(work, asked, visit_of(viewer), marker)
        if viewer is None or step not in {Step.CONSENT, Step.DONE}:
            # The session ended in the meantime, or the page was kept for another day: begin again.
            return onward(asked.path)
        if data.decision != "allow":
            denied = asked.denied("access_denied", "The member did not agree.")
            return onward(denied.location(settings.issuer), cookies=[over(settings)])
        return await _allow(request, units, viewer, asked, data)
    except (UnsafeRequest, Unreadable) as error:
        return refusal(request, error if isinstance(error, UnsafeRequest) else UnsafeRequest())
    except Denied as denied:
        return onward(denied.location(settings.issuer))


async def _allow(
    request: AnyRequest, units: Units, viewer: Viewer, asked: AuthorizationRequest, data: Decision
) -> Response[bytes]:
    try:
        async with units.open() as work:
            await consents.give(
                work,
                asked.client,
                await accounts.get(work, viewer.account_id),
                wanted=asked.wanted,
                name=data.alias,
                shares_email=data.email == "yes",
                shares_display_name=data.display_name == "yes",
            )
            return await grant(work, viewer, asked)
    except Invalid as error:
        return await ask(request, units, viewer, asked, typed=data, errors={"alias": error.message})


routes = [decide]
