"""Interactions: what a person has to do before their authorization request goes on, and proof that they did it.

The marker is a signed cookie, so that a request can only be resumed in the browser in which it began, and only by a
session that was opened for it; elsewhere it simply starts again.
"""

import base64
import enum
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from coop import sealing
from coop.authorization import claims, consents, logout
from coop.authorization.requests import AuthorizationRequest
from coop.networks import networks
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

LIFETIME = timedelta(hours=2)
"""Long enough to sign up and to pay on the way."""


class Step(enum.Enum):
    """What comes next in an authorization request that is in order."""

    SIGN_IN = enum.auto()
    SIGN_UP = enum.auto()
    CONSENT = enum.auto()
    DONE = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The signed-in browser that makes the request."""

    account_id: UUID
    session_id: UUID
    authenticated_at: datetime
    amr: tuple[str, ...]


async def next_step(
    work: UnitOfWork, request: AuthorizationRequest, visit: Visit | None, marker: str | None
) -> Step:
    """Return what the person must do next (OpenID Connect Core, 3.1.2.3); raises `Denied` where asking is forbidden."""
    client = request.client
    if client.network_id is not None:
        network = await networks.get(work, client.network_id)
        if network.state != networks.ACTIVE:
            raise request.denied("access_denied", "The network is suspended.")
    step = Step.SIGN_IN if visit is None else await _step_of_visitor(work, request, visit, marker)
    if step is Step.SIGN_IN and visit is None and "create" in request.prompt:
        step = Step.SIGN_UP
    if "none" in request.prompt and step is not Step.DONE:
        error = "consent_required" if step is Step.CONSENT else "login_required"
        raise request.denied(error, "That takes a page, and prompt=none forbids one.")
    return step


async def _step_of_visitor(
    work: UnitOfWork, request: AuthorizationRequest, visit: Visit, marker: str | None
) -> Step:
    fresh = satisfied(work, request, marker, visit.session_id, fresh=True)
    if "create" in request.prompt and not satisfied(work, request, marker, visit.session_id, fresh=False):
        return Step.SIGN_UP
    stale = request.max_age is not None and work.wall - visit.authenticated_at > timedelta(
        seconds=request.max_age
    )
    if ("login" in request.prompt or stale) and not fresh:
        return Step.SIGN_IN
    if request.id_token_hint is not None and not await _is_hinted(work, request, visit):
        if fresh:
            raise request.denied("login_required", "Somebody else than the hinted member signed in.")
        return Step.SIGN_IN
    consent = await consents.of(work, request.client.id, visit.account_id)
    asks = {"consent", "select_account"} & request.prompt
    return Step.CONSENT if asks or consent is None or not consent.covers(request.scope) else Step.DONE


async def _is_hinted(work: UnitOfWork, request: AuthorizationRequest, visit: Visit) -> bool:
    try:
        hinted = await logout.hinted(work, request.id_token_hint or "")
    except logout.BadHint as error:
        raise request.denied("invalid_request", "id_token_hint is not an ID Token of ours.") from error
    return hinted.get("sub") == claims.subject(work.settings, request.client, visit.account_id)


def cookie_name(settings: Settings) -> str:
    """Return the name of the marker's cookie."""
    return "__Host-interaction" if settings.secure else "interaction"


def mark(work: UnitOfWork, request: AuthorizationRequest, session_id: UUID | None) -> str:
    """Return the marker of a request that leaves for a detour while `session_id` is signed in in the browser."""
    facts = f"{int(work.wall.timestamp())}.{_digest(request)}.{session_id or ''}"
    return f"{facts}.{_mac(work.settings, facts)}"


def satisfied(
    work: UnitOfWork, request: AuthorizationRequest, marker: str | None, session_id: UUID, *, fresh: bool
) -> bool:
    """Tell whether this browser has made the detour of `request`; `fresh` asks for a session opened on the way."""
    facts, _, mac = (marker or "").rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(work.settings, facts).encode()):
        return False
    began, digest, former = facts.split(".")
    if digest != _digest(request) or int(work.wall.timestamp()) - int(began) > LIFETIME.total_seconds():
        return False
    return not fresh or former != str(session_id)


def _digest(request: AuthorizationRequest) -> str:
    return _text(hashlib.sha256(request.query.encode()).digest())


def _mac(settings: Settings, facts: str) -> str:
    return _text(hmac.digest(sealing.key_for(settings, "interaction"), facts.encode(), "sha256"))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
