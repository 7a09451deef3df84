"""The authorization endpoint: whoever a network sends here signs in, agrees, and is sent back (RFC 6749, section 3.1)."""

from urllib.parse import quote

from litestar import Response, get, post
from litestar.di import NamedDependency

from api.dependencies import AnyRequest, Viewer
from api.oauth import parameters
from api.oauth.browser import by_get, grant, refusal, visit_of
from api.oauth.consent import ask
from api.oauth.parameters import Parameters, Unreadable
from api.pages.destination import Destination
from api.pages.entrance import cookie, onward
from api.pages.languages import spoken
from api.pages.rendering import ASKED_LOCALE, WISHED_LOCALE
from coop.authorization import interactions, redirects, requests
from coop.authorization.interactions import Step
from coop.authorization.requests import AuthorizationRequest, Denied, UnsafeRequest
from coop.errors import CoopError
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

LONGEST_HINT = 254
"""Characters of a login hint: an e-mail address or a handle."""


@get("/oauth/authorize", include_in_schema=False)
async def authorize(
    request: AnyRequest, units: NamedDependency[Units], viewer: NamedDependency[Viewer | None]
) -> Response[bytes]:
    """Take the next step of a request: sign in, sign up, see to the dues, agree, or go back with a code."""
    try:
        return await _go_on(request, units, viewer, parameters.of_query(request))
    except Unreadable as error:
        return refusal(request, UnsafeRequest(f"The network that sent you here made a mistake. {error}"))


@post("/oauth/authorize", include_in_schema=False)
async def authorize_by_form(request: AnyRequest) -> Response[bytes]:
    """Accept the request as a form, too (OpenID Connect Core, 3.1.2.1), and go on with GET, which brings the cookies."""
    return await by_get(request, requests.PATH)


async def _go_on(
    request: AnyRequest, units: Units, viewer: Viewer | None, form: Parameters
) -> Response[bytes]:
    settings = units.settings
    marker = request.cookies.get(interactions.cookie_name(settings))
    try:
        async with units.read() as work:
            asked = await requests.read(work, form.values, form.repeated)
            step = await interactions.next_step(work, asked, visit_of(viewer), marker)
            former = viewer.session_id if viewer else None
            mark = interactions.mark(work, asked, former, for_dues=step is Step.DUES)
        if viewer is not None and step is Step.CONSENT:
            request.state[ASKED_LOCALE] = spoken(asked.ui_locales)
            return await ask(request, units, viewer, asked)
        if viewer is not None and step is Step.DONE:
            async with units.open() as work:
                return await grant(work, viewer, asked)
    except UnsafeRequest as error:
        return refusal(request, error)
    except Denied as denied:
        return onward(denied.location(settings.issuer))
    return _detour(settings, step, asked, mark, again=viewer is not None)


async def destination(work: UnitOfWork, path: str) -> Destination | None:
    """Return the network behind the path of an authorization request, for the pages that lead there."""
    try:
        form = parameters.read(path.partition("?")[2].encode())
        asked = await requests.read(work, form.values, form.repeated)
    except (Unreadable, CoopError, UnicodeError):
        return None
    return Destination(name=asked.client.name, form_targets=(redirects.origin(asked.redirect_uri),))


def _detour(
    settings: Settings, step: Step, asked: AuthorizationRequest, mark: str, *, again: bool
) -> Response[bytes]:
    back = quote(asked.path, safe="")
    sign_in = f"/sign-in?next={back}"
    if again:
        sign_in += "&reauthenticate=1"
    elif asked.login_hint:
        sign_in += f"&login_hint={quote(asked.login_hint[:LONGEST_HINT], safe='')}"
    location = {
        Step.SIGN_IN: sign_in,
        Step.SIGN_UP: f"/sign-up?next={back}",
        Step.DUES: f"/join?next={back}",
    }[step]
    lifetime = int(interactions.LIFETIME.total_seconds())
    cookies = [cookie(settings, interactions.cookie_name(settings), mark, max_age=lifetime)]
    wished = spoken(asked.ui_locales)
    if wished is not None:
        cookies.append(cookie(settings, WISHED_LOCALE, wished, max_age=lifetime))
    return onward(location, cookies=cookies)


routes = [authorize, authorize_by_form]
