"""The form by which the cooperative's admins register a network: what `coop network add` does, as a page."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from api.dependencies import AnyRequest, Viewer, require_recent
from api.pages.console.access import Typed, at
from api.pages.entrance import told
from api.pages.prose import prose
from api.pages.rendering import page
from coop.authorization import recipes
from coop.authorization.onboarding import Onboarded, onboard
from coop.errors import Invalid, Refused
from coop.identity import accounts
from coop.identity.accounts import Account
from coop.networks import admins
from coop.stewardship import roles
from coop.unit_of_work import UnitOfWork, Units

HERE = "/networks/add"


class NewNetwork(msgspec.Struct, forbid_unknown_fields=True):
    """What the form sends."""

    kind: Annotated[str, msgspec.Meta(max_length=30)] = ""
    name: Typed = ""
    origin: Typed = ""
    callback: Typed = ""
    webhook: Typed = ""
    admin: Typed = ""


@get(HERE, include_in_schema=False)
async def form(
    request: AnyRequest, units: NamedDependency[Units], signed_in: NamedDependency[Viewer]
) -> Response[bytes]:
    """Ask for the network."""
    require_recent(request, signed_in)
    async with units.read() as work:
        await roles.require(work, signed_in.account_id, "admin")
    return _form(request, NewNetwork(kind="own", admin=signed_in.handle))


@post(HERE, status_code=HTTPStatus.OK, include_in_schema=False)
async def add(
    request: AnyRequest,
    data: URLEncodedBody[NewNetwork],
    units: NamedDependency[Units],
    signed_in: NamedDependency[Viewer],
) -> Response[bytes]:
    """Register the network, sign the covenant for it, and show its secrets, this once."""
    require_recent(request, signed_in, next_path=HERE)
    async with units.read() as work:
        await roles.require(work, signed_in.account_id, "admin")
        administers = await accounts.by_handle(work, data.admin.strip().lower())
    if administers is None or administers.erased_at is not None:
        return _form(request, data, errors={"admin": "Nobody has that handle; let them sign up first."})
    try:
        async with units.open() as work:
            made = await _register(work, data, administers, signed_in)
    except (Invalid, Refused) as refusal:
        return _form(request, data, {_field(refusal): refusal.message})
    return page(
        "console/added.html",
        request,
        network=made.network,
        home=at(made.network.slug),
        configuration=prose(made.configuration),
        secrets=[
            (name, value)
            for name, value in (
                ("client_secret", made.client_secret),
                ("webhook_secret", made.webhook_secret),
            )
            if value
        ],
        handle=administers.handle,
    )


async def _register(work: UnitOfWork, data: NewNetwork, administers: Account, viewer: Viewer) -> Onboarded:
    origin = data.origin.strip()
    made = await onboard(
        work,
        kind=data.kind,
        name=data.name.strip() or urlsplit(origin).hostname or "",
        origin=origin,
        callback=data.callback.strip() or None,
        webhook=data.webhook.strip() or None,
        by=viewer.account_id,
    )
    await admins.add(work, made.network.id, administers.id, by=viewer.account_id)
    return made


def _field(refusal: Invalid | Refused) -> str:
    # What the client or the endpoint finds wrong was typed into fields of other names here.
    return {"redirect_uris": "callback", "url": "webhook", "slug": "name", None: ""}.get(
        refusal.field, refusal.field or ""
    )


def _form(request: AnyRequest, typed: NewNetwork, errors: dict[str, str] | None = None) -> Response[bytes]:
    return page(
        "console/add.html",
        request,
        status=HTTPStatus.BAD_REQUEST if errors else HTTPStatus.OK,
        kinds=[(kind, recipes.find(kind).name) for kind in recipes.KINDS],
        typed=typed,
        errors=told(request, errors or {}),
    )


routes = [form, add]
