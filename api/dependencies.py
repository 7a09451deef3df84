"""What handlers may ask for by name: the units of work, the settings, and who is looking at the page."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from litestar import Request
from litestar.datastructures import State
from litestar.di import Provide

from coop.authorization.client_keys import ClientKeys
from coop.billing.gateway import Gateway
from coop.errors import NotSignedIn
from coop.identity import sessions
from coop.identity.passwords import Hasher
from coop.settings import Settings
from coop.unit_of_work import Units

AnyRequest = Request[object, object, State]


@dataclass(frozen=True, slots=True)
class Viewer:
    """The account whose browser session made this request."""

    account_id: UUID
    session_id: UUID
    lineage: UUID
    """By what networks know the session; it outlives a new sign-in in the same browser."""
    handle: str
    display_name: str | None
    email_verified: bool
    locale: str
    authenticated_at: datetime
    amr: tuple[str, ...]


def session_cookie(settings: Settings) -> str:
    """Return the name of the session cookie; `__Host-` binds it to this host over TLS."""
    return "__Host-session" if settings.secure else "session"


async def provide_viewer(request: AnyRequest) -> Viewer | None:
    """Return who is signed in in this browser, if anybody; looked up once a request."""
    if "viewer" in request.state:
        found: Viewer | None = request.state["viewer"]
        return found
    viewer = None
    secret = request.cookies.get(session_cookie(request.app.state.settings))
    if secret:
        units: Units = request.app.state.units
        async with units.read() as work:
            found_session = await sessions.resume(work, secret)
        if found_session is not None:
            session, account = found_session
            if work.wall - session.last_seen_at > sessions.GLANCE:
                async with units.open() as work:
                    await sessions.touch(work, session.id)
            viewer = Viewer(
                account_id=account.id,
                session_id=session.id,
                lineage=session.lineage,
                handle=account.handle,
                display_name=account.display_name,
                email_verified=account.email_verified_at is not None,
                locale=account.locale,
                authenticated_at=session.authenticated_at,
                amr=session.amr,
            )
    request.state["viewer"] = viewer
    return viewer


async def provide_signed_in(request: AnyRequest) -> Viewer:
    """Return who is signed in, or refuse; pages then lead to the sign-in page and back."""
    viewer = await provide_viewer(request)
    if viewer is None:
        raise NotSignedIn
    return viewer


def require_recent(
    request: AnyRequest,
    viewer: Viewer,
    *,
    within: timedelta = sessions.RECENT,
    next_path: str | None = None,
) -> None:
    """Refuse, and lead through the sign-in page, unless this person proved themselves within `within` (step-up).

    After a form was sent there is no page to come back to but `next_path`.
    """
    units: Units = request.app.state.units
    sessions.require_recent(viewer.authenticated_at, units.clock.wall(), within=within, next_path=next_path)


def provide_units(request: AnyRequest) -> Units:
    """Return what opens units of work."""
    units: Units = request.app.state.units
    return units


def provide_settings(request: AnyRequest) -> Settings:
    """Return the configuration."""
    settings: Settings = request.app.state.settings
    return settings


def provide_gateway(request: AnyRequest) -> Gateway:
    """Return the card processor."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def provide_hasher(request: AnyRequest) -> Hasher:
    """Return what digests and verifies passwords."""
    hasher: Hasher = request.app.state.hasher
    return hasher


def provide_client_keys(request: AnyRequest) -> ClientKeys:
    """Return what finds the keys of clients."""
    keys: ClientKeys = request.app.state.client_keys
    return keys


dependencies = {
    "client_keys": Provide(provide_client_keys, sync_to_thread=False),
    "hasher": Provide(provide_hasher, sync_to_thread=False),
    "viewer": Provide(provide_viewer),
    "signed_in": Provide(provide_signed_in),
    "units": Provide(provide_units, sync_to_thread=False),
    "settings": Provide(provide_settings, sync_to_thread=False),
    "gateway": Provide(provide_gateway, sync_to_thread=False),
}
