"""Signing in with a handle or an e-mail address and a password, and signing out."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer, session_cookie
from api.pages.destination import destination
from api.pages.entrance import address, cookie, mark_cookie, onward, options, signed_in_cookies, told
from api.pages.rendering import page
from api.security import local_path
from coop.authorization import ending
from coop.identity import accounts, browsers, passkeys, sessions, throttle
from coop.identity.accounts import Account
from coop.identity.passwords import Hasher
from coop.settings import Settings
from coop.unit_of_work import Units

WRONG = "The handle and the password do not belong together."
"""The one answer to whatever is not right; it never tells whether the account exists."""

Typed = Annotated[str, msgspec.Meta(max_length=2000)]
Path = Annotated[str, msgspec.Meta(max_length=8000)]


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """What the sign-in form sends."""

    name: Typed = ""
    password: Typed = ""
    credential: Annotated[str, msgspec.Meta(max_length=passkeys.LARGEST)] = ""
    next: Path = ""


@get("/sign-in", include_in_schema=False)
async def form(
    request: AnyRequest,
    viewer: NamedDependency[Viewer | None],
    next: FromQuery[str] = "",  # noqa: A002 - the name of the query parameter
    reauthenticate: FromQuery[str] = "",
    login_hint: FromQuery[str] = "",
) -> Response[bytes]:
    """Ask who is there; whoever is signed in already goes straight on, unless they must prove it again."""
    if viewer is not None and not reauthenticate:
        return onward(local_path(next))
    return await _ask(
        request, local_path(next), name=viewer.handle if viewer else login_hint, again=viewer is not None
    )


@post("/sign-in", include_in_schema=False)
async def submit(
    request: AnyRequest,
    data: URLEncodedBody[SignIn],
    units: NamedDependency[Units],
    hasher: NamedDependency[Hasher],
    settings: NamedDependency[Settings],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Open a new session, under a new identifier, for whoever knows the password or holds a passkey."""
    next_path = local_path(data.next)
    if data.credential:
        return await _by_passkey(request, data, units, settings, again=viewer is not None)
    errors = {}
    if not data.name.strip():
        errors["name"] = "Type your handle, or your e-mail address."
    if not data.password:
        errors["password"] = "Type your password."  # noqa: S105 - a sentence
    if errors:
        return await _ask(request, next_path, name=data.name, errors=errors)
    async with units.read() as work:
        account = await accounts.by_name(work, data.name)
    budgets = _budgets(request, settings, data.name, account)
    await throttle.admit(units, *budgets)
    # Outside any transaction, and as long for nobody's account as for somebody's.
    secret = None
    if await hasher.verify(account.password_digest if account else None, data.password) and account:
        async with units.open() as work:
            secret = await sessions.open_for(
                work,
                account.id,
                amr=("pwd",),
                user_agent=request.headers.get("user-agent", ""),
                password_digest=account.password_digest,
                instead_of=request.cookies.get(session_cookie(settings)),
            )
            await throttle.forgive(work, budgets[0])
            await throttle.give_back(work, *budgets[1:])
    if secret is None or account is None:
        return await _ask(
            request, next_path, name=data.name, errors={"password": WRONG}, again=viewer is not None
        )
    return onward(next_path, cookies=signed_in_cookies(settings, secret, browsers.mark(settings, account.id)))


@post("/sign-in/passkey", status_code=HTTPStatus.OK, include_in_schema=False)
async def passkey_options(request: AnyRequest, units: NamedDependency[Units]) -> Response[bytes]:
    """Return what the browser needs to ask for a passkey; it is the same for everybody."""
    await throttle.admit(units, throttle.CEREMONIES.by(address(request)))
    async with units.open() as work:
        return options(await passkeys.begin_sign_in(work))


@post("/sign-out", include_in_schema=False)
async def sign_out(
    settings: NamedDependency[Settings],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """End this browser's session."""
    if viewer is not None:
        async with units.open() as work:
            await ending.of_sessions(work, await sessions.end(work, viewer.session_id))
    return onward("/", cookies=[cookie(settings, session_cookie(settings), "", max_age=0)])


async def _by_passkey(
    request: AnyRequest, data: SignIn, units: Units, settings: Settings, *, again: bool
) -> Response[bytes]:
    """Sign in whoever signed our challenge; no guess is possible here, so none is counted."""
    next_path = local_path(data.next)
    try:
        ceremony = await passkeys.take(units, data.credential, purpose="sign_in")
        async with units.open() as work:
            key = await passkeys.verify(work, ceremony)
            secret = await sessions.open_for(
                work,
                key.account_id,
                amr=passkeys.methods(key),
                user_agent=request.headers.get("user-agent", ""),
                instead_of=request.cookies.get(session_cookie(settings)),
            )
    except passkeys.BadPasskey as refusal:
        return await _ask(request, next_path, name=data.name, errors={"": refusal.message}, again=again)
    if secret is None:
        return await _ask(request, next_path, name=data.name, errors={"": WRONG}, again=again)
    return onward(
        next_path, cookies=signed_in_cookies(settings, secret, browsers.mark(settings, key.account_id))
    )


def _budgets(
    request: AnyRequest, settings: Settings, name: str, account: Account | None
) -> list[throttle.Budget]:
    """Return what this attempt counts against: first the account from here, then the wider ones."""
    who = str(account.id) if account else name.strip().lower()
    here = address(request)
    around = [throttle.SIGN_IN_ADDRESS.by(here)]
    browser = (
        browsers.known(settings, request.cookies.get(mark_cookie(settings)), account.id) if account else None
    )
    if browser:
        # Guesses from elsewhere do not count against the owner's own browser.
        return [throttle.SIGN_IN_HERE.by(who, browser)]
    return [throttle.SIGN_IN_HERE.by(who, here), throttle.SIGN_IN_ANYWHERE.by(who), *around]


async def _ask(
    request: AnyRequest,
    next_path: str,
    *,
    name: str,
    errors: dict[str, str] | None = None,
    again: bool = False,
) -> Response[bytes]:
    towards = await destination(request, next_path)
    return page(
        "sign_in/form.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=towards.form_targets if towards else (),
        network=towards.name if towards else None,
        next_path=next_path,
        name=name[:254],
        again=again,
        passkeys=passkeys.relying_party(request.app.state.settings),
        errors=told(request, errors or {}),
    )


routes = [form, submit, passkey_options, sign_out]
