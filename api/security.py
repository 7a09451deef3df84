"""What every answer and every unsafe request must satisfy: headers, origin, and paths that stay at home."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import cast
from urllib.parse import quote, urlsplit

import msgspec
from litestar import Request
from litestar._parsers import parse_url_encoded_form_data
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from coop.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# Prefixes of machine-to-machine endpoints: they authenticate by secret or signature, never by cookie. The two that
# networks may also reach by a form of theirs only turn it into a GET.
COOKIELESS = (
    "/oauth/authorize",
    "/oauth/end-session",
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/register",
    "/oauth/userinfo",
    "/v1/",
    "/hooks/",
    "/sandbox/",
)

# What software that runs in somebody's browser calls by itself, with the methods it may use (OpenID Connect Core, section
# 5.3.1). Any site's page may read these answers, since no cookie counts here: whoever asks has shown a code or a token.
CROSS_ORIGIN = {
    "/.well-known/oauth-authorization-server": "GET",
    "/.well-known/openid-configuration": "GET",
    "/oauth/jwks": "GET",
    "/oauth/revoke": "POST",
    "/oauth/token": "POST",
    "/oauth/userinfo": "GET, POST",
}
_READABLE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "WWW-Authenticate, Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_PREFLIGHT_SECONDS = 3600

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), publickey-credentials-get=(self)",
}
_TOKEN = re.compile(r"[a-z][a-z0-9+.-]*:(//[^\s;,'\"]+)?")


def content_security_policy(form_targets: tuple[str, ...] = ()) -> str:
    """Return the strict policy; `form_targets` are origins to which a form of this page may lead by redirect.

    Chrome applies `form-action` to every redirect that follows a submitted form, so sign-in and consent pages
    must name the client's origin, and the pay page Stripe's.
    """
    targets = " ".join(["'self'", *(t for t in form_targets if _TOKEN.fullmatch(t))])
    return (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        f"base-uri 'none'; frame-ancestors 'none'; form-action {targets}"
    )


def local_path(candidate: str | None, default: str = "/account") -> str:
    r"""Return `candidate` if it is a path of ours, else `default`: nobody is redirected away by a parameter.

    Browsers read `//host`, `/\host` and control characters as ways out; none of them passes.
    """
    if not candidate or len(candidate) > 8000 or not candidate.startswith("/") or candidate.startswith("//"):  # noqa: PLR2004 - a URL's sane length
        return default
    if "\\" in candidate or any(ord(c) < 0x21 or ord(c) == 0x7F for c in candidate):  # noqa: PLR2004 - controls and space
        return default
    parts = urlsplit(candidate)
    return default if parts.scheme or parts.netloc else candidate


def sign_in_path(request: Request[object, object, State]) -> str:
    """Return the sign-in page's path, leading back to where the visitor was going."""
    target = request.url.path
    if request.method not in SAFE_METHODS:
        return "/sign-in"
    if request.url.query:
        target += f"?{request.url.query}"
    return f"/sign-in?next={quote(target, safe='')}"


def foreign_origin(scope: Scope, settings: Settings) -> bool:
    """Tell whether an unsafe request was made by another site's page (CSRF, also of the login form).

    Browsers state it in Sec-Fetch-Site, older ones in Origin; a request with neither does not come from a browser,
    and the cookie's SameSite=Lax stands behind both (docs/decisions/0003).
    """
    headers = {name: value for name, value in scope["headers"] if name in {b"sec-fetch-site", b"origin"}}
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in {b"same-origin", b"none"}
    origin = headers.get(b"origin")
    return origin is not None and origin != settings.issuer.encode()


class Security:
    """The outermost middleware: it refuses foreign requests and writes the security headers on every answer."""

    def __init__(self, app: ASGIApp, settings: Settings, methods: Mapping[str, Iterable[str]]):
        """Wrap `app`; `methods` are those of each path that it knows, by its template."""
        self.app = app
        self.settings = settings
        headers = HEADERS | {"Content-Security-Policy": content_security_policy()}
        if settings.secure:
            headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
        self.headers = _pairs(headers)
        self.allowed = {path: _allowed(known) for path, known in methods.items()}
        self.readable = _pairs(headers | _READABLE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return

        request: HTTPScope = scope
        path, method = request["path"], request["method"]
        methods = CROSS_ORIGIN.get(path)
        headers = self.headers if methods is None else self.readable

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])
                present = {name.lower() for name, _ in given}
                if b"allow" in present:
                    given = [
                        (name, value if name != b"allow" else self._allow(scope, value))
                        for name, value in given
                    ]
                given.extend(pair for pair in headers if pair[0] not in present)
                message["headers"] = given
            elif method == "HEAD" and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        if method == "HEAD":
            # Answered as GET is, but for the body (RFC 9110, section 9.3.2); the framework would know GET only.
            scope = cast("HTTPScope", {**request, "method": "GET"})
        if method == "OPTIONS" and methods is not None:
            await _allow(send_with_headers, methods)
        elif (
            method not in SAFE_METHODS
            and not path.startswith(COOKIELESS)
            and foreign_origin(scope, self.settings)
        ):
            await _plain(
                send_with_headers,
                HTTPStatus.FORBIDDEN,
                "foreign_origin",
                "This form was sent from another site. Open it here and send it again.",
            )
        else:
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                # The framework remembers the last 1024 forms, with the passwords in them and however large they were.
                parse_url_encoded_form_data.cache_clear()

    def _allow(self, scope: Scope, said: bytes) -> bytes:
        """Return the methods of a path: the framework's answer to OPTIONS names those of its first handler only."""
        known = self.allowed.get(scope.get("path_template", "")) if scope.get("method") == "OPTIONS" else None
        return known or _allowed(said.decode("latin-1").split(", "))


def _pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Return `headers` as the server wants them, since every answer gets them."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _allowed(methods: Iterable[str]) -> bytes:
    """Spell the methods of a path, and name HEAD beside GET, since it is answered wherever GET is."""
    named = {*methods}
    return ", ".join(sorted(named | {"HEAD"} if "GET" in named else named)).encode()


async def _allow(send: Send, methods: str) -> None:
    """Answer a browser that asks beforehand what a page of another site may send."""
    headers = _pairs(
        {
            "Allow": f"{methods}, OPTIONS",
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }
    )
    await send({"type": "http.response.start", "status": int(HTTPStatus.NO_CONTENT), "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _plain(send: Send, status: HTTPStatus, code: str, detail: str) -> None:
    body = msgspec.json.encode(
        {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, "code": code}
    )
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
