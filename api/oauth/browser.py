"""What the pages of an authorization request share: the way back to the client, and the refusal that leads nowhere."""

from http import HTTPStatus
from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie

from api.dependencies import AnyRequest, Viewer
from api.oauth import parameters
from api.oauth.parameters import Unreadable
from api.pages.entrance import cookie, onward
from api.pages.rendering import page
from coop.authorization import grants, interactions, scopes
from coop.authorization.interactions import Visit
from coop.authorization.requests import AuthorizationRequest, UnsafeRequest
from coop.errors import CoopError, NotSignedIn
from coop.identity import sessions
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork


async def by_get(request: AnyRequest, path: str) -> Response[bytes]:
    """Turn a form from another site into a GET of the same parameters; nothing is decided before."""
    try:
        await parameters.of_form(request)
    except Unreadable as error:
        return refusal(request, UnsafeRequest(f"The network that sent you here made a mistake. {error}"))
    # A form may hold characters that would end a query, or that no header may hold.
    return onward(f"{path}?{quote(await request.body(), safe='%&=+')}")


def visit_of(viewer: Viewer | None) -> Visit | None:
    """Return what the protocol needs to know of the viewer."""
    if viewer is None:
        return None
    return Visit(
        account_id=viewer.account_id,
        session_id=viewer.session_id,
        authenticated_at=viewer.authenticated_at,
        amr=viewer.amr,
    )


async def grant(work: UnitOfWork, viewer: Viewer, asked: AuthorizationRequest) -> Response[bytes]:
    """Record the grant and send the browser back with its code; the interaction is over."""
    try:
        # Held, since what is granted in a session must end with it, also if it ends this very moment.
        session = await sessions.hold(work, viewer.session_id)
    except NotSignedIn:
        return onward(asked.path)
    code = await grants.begin(
        work,
        asked.client,
        account_id=viewer.account_id,
        session_id=session.lineage,
        scope=scopes.joined(asked.scope),
        nonce=asked.nonce,
        authenticated_at=viewer.authenticated_at,
        amr=viewer.amr,
        redirect_uri=asked.redirect_uri,
        code_challenge=asked.code_challenge,
        claims=interactions.remembered(asked, viewer.amr),
    )
    return onward(asked.granted(code, work.settings.issuer), cookies=[over(work.settings)])


def over(settings: Settings) -> Cookie:
    """Return the cookie that removes the marker of an interaction."""
    return cookie(settings, interactions.cookie_name(settings), "", max_age=0)


def refusal(request: AnyRequest, error: CoopError) -> Response[bytes]:
    """Show a person what went wrong; nothing in the request may send the browser anywhere."""
    return page(
        "error.html",
        request,
        status=HTTPStatus.BAD_REQUEST,
        code=error.code,
        title=error.title,
        detail=error.message,
        status_code=int(HTTPStatus.BAD_REQUEST),
    )
