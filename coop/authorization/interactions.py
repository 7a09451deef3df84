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
from coop.authorization import claims, consents, logout, scopes
from coop.authorization.requests import AuthorizationRequest
from coop.identity import passkeys
from coop.membership import entitlements
from coop.networks import networks
from coop.settings import Settings
from coop.unit_of_work import UnitOfWork

LIFETIME = timedelta(hours=2)
"""Long enough to sign up and to pay on the way."""


class Step(enum.Enum):
    """What comes next in an authorization request that is in order."""

    SIGN_IN = enum.auto()
    SIGN_UP = enum.auto()
    DUES = enum.auto()
    CONSENT = enum.auto()
    DONE = enum.auto()


_FORBIDDEN = {
    Step.SIGN_IN: "login_required",
    Step.SIGN_UP: "login_required",
    Step.DUES: "interaction_required",
    Step.CONSENT: "consent_required",
}
"""What prompt=none is answered where a page would be needed (OpenID Connect Core, section 3.1.2.6)."""


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
    # Judged also while nobody is signed in: whoever sends a bad hint learns it before anybody is asked for a password.
    hinted = await _hinted(work, request)
    step = Step.SIGN_IN if visit is None else await _step_of_visitor(work, request, visit, marker, hinted)
    if step is Step.SIGN_IN and visit is None and "create" in request.prompt:
        step = Step.SIGN_UP
    if "none" in request.prompt and step is not Step.DONE:
        raise request.denied(_FORBIDDEN[step], "That takes a page, and prompt=none forbids one.")
    return step


async def _step_of_visitor(
    work: UnitOfWork, request: AuthorizationRequest, visit: Visit, marker: str | None, hinted: str | None
) -> Step:
    made = _read(work, request, marker)
    fresh = made is not None and made.former != str(visit.session_id)
    if "create" in request.prompt or request.client.members_only:
        # Joining leads through the dues, once: whoever decided there comes back, member or not.
        entitled = await entitlements.of(work, visit.account_id)
        if entitled.membership == "none" and not (made and made.asked_for_dues):
            return Step.DUES
        if entitled.membership == "none" and request.client.members_only:
            raise request.denied("access_denied", "This network is for members of the cooperative.")
    if not fresh and ("login" in request.prompt or _is_stale(work, request, visit)):
        return Step.SIGN_IN
    if not _is_expected(work, request, visit, hinted):
        if fresh:
            raise request.denied("login_required", "Somebody else than the hinted member signed in.")
        return Step.SIGN_IN
    if await _should_step_up(work, request, visit, fresh=fresh):
        return Step.SIGN_IN
    consent = await consents.of(work, request.client.id, visit.account_id)
    # Who presses "Join" while signed in already is shown as whom, and may change that.
    asks = {"consent", "select_account", "create"} & request.prompt
    return Step.CONSENT if asks or consent is None or not consent.covers(request.wanted) else Step.DONE


def _is_stale(work: UnitOfWork, request: AuthorizationRequest, visit: Visit) -> bool:
    """Tell whether the person signed in longer ago than the client accepts; zero accepts no moment at all."""
    if request.max_age is None:
        return False
    age = work.wall - visit.authenticated_at
    return request.max_age == 0 or age > timedelta(seconds=request.max_age)


def _is_expected(work: UnitOfWork, request: AuthorizationRequest, visit: Visit, hinted: str | None) -> bool:
    """Tell whether this is the person whom the client means, if it means one (OpenID Connect Core, 3.1.2.1 and 5.5.1)."""
    subject = claims.subject(work.settings, request.client, visit.account_id)
    if any(subject not in accepted for accepted in request.claims.accepted("sub")):
        return False
    return hinted in {None, subject}


