"""The security page: how a person signs in, where they are signed in, and how they get back in."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer, require_recent
from api.pages.entrance import address, onward, options, told
from api.pages.rendering import page
from coop.authorization import ending
from coop.errors import Invalid
from coop.identity import (
    accounts,
    addresses,
    passkeys,
    passwords,
    recovery,
    sessions,
    throttle,
    verification,
)
from coop.identity.passwords import Hasher
from coop.settings import Settings
from coop.unit_of_work import Units

HOME = "/account/security"

Typed = Annotated[str, msgspec.Meta(max_length=2000)]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A form that is no more than its button."""


class OneSession(msgspec.Struct, forbid_unknown_fields=True):
    """The browser to sign out."""

    session: UUID


class OnePasskey(msgspec.Struct, forbid_unknown_fields=True):
    """The passkey to remove."""

    passkey: UUID


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """What the password form sends."""

    password: Typed = ""


class NewPasskey(msgspec.Struct, forbid_unknown_fields=True):
    """What the passkey form sends."""

    name: Typed = ""
    credential: Annotated[str, msgspec.Meta(max_length=passkeys.LARGEST)] = ""


class NewEmail(msgspec.Struct, forbid_unknown_fields=True):
    """What the e-mail form sends."""

    email: Typed = ""


@get(HOME, include_in_schema=False)
async def overview(
    request: AnyRequest, signed_in: NamedDependency[Viewer], units: NamedDependency[Units]
) -> Response[bytes]:
    """Show the ways in, the browsers that are signed in, and the ways back."""
    async with units.read() as work:
        account = await accounts.get(work, signed_in.account_id)
        return page(
            "security/overview.html",
            request,
            account=account,
            has_password=account.password_digest is not None,
            passkeys=passkeys.relying_party(work.settings),
            held=await passkeys.of_account(work, account.id),
            browsers=await sessions.of_account(work, account.id),
            codes_left=await recovery.codes_left(work, account.id),
            lacking=await recovery.lacking(work, account),
        )


@post(f"{HOME}/sessions/end", include_in_schema=False)
async def end_session(
    data: URLEncodedBody[OneSession], signed_in: NamedDependency[Viewer], units: NamedDependency[Units]
) -> Response[bytes]:
    """Sign out one of this person's browsers."""
    async with units.open() as work:
        ended = await sessions.end_own(work, signed_in.account_id, data.session)
        await ending.of_sessions(work, ended)
    return onward(HOME)


@post(f"{HOME}/sessions/end-others", include_in_schema=False)
async def end_others(
    data: URLEncodedBody[Nothing], signed_in: NamedDependency[Viewer], units: NamedDependency[Units]
) -> Response[bytes]:
    """Sign out every browser but this one."""
    del data
    async with units.open() as work:
        ended = await sessions.end_all(work, signed_in.account_id, keep=signed_in.session_id)
        await ending.of_sessions(work, ended)
    return onward(HOME)


@get(f"{HOME}/password", include_in_schema=False)
async def password_form(request: AnyRequest, signed_in: NamedDependency[Viewer]) -> Response[bytes]:
    """Ask for a new password, of whoever has just proved who they are."""
    require_recent(request, signed_in)
    return _password(request, signed_in)


@post(f"{HOME}/password", include_in_schema=False)
async def set_password(
    request: AnyRequest,
    data: URLEncodedBody[NewPassword],
    signed_in: NamedDependency[Viewer],
    units: NamedDependency[Units],
    hasher: NamedDependency[Hasher],
    settings: NamedDependency[Settings],
) -> Response[bytes]:
    """Set the password and sign out every other browser."""
    require_recent(request, signed_in, next_path=f"{HOME}/password")
    try:
        passwords.checked(data.password, names=(signed_in.handle, settings.name))
    except Invalid as refusal:
        return _password(request, signed_in, {"password": refusal.message})
    digest = await hasher.digest(data.password)
    async with units.open() as work:
        account = await accounts.hold(work, signed_in.account_id)
        await recovery.set_password(work, account, digest, keep=signed_in.session_id)
        await ending.of_credentials(work, account.id, at=work.wall, kept=signed_in.lineage)
    return onward(HOME)


@get("/.well-known/change-password", include_in_schema=False)
async def change_password() -> Response[bytes]:
    """Lead password managers to the password form (W3C, A Well-Known URL for Changing Passwords)."""
    return onward(f"{HOME}/password")


@get(f"{HOME}/passkey", include_in_schema=False)
async def passkey_form(request: AnyRequest, signed_in: NamedDependency[Viewer]) -> Response[bytes]:
    """Offer to add a passkey, to whoever has just proved who they are."""
    require_recent(request, signed_in)
    return _passkey(request)


