"""Joining, step one of at most three: a handle and a way to sign in. What to pay comes next."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from api.dependencies import AnyRequest, Viewer
from api.pages.destination import destination
from api.pages.entrance import address, onward, options, signed_in_cookies, told
from api.pages.rendering import locale_of, page
from api.security import local_path
from coop.errors import Invalid
from coop.identity import (
    accounts,
    addresses,
    browsers,
    handles,
    passkeys,
    passwords,
    sessions,
    throttle,
    verification,
)
from coop.identity.passwords import Hasher
from coop.settings import Settings
from coop.unit_of_work import Units, new_id

Typed = Annotated[str, msgspec.Meta(max_length=2000)]
Path = Annotated[str, msgspec.Meta(max_length=8000)]


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    """What the sign-up form sends."""

    handle: Typed = ""
    password: Typed = ""
    email: Typed = ""
    credential: Annotated[str, msgspec.Meta(max_length=passkeys.LARGEST)] = ""
    next: Path = ""


@get("/sign-up", include_in_schema=False)
async def form(
    request: AnyRequest,
    viewer: NamedDependency[Viewer | None],
    next: FromQuery[str] = "",  # noqa: A002 - the name of the query parameter
) -> Response[bytes]:
    """Ask for a handle and a way to sign in; whoever has an account goes straight on to the dues."""
    next_path = local_path(next)
    return onward(_dues(next_path)) if viewer is not None else await _ask(request, SignUp(next=next_path))


@post("/sign-up", include_in_schema=False)
async def submit(
    request: AnyRequest,
    data: URLEncodedBody[SignUp],
    units: NamedDependency[Units],
    hasher: NamedDependency[Hasher],
    settings: NamedDependency[Settings],
    viewer: NamedDependency[Viewer | None],
) -> Response[bytes]:
    """Open the account, sign this browser in, and go on to the dues."""
    next_path = local_path(data.next)
    if viewer is not None:
        return onward(_dues(next_path))
    errors = _faults(data, settings)
    if errors:
        return await _ask(request, data, errors)
    await throttle.admit(units, throttle.SIGN_UP.by(address(request)))
    try:
        if data.credential:
            ceremony, password_digest = await passkeys.take(units, data.credential, purpose="join"), None
        else:
            ceremony, password_digest = None, await hasher.digest(data.password)
        async with units.open() as work:
            account = await accounts.register(
                work,
                handle=data.handle,
                email=data.email,
                password_digest=password_digest,
                locale=locale_of(request),
                account_id=ceremony.account_id if ceremony else None,
            )
            key = await passkeys.add(work, account, ceremony) if ceremony else None
            _, secret = await sessions.begin(
                work,
                account,
                amr=passkeys.methods(key) if key else ("pwd",),
                user_agent=request.headers.get("user-agent", ""),
            )
            if account.email:
                await verification.ask(work, account, account.email)
    except Invalid as refusal:
        return await _ask(request, data, {_beside(refusal): refusal.message})
    return onward(
        _dues(next_path), cookies=signed_in_cookies(settings, secret, browsers.mark(settings, account.id))
    )


@post("/sign-up/passkey", status_code=HTTPStatus.OK, include_in_schema=False)
async def passkey_options(
    request: AnyRequest, data: URLEncodedBody[SignUp], units: NamedDependency[Units]
) -> Response[bytes]:
    """Return what the browser needs to make a passkey for the account that is about to be opened."""
    handle = handles.checked(data.handle)
    addresses.checked(data.email)
    await throttle.admit(units, throttle.CEREMONIES.by(address(request)))
    async with units.open() as work:
        await accounts.available(work, handle)
        return options(
            await passkeys.begin_registration(work, purpose="join", account_id=new_id(), handle=handle)
        )


def _beside(refusal: Invalid) -> str:
    """Return the field that a refusal stands beside; what the script filled in has no place on the page."""
    return "" if refusal.field in {None, "credential"} else str(refusal.field)


def _faults(data: SignUp, settings: Settings) -> dict[str, str]:
    """Return every fault at once, by field, so that nobody is sent back twice."""
    errors: dict[str, str] = {}
    guessable = (data.handle, data.email.partition("@")[0], settings.name)
    checks: tuple[Callable[[], object], ...] = (
        lambda: handles.checked(data.handle),
        lambda: data.credential or passwords.checked(data.password, names=guessable),
        lambda: addresses.checked(data.email),
    )
    for check in checks:
        try:
            check()
        except Invalid as refusal:
            errors[_beside(refusal)] = refusal.message
    return errors


def _dues(next_path: str) -> str:
    return f"/join?next={quote(next_path, safe='')}"


async def _ask(request: AnyRequest, data: SignUp, errors: dict[str, str] | None = None) -> Response[bytes]:
    next_path = local_path(data.next)
    towards = await destination(request, next_path)
    return page(
        "sign_up/form.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        form_targets=towards.form_targets if towards else (),
        network=towards.name if towards else None,
        next_path=next_path,
        handle=data.handle[: handles.LONGEST * 2],
        email=data.email[: addresses.LONGEST],
        passkeys=passkeys.relying_party(request.app.state.settings),
        errors=told(request, errors or {}),
    )


routes = [form, submit, passkey_options]