async def _should_step_up(
    work: UnitOfWork, request: AuthorizationRequest, visit: Visit, *, fresh: bool
) -> bool:
    """Tell whether the person should prove more of themselves; they are asked once, and only if they can.

    `acr_values` and a voluntary `acr` claim are wishes; only an essential one is a condition (OpenID Connect Core, 5.5.1.1).
    """
    accepted, essential = _accepted_acr(request)
    if not accepted or _told_acr(accepted, visit.amr) is not None:
        return False
    may_ask = not fresh and (essential or "none" not in request.prompt)
    if may_ask and claims.ACR_STRONG in accepted and await passkeys.of_account(work, visit.account_id):
        return True
    if essential:
        raise request.denied(
            "unmet_authentication_requirements", "The member cannot sign in with the assurance asked for."
        )
    return False


def remembered(request: AuthorizationRequest, amr: tuple[str, ...]) -> dict[str, object] | None:
    """Return what a grant keeps of the `claims` parameter."""
    kept: dict[str, object] = {**request.claims.kept(scopes.words(request.client.scope))}
    wish = request.claims.id_token.get("acr")
    told = _told_acr(wish.accepted, amr) if wish is not None else None
    if told is not None and told != claims.acr(amr):
        kept["acr"] = told
    return kept or None


def _accepted_acr(request: AuthorizationRequest) -> tuple[tuple[object, ...], bool]:
    """Return the assurances that would do, and whether nothing else does."""
    wish = request.claims.id_token.get("acr")
    if wish is not None and wish.accepted:
        return wish.accepted, wish.essential
    return request.acr_values, False


def _told_acr(accepted: tuple[object, ...], amr: tuple[str, ...]) -> str | None:
    """Return the accepted assurance that a sign-in has; whoever proved more has proved less as well."""
    had = claims.acr(amr)
    reached = (had,) if had == claims.ACR_SINGLE else (had, claims.ACR_SINGLE)
    return next((acr for acr in reached if acr in accepted), None)


async def _hinted(work: UnitOfWork, request: AuthorizationRequest) -> str | None:
    """Return the subject of the ID Token that was sent as a hint, if one was."""
    if request.id_token_hint is None:
        return None
    try:
        hinted = await logout.hinted(work, request.id_token_hint)
    except (logout.BadHint, RecursionError) as error:
        raise request.denied("invalid_request", "id_token_hint is not an ID Token of ours.") from error
    if hinted.get("aud") != request.client.client_id:
        raise request.denied("invalid_request", "id_token_hint is not an ID Token of this client.")
    return str(hinted["sub"])


def cookie_name(settings: Settings) -> str:
    """Return the name of the marker's cookie."""
    return "__Host-interaction" if settings.secure else "interaction"


@dataclass(frozen=True, slots=True)
class _Detour:
    """What a marker says of the detour that a browser was sent on."""

    former: str
    """The session that was signed in when the browser left; a fresh one is another."""
    asked_for_dues: bool


def mark(work: UnitOfWork, request: AuthorizationRequest, session_id: UUID | None, *, for_dues: bool) -> str:
    """Return the marker of a request that leaves for a detour while `session_id` is signed in in the browser."""
    began = int(work.wall.timestamp())
    facts = f"{began}.{_digest(request)}.{session_id or ''}.{'dues' if for_dues else ''}"
    return f"{facts}.{_mac(work.settings, facts)}"


def _read(work: UnitOfWork, request: AuthorizationRequest, marker: str | None) -> _Detour | None:
    facts, _, mac = (marker or "").rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(work.settings, facts).encode()):
        return None
    began, digest, former, dues = facts.split(".")
    if digest != _digest(request) or int(work.wall.timestamp()) - int(began) > LIFETIME.total_seconds():
        return None
    return _Detour(former, dues == "dues")


def _digest(request: AuthorizationRequest) -> str:
    return _text(hashlib.sha256(request.query.encode()).digest())


def _mac(settings: Settings, facts: str) -> str:
    return _text(hmac.digest(sealing.key_for(settings, "interaction"), facts.encode(), "sha256"))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
