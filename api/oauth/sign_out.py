"""Signing out at a network's request (OpenID Connect RP-Initiated Logout 1.0), after the member has confirmed it."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer, session_cookie
from api.oauth import parameters
from api.oauth.browser import by_get, refusal
from api.oauth.parameters import Parameters, Unreadable
from api.pages.entrance import cookie, onward
from api.pages.languages import spoken
from api.pages.rendering import ASKED_LOCALE, page
from coop.authorization import claims, ending, logout, redirects
from coop.authorization.logout import BadLogout, LogoutRequest
from coop.errors import Invalid
from coop.identity import sessions
from coop.settings import Settings
from coop.unit_of_work import Units


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    """What the confirmation form sends."""

    request: Annotated[str, msgspec.Meta(max_length=parameters.LARGEST)] = ""
    decision: Annotated[str, msgspec.Meta(max_length=10)] = ""


@get("/oauth/end-session", include_in_schema=False)
async def end_session(
    request: AnyRequest, units: NamedDependency[Units], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """Ask whether to sign out here as well; whoever is not signed in goes on at once."""
    try:
        asked = await _read(request, units, parameters.of_query(request))
    except (Invalid, Unreadable) as error:
        return refusal(request, error if isinstance(error, Invalid) else BadLogout())
    if viewer is None:
        return onward(asked.onward) if asked.onward else page("oauth/signed_out.html", request)
    return page(
        "oauth/sign_out.html",
        request,
        form_targets=(redirects.origin(asked.onward),) if asked.onward else (),
        network=asked.client.name if asked.client else None,
        handle=viewer.handle,
        stranger=_means_another(units.settings, asked, viewer),
        query=request.url.query,
    )


@post("/oauth/end-session", include_in_schema=False)
async def end_session_by_form(request: AnyRequest) -> Response[bytes]:
    """Accept the request as a form, too, and go on with GET, which brings the cookies."""
    return await by_get(request, "/oauth/end-session")


@post("/oauth/sign-out", include_in_schema=False)
async def confirm(
    request: AnyRequest,
    data: URLEncodedBody[Confirmation],
    units: NamedDependency[Units],
    settings: NamedDependency[Settings],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """End this browser's session and what was granted in it, then go where the network wants the browser."""
    try:
        asked = await _read(request, units, parameters.read(data.request.encode()))
    except (Invalid, Unreadable, UnicodeError) as error:
        return refusal(request, error if isinstance(error, Invalid) else BadLogout())
    cookies = []
    if data.decision == "sign-out":
        if viewer is not None:
            async with units.open() as work:
                await ending.of_sessions(work, await sessions.end(work, viewer.session_id))
        cookies = [cookie(settings, session_cookie(settings), "", max_age=0)]
    if asked.onward:
        return onward(asked.onward, cookies=cookies)
    if not cookies:
        return onward("/account")
    request.state["viewer"] = None
    answer = page("oauth/signed_out.html", request, status=HTTPStatus.OK)
    answer.cookies = cookies
    return answer


def _means_another(settings: Settings, asked: LogoutRequest, viewer: Viewer) -> bool:
    """Tell whether the network asks to sign out somebody else than whoever is signed in in this browser."""
    if asked.client is None or asked.subject is None:
        return False
    return asked.subject != claims.subject(settings, asked.client, viewer.account_id)


async def _read(request: AnyRequest, units: Units, form: Parameters) -> LogoutRequest:
    request.state[ASKED_LOCALE] = spoken(form.values.get("ui_locales", "").split())
    if form.repeated:
        raise BadLogout
    async with units.read() as work:
        return await logout.read(work, form.values)


routes = [confirm, end_session, end_session_by_form]
