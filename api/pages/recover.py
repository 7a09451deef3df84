"""The way back in: a link by mail or a recovery code, and a new password."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer, session_cookie
from api.pages.entrance import address, onward, signed_in_cookies, told
from api.pages.rendering import page
from coop.authorization import ending
from coop.errors import Invalid
from coop.identity import accounts, browsers, links, passwords, recovery, sessions, throttle
from coop.identity.links import DeadLink
from coop.identity.passwords import Hasher
from coop.identity.recovery import RecoveryAsked, WrongCode
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork, Units

HOME = "/account/security"
NOBODY = UUID(int=0)
"""Whom a code is tried for when there is no such account, so that the trial is the same."""

Typed = Annotated[str, msgspec.Meta(max_length=2000)]
Token = Annotated[str, msgspec.Meta(max_length=100)]


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """What the recovery form sends."""

    name: Typed = ""


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """What the page behind the link sends."""

    token: Token = ""
    password: Typed = ""


class Code(msgspec.Struct, forbid_unknown_fields=True):
    """What the recovery code form sends."""

    name: Typed = ""
    code: Typed = ""
    password: Typed = ""


@get("/recover", include_in_schema=False)
async def form(request: AnyRequest, viewer: NamedDependency[Viewer | None]) -> Response[bytes]:
    """Ask whose account it is."""
    del viewer
    return page("recover/ask.html", request, errors={}, name="")


@post("/recover", status_code=HTTPStatus.OK, include_in_schema=False)
async def ask(
    request: AnyRequest,
    data: URLEncodedBody[Ask],
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Promise a letter, in the same words and the same time whether or not there is such an account."""
    del viewer
    name = data.name.strip()
    if not name or "\0" in name:
        errors = told(request, {"name": "Type your handle, or your e-mail address."})
        return page("recover/ask.html", request, status=HTTPStatus.BAD_REQUEST, errors=errors, name="")
    await throttle.admit(units, throttle.RECOVERY.by(address(request)))
    async with units.open() as work:
        work.publish(RecoveryAsked(name=name[:254]))
    return page("recover/sent.html", request)


@get("/recover/password", include_in_schema=False)
async def password_form(
    request: AnyRequest,
    units: NamedDependency[Units],
    viewer: NamedDependency[Viewer | None],
    token: FromQuery[Token] = "",
) -> Response[bytes]:
    """Ask for the new password."""
    del viewer
    async with units.read() as work:
        if not await links.alive(work, "recover", token):
            raise DeadLink
    return page("recover/password.html", request, errors={}, token=token)


@post("/recover/password", include_in_schema=False)
async def set_password(
    request: AnyRequest,
    data: URLEncodedBody[NewPassword],
    units: NamedDependency[Units],
    hasher: NamedDependency[Hasher],
    settings: NamedDependency[Settings],
) -> Response[bytes]:
    """Set the new password, use the link up, and sign in."""
    try:
        passwords.checked(data.password, names=(settings.name,))
    except Invalid as refusal:
        errors = told(request, {"password": refusal.message})
        return page(
            "recover/password.html", request, status=HTTPStatus.BAD_REQUEST, errors=errors, token=data.token
        )
    await throttle.admit(units, throttle.RECOVERY.by(address(request)))
    digest = await hasher.digest(data.password)
    async with units.open() as work:
        account = await recovery.by_link(work, data.token, password_digest=digest)
        return await _enter(request, work, account, amr=("pwd", "otp"))


@get("/recover/code", include_in_schema=False)
async def code_form(request: AnyRequest, viewer: NamedDependency[Viewer | None]) -> Response[bytes]:
    """Ask for a recovery code and a new password."""
    del viewer
    return page("recover/code.html", request, errors={}, name="")


@post("/recover/code", include_in_schema=False)
async def use_code(
    request: AnyRequest,
    data: URLEncodedBody[Code],
    units: NamedDependency[Units],
    hasher: NamedDependency[Hasher],
    settings: NamedDependency[Settings],
) -> Response[bytes]:
    """Use a recovery code up, set the new password, and sign in."""
    errors = {}
    if not data.name.strip():
        errors["name"] = "Type your handle, or your e-mail address."
    if not data.code.strip():
        errors["code"] = "Type one of your recovery codes."
    try:
        passwords.checked(data.password, names=(data.name, settings.name))
    except Invalid as refusal:
        errors["password"] = refusal.message
    if not errors:
        async with units.read() as work:
            account = await accounts.by_name(work, data.name)
        who = str(account.id) if account else data.name.strip().lower()
        budget = throttle.RECOVERY_CODES.by(who)
        await throttle.admit(units, budget, throttle.RECOVERY.by(address(request)))
        digest = await hasher.digest(data.password)
        try:
            async with units.open() as work:
                held = await recovery.by_code(
                    work, account.id if account else NOBODY, data.code, password_digest=digest
                )
                await throttle.forgive(work, budget)
                return await _enter(request, work, held, amr=("pwd", "otp"))
        except WrongCode as refusal:
            errors["code"] = refusal.message
    return page(
        "recover/code.html",
        request,
        status=HTTPStatus.BAD_REQUEST,
        errors=told(request, errors),
        name=data.name[:254],
    )


async def _enter(
    request: AnyRequest, work: UnitOfWork, account: accounts.Account, *, amr: tuple[str, ...]
) -> Response[bytes]:
    """Sign the owner in who has just come back; the security page shows what else to look at."""
    await ending.of_credentials(work, account.id, at=work.wall)
    secret = await sessions.open_for(
        work,
        account.id,
        amr=amr,
        user_agent=request.headers.get("user-agent", ""),
        instead_of=request.cookies.get(session_cookie(work.settings)),
    )
    if secret is None:
        raise DeadLink
    return onward(
        HOME, cookies=signed_in_cookies(work.settings, secret, browsers.mark(work.settings, account.id))
    )


routes = [form, ask, password_form, set_password, code_form, use_code]