@post(f"{HOME}/passkey/options", status_code=HTTPStatus.OK, include_in_schema=False)
async def passkey_options(
    request: AnyRequest, signed_in: NamedDependency[Viewer], units: NamedDependency[Units]
) -> Response[bytes]:
    """Return what the browser needs to make a passkey for this account."""
    require_recent(request, signed_in, next_path=f"{HOME}/passkey")
    await throttle.admit(units, throttle.CEREMONIES.by(address(request)))
    async with units.open() as work:
        return options(
            await passkeys.begin_registration(
                work, purpose="add", account_id=signed_in.account_id, handle=signed_in.handle
            )
        )


@post(f"{HOME}/passkey", include_in_schema=False)
async def add_passkey(
    request: AnyRequest,
    data: URLEncodedBody[NewPasskey],
    signed_in: NamedDependency[Viewer],
    units: NamedDependency[Units],
) -> Response[bytes]:
    """Keep the passkey that the browser has just made."""
    require_recent(request, signed_in, next_path=f"{HOME}/passkey")
    try:
        ceremony = await passkeys.take(units, data.credential, purpose="add", account_id=signed_in.account_id)
        async with units.open() as work:
            account = await accounts.get(work, signed_in.account_id)
            await passkeys.add(work, account, ceremony, name=data.name)
    except passkeys.BadPasskey as refusal:
        return _passkey(request, {"": refusal.message}, name=data.name)
    return onward(HOME)


@post(f"{HOME}/passkey/remove", include_in_schema=False)
async def remove_passkey(
    request: AnyRequest,
    data: URLEncodedBody[OnePasskey],
    signed_in: NamedDependency[Viewer],
    units: NamedDependency[Units],
) -> Response[bytes]:
    """Forget a passkey and sign out every other browser."""
    require_recent(request, signed_in, next_path=HOME)
    async with units.open() as work:
        await passkeys.remove(work, signed_in.account_id, data.passkey, keep=signed_in.session_id)
        await ending.of_credentials(work, signed_in.account_id, at=work.wall, kept=signed_in.lineage)
    return onward(HOME)


@get(f"{HOME}/email", include_in_schema=False)
async def email_form(request: AnyRequest, signed_in: NamedDependency[Viewer]) -> Response[bytes]:
    """Ask for an e-mail address, of whoever has just proved who they are."""
    require_recent(request, signed_in)
    return _email(request)


@post(f"{HOME}/email", include_in_schema=False)
async def set_email(
    request: AnyRequest,
    data: URLEncodedBody[NewEmail],
    signed_in: NamedDependency[Viewer],
    units: NamedDependency[Units],
) -> Response[bytes]:
    """Send a link to the address; it becomes the account's once the link is opened."""
    require_recent(request, signed_in, next_path=f"{HOME}/email")
    try:
        email = addresses.checked(data.email)
    except Invalid as refusal:
        return _email(request, {"email": refusal.message}, email=data.email)
    if email is None:
        return _email(request, {"email": "Type an e-mail address."})
    async with units.open() as work:
        await verification.ask(work, await accounts.hold(work, signed_in.account_id), email)
    return page("security/email_sent.html", request, email=email)


@post(f"{HOME}/codes", status_code=HTTPStatus.OK, include_in_schema=False)
async def renew_codes(
    request: AnyRequest,
    data: URLEncodedBody[Nothing],
    signed_in: NamedDependency[Viewer],
    units: NamedDependency[Units],
) -> Response[bytes]:
    """Make ten recovery codes and show them, this once."""
    del data
    require_recent(request, signed_in, next_path=HOME)
    async with units.open() as work:
        codes = await recovery.renew_codes(work, signed_in.account_id)
    return page("security/codes.html", request, codes=codes)


def _password(request: AnyRequest, viewer: Viewer, errors: dict[str, str] | None = None) -> Response[bytes]:
    status = HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK
    return page(
        "security/password.html",
        request,
        status=status,
        handle=viewer.handle,
        errors=told(request, errors or {}),
    )


def _passkey(request: AnyRequest, errors: dict[str, str] | None = None, *, name: str = "") -> Response[bytes]:
    return page(
        "security/passkey.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        passkeys=passkeys.relying_party(request.app.state.settings),
        name=name[:60],
        errors=told(request, errors or {}),
    )


def _email(request: AnyRequest, errors: dict[str, str] | None = None, *, email: str = "") -> Response[bytes]:
    return page(
        "security/email.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        email=email[: addresses.LONGEST],
        errors=told(request, errors or {}),
    )


routes = [
    overview,
    end_session,
    end_others,
    password_form,
    set_password,
    change_password,
    passkey_form,
    passkey_options,
    add_passkey,
    remove_passkey,
    email_form,
    set_email,
    renew_codes,
]
