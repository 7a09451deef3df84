"""What sign-in and sign-up share: the cookies of a signed-in browser, and the way onward."""

from http import HTTPStatus

from litestar import MediaType, Response
from litestar.datastructures import Cookie

from api.dependencies import AnyRequest, session_cookie
from api.pages.languages import translated, translations
from api.pages.rendering import locale_of
from coop.identity import sessions, throttle
from coop.settings import Settings

A_YEAR = 365 * 24 * 3600


def onward(location: str, *, cookies: list[Cookie] | None = None) -> Response[bytes]:
    """Send the browser on with GET: never 307, which would send a password along."""
    headers = {"Location": location, "Cache-Control": "no-store"}
    return Response(b"", status_code=HTTPStatus.SEE_OTHER, headers=headers, cookies=cookies or [])


def options(document: str) -> Response[bytes]:
    """Answer the script that asks for the options of a passkey ceremony."""
    headers = {"Cache-Control": "no-store"}
    return Response(document.encode(), media_type=MediaType.JSON, headers=headers)


def cookie(settings: Settings, name: str, value: str, *, max_age: int) -> Cookie:
    """Return a cookie that scripts cannot read and other sites cannot have sent with a form."""
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=max_age,
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )


def signed_in_cookies(settings: Settings, secret: str, mark: str) -> list[Cookie]:
    """Return the cookies of a browser that has just signed in."""
    lifetime = int(sessions.ABSOLUTE.total_seconds())
    return [
        cookie(settings, session_cookie(settings), secret, max_age=lifetime),
        cookie(settings, mark_cookie(settings), mark, max_age=A_YEAR),
    ]


def mark_cookie(settings: Settings) -> str:
    """Return the name of the cookie by which a browser knows its account (coop.identity.browsers)."""
    return "__Host-known" if settings.secure else "known"


def address(request: AnyRequest) -> str:
    """Return whom the address of this request stands for, for throttling; it is never stored."""
    return throttle.address(request.client.host if request.client else None)


def told(request: AnyRequest, errors: dict[str, str]) -> dict[str, str]:
    """Return `errors`, by field, in the visitor's language."""
    catalogue = translations(locale_of(request))
    return {field: translated(message, catalogue) for field, message in errors.items()}
